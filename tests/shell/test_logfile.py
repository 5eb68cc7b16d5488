"""`--log-file` and `doctor --bundle`: what support reads."""

from __future__ import annotations

import argparse
import json
import logging
import types
import zipfile
from pathlib import Path
from typing import Any

import pytest

from julnet_plugin import hookimpl
from julnet_plugin.cli import main
from julnet_plugin.console import Console
from julnet_plugin.errors import SettingsError
from julnet_plugin.manager import Manager


def test_a_run_s_log_is_json_lines_with_a_summary(tmp_path: Path) -> None:
    path = tmp_path / "run.log"
    assert main(["probe", str(tmp_path / "nothing.mov"), "--log-file", str(path)]) == 2
    assert main(["plugins", f"--log-file={path}"]) == 0
    rows = rows_of(path)
    assert [row["message"] for row in rows if row["logger"].endswith("logfile")] == ["begun", "ended"] * 2
    refused, done = (row for row in rows if row["message"] == "ended")
    assert refused["exit_code"] == 2
    assert "nothing.mov" in refused["error"]
    assert (done["exit_code"], done["stages"], "error" in done) == (0, {}, False)
    assert done["seconds"] >= 0


class Speaking:
    """A verb that logs and then breaks."""

    name, help = "speak", "log and break"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """None."""

    def run(self, args: argparse.Namespace) -> int:
        log = logging.getLogger("julnet_plugin.somewhere")
        log.info("read %d frames", 12)
        log.debug("and more")
        args.console.progress("track", 0, 2)
        args.console.progress("track", 2, 2)
        raise RuntimeError("a bug")


@pytest.mark.parametrize(("more", "seen"), [([], False), (["-v"], True)])
def test_the_log_holds_what_people_are_not_shown_and_why_a_run_failed(
    more: list[str], seen: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manager = Manager()
    manager.register(types.SimpleNamespace(julnet_cli_verbs=hookimpl(lambda: [Speaking()])), "speaking", builtin=True)
    assert main(["speak", "--log-file", str(tmp_path / "run.log"), *more], manager) == 1
    assert ("read 12 frames" in capsys.readouterr().err) is seen
    rows = rows_of(tmp_path / "run.log")
    assert [row["message"] for row in rows] == ["begun", "read 12 frames", "ended"]
    end = rows[-1]
    assert (end["exit_code"], list(end["stages"])) == (1, ["track"])
    assert "unexpected RuntimeError: a bug" in end["error"]
    assert "in run" in end["traceback"]


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_a_log_that_cannot_be_written_stops_nothing(tmp_path: Path, capsys: object) -> None:
    assert main(["plugins", "--log-file", str(tmp_path / "no" / "run.log")]) == 0


def test_stages_are_timed() -> None:
    console = Console(as_json=True)
    for done in range(3):
        console.progress("track", done, 2)
    console.progress("render", 1, 2)
    assert set(console.clock.facts()["stages"]) == {"track"}
    assert "finding faces" in str(console.clock)


def test_the_bundle_holds_what_support_reads_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from julnet_plugin.doctor import Finding, write_bundle
    from julnet_plugin.manager import make_manager

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "plate.mov").write_bytes(b"footage")
    (tmp_path / "bundle.zip").write_bytes(b"an older one")
    with monkeypatch.context() as patched:
        patched.setattr(zipfile.ZipFile, "writestr", full)
        with pytest.raises(SettingsError, match=r"bundle\.zip cannot be written"):
            write_bundle(tmp_path / "bundle.zip", [], make_manager(third_party=False))
    assert (tmp_path / "bundle.zip").read_bytes() == b"an older one"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle.zip", "plate.mov"]
    findings = [Finding(name="cpu", ok=True, found="some")]
    write_bundle(tmp_path / "bundle.zip", findings, make_manager(third_party=False))
    with zipfile.ZipFile(tmp_path / "bundle.zip") as archive:
        assert sorted(archive.namelist()) == ["environment.json", "findings.json", "plugins.json", "versions.json"]
        assert "numpy" in json.loads(archive.read("versions.json"))
        assert json.loads(archive.read("findings.json"))[0]["name"] == "cpu"
