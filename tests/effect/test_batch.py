"""A list of lines: every good one becomes a take, every bad one a row that says why."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import opentimelineio as otio
import pytest

from julnet_plugin.batch.lines import read_lines
from julnet_plugin.cli import main
from julnet_plugin.errors import SettingsError

OPTIONS = ["--device", "cpu", "--deliver", "png", "--out", "6", "--set", "render.chunk_frames=3"]


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "results.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def lines(tmp_path: Path, plate: Path, line: Path) -> Path:
    """Good, good but for its process, missing plate, impossible range, impossible value."""
    rows = [
        "name,plate,dub,in,out,seed",
        f"good,{plate},{line},,,",
        f"crash,{plate},{line},2,5,7",
        f"gone,gone.mov,{line},,,",
        f"range,{plate},{line},900,,",
        f"value,{plate},{line},,,first",
    ]
    (tmp_path / "lines.csv").write_text("\n".join(rows) + "\n", "utf-8")
    return tmp_path / "lines.csv"


#: Loaded by every Python of the first run: its worker dies when it comes to the second line.
CRASH = """
import os, sys
if "worker" in sys.orig_argv:
    import julnet_plugin.jobs as jobs
    before = jobs.redub
    def redub(job, manager):
        if job.values["request"]["take_dir"].endswith("crash"):
            os.abort()
        return before(job, manager)
    jobs.JOBS["redub"] = redub
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_bad_lines_and_crashes_are_rows_and_a_killed_batch_goes_on(
    lines: Path, tiny_model: Path, tmp_path: Path
) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(CRASH)
    path = os.pathsep.join([str(tmp_path / "site"), str(Path(__file__).parents[2])])
    takes = tmp_path / "takes"
    command = ["batch", str(lines), "-o", str(takes), "--model", str(tiny_model), *OPTIONS]
    run = subprocess.Popen(
        [sys.executable, "-m", "julnet_plugin", *command],
        env={**os.environ, "PYTHONPATH": path},
        stderr=subprocess.PIPE,
    )
    while not (takes / "results.csv").exists() or table(takes)[1]["status"] == "waiting":
        assert run.poll() is None
        time.sleep(0.05)
    run.kill()
    run.communicate()
    rows = table(takes)
    assert [row["status"] for row in rows[:2]] == ["done", "failed"]
    assert f"died (exit code {-signal.SIGABRT})" in rows[1]["message"]
    made = (takes / "good" / "take.json").stat().st_mtime_ns
    assert main(command) == 2
    rows = table(takes)
    assert [row["status"] for row in rows] == ["done", "done", "refused", "refused", "refused"]
    assert "gone.mov" in rows[2]["message"]
    assert "a whole number is needed" in rows[4]["message"]
    assert (takes / "good" / "take.json").stat().st_mtime_ns == made
    assert json.loads((takes / "crash" / "take.json").read_text())["plate"]["frame_range"] == [2, 5]


def test_a_timeline_s_clips_are_lines(tmp_path: Path) -> None:
    clip = otio.schema.Clip(
        name="sh010",
        media_reference=otio.schema.ExternalReference(
            target_url="file:///plates/sh%20010.mov",
            available_range=otio.opentime.TimeRange(
                otio.opentime.RationalTime(86400, 24), otio.opentime.RationalTime(99, 24)
            ),
        ),
        source_range=otio.opentime.TimeRange(otio.opentime.RationalTime(86410, 24), otio.opentime.RationalTime(20, 24)),
        metadata={"julnet": {"dub": "line.wav", "seed": 3}},
    )
    track = otio.schema.Track(children=[otio.schema.Clip(name="silent"), clip])
    timeline = otio.schema.Timeline(tracks=[track])
    (tmp_path / "cut.otio").write_text(otio.adapters.write_to_string(timeline, "otio_json"), "utf-8")
    (line,) = read_lines(tmp_path / "cut.otio", tmp_path / "takes", {"device": "cpu"})
    assert line.request is not None
    assert (line.name, line.request.plate, line.request.dub) == (
        "sh010",
        Path("/plates/sh 010.mov"),
        tmp_path / "line.wav",
    )
    assert (line.request.in_point, line.request.out_point, line.request.seed) == ("10", "30", 3)


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"plate": "a", "dub": "b", "name": "../../etc"}, "use letters, digits"),
        ({"plate": "a", "dub": "b", "take_dir": "/tmp/x"}, "takes go into the batch's folder"),
        ({"plate": "a", "dub": "b", "modle": "rt"}, "did you mean model"),
        ({"plate": "a"}, "lacks dub"),
        (["a"], "an object of request fields is needed"),
    ],
)
def test_a_line_that_cannot_be_understood_says_why(row: object, why: str, tmp_path: Path) -> None:
    (tmp_path / "lines.json").write_text(json.dumps([row, {"plate": "a", "dub": "b", "name": "good"}]), "utf-8")
    bad, good = read_lines(tmp_path / "lines.json", tmp_path, {})
    assert why in bad.problem
    assert good.request is not None


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("lines.csv", "plate\na.mov\n", "no column dub"),
        ("lines.csv", "", "no column plate"),
        ("lines.json", "{}", "holds no lines"),
        ("lines.json", "[]", "holds no line"),
        ("lines.otio", "{}", "is no timeline|holds no line"),
        ("lines.otio", '{"OTIO_SCHEMA": "Timeline.999"}', "is no timeline"),
        ("lines.txt", "", "is no list of lines"),
    ],
)
def test_a_file_that_is_no_list_is_refused(name: str, text: str, why: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text, "utf-8")
    with pytest.raises(SettingsError, match=why):
        read_lines(tmp_path / name, tmp_path, {})


def test_names_count_once_on_every_file_system(tmp_path: Path) -> None:
    rows = [{"plate": "a", "dub": "b", "name": name} for name in ("Hello", "hello")]
    (tmp_path / "lines.json").write_text(json.dumps(rows), "utf-8")
    assert "too" in read_lines(tmp_path / "lines.json", tmp_path, {})[1].problem
