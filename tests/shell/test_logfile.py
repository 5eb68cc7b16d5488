"""`--log-file` and `doctor --bundle`: what support reads."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

from julnet_plugin.cli import main
from julnet_plugin.console import Console


def test_a_run_s_log_is_json_lines_with_a_summary(tmp_path: Path) -> None:
    path = tmp_path / "run.log"
    assert main(["probe", str(tmp_path / "nothing.mov"), "--log-file", str(path)]) == 2
    assert main(["plugins", f"--log-file={path}"]) == 0
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert [row["message"] for row in rows if row["logger"].endswith("logfile")] == ["begun", "ended"] * 2
    assert rows[-1]["seconds"] >= 0


def test_a_log_that_cannot_be_written_stops_nothing(tmp_path: Path, capsys: object) -> None:
    assert main(["plugins", "--log-file", str(tmp_path / "no" / "run.log")]) == 0


def test_stages_are_timed() -> None:
    console = Console(as_json=True)
    for done in range(3):
        console.progress("track", done, 2)
    console.progress("render", 1, 2)
    assert set(console.seconds) == {"track"}
    assert console.seconds["track"] >= 0


def test_the_bundle_holds_what_support_reads_and_no_more(tmp_path: Path) -> None:
    from julnet_plugin.doctor import Finding, write_bundle
    from julnet_plugin.manager import make_manager

    (tmp_path / "plate.mov").write_bytes(b"footage")
    findings = [Finding(name="cpu", ok=True, found="some")]
    write_bundle(tmp_path / "bundle.zip", findings, make_manager(third_party=False))
    with zipfile.ZipFile(tmp_path / "bundle.zip") as archive:
        assert sorted(archive.namelist()) == ["environment.json", "findings.json", "plugins.json", "versions.json"]
        assert "numpy" in json.loads(archive.read("versions.json"))
        assert json.loads(archive.read("findings.json"))[0]["name"] == "cpu"
