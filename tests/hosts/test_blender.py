"""Blender beyond the contract: the extension from its zip, a new user's way through it, and what goes wrong on it."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bench import Shot, pictures_of
from bench_blender import BlenderBench, blender, missing

from host_adapters.base import ClipRefused
from host_adapters.blender.addon.facts import movie_facts, outside_path
from host_adapters.blender.headless import find_blender
from host_adapters.blender.package import files, write_zip
from julnet_plugin.cli import main

SUPPORT = Path(__file__).parent / "support"
needs_blender = pytest.mark.skipif(bool(missing()), reason=missing() or "here")
SIZE, TRIM, FRAMES = (240, 180), (3, 11), 14


@pytest.fixture(scope="module")
def journey(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a new user met, told by the script that went the way."""
    import cv2

    from julnet_plugin.demo import camera_move, make_demo

    folder = tmp_path_factory.mktemp("new user")
    _, dub = make_demo(folder, frames=1)
    plate = folder / "plate 1.mov"
    _write_plate(plate, [np.asarray(cv2.resize(p, SIZE, interpolation=cv2.INTER_AREA)) for p in camera_move(FRAMES)])
    wanted = {
        "zip": str(write_zip(folder / "julnet.zip")), "plate": str(plate), "dub": str(dub), "folder": str(folder),
        "python": sys.executable, "model": "rt", "rate": 25, "size": SIZE, "trim": TRIM, "faults": True,
    }  # fmt: skip
    (folder / "wanted.json").write_text(json.dumps(wanted), "utf-8")
    environment = {**os.environ, "BLENDER_USER_RESOURCES": str(folder / "blender")}
    environment.pop("PYTHONPATH", None)
    command = [str(find_blender()), "-I", str(SUPPORT / "blender_journey.py"), str(folder / "wanted.json")]
    done = subprocess.run(command, env=environment, capture_output=True, timeout=840, check=False)
    report: dict[str, Any] = json.loads((folder / "report.json").read_text("utf-8")) if done.returncode == 0 else {}
    assert "failure" not in report, report["failure"]
    assert report, done.stderr.decode("utf-8", "replace")[-800:]
    return report


def _write_plate(path: Path, pictures: list[Any]) -> None:
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("png", rate=25)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "rgb24"
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


def takes_are_still_there(journey: dict[str, Any]) -> None:
    assert "serve.py" not in journey["installed"]
    assert journey["redub"].endswith("is placed")
    assert journey["takes_after_reopening"] == [[Path(journey["take"]).name, True]]
    original, dub, held, painted, again = (
        pictures_of(journey[name]).astype(int) for name in ("original", "dub", "held", "painted", "reopened")
    )
    half = SIZE[0] // 2
    assert len(original) == TRIM[1] - TRIM[0]
    assert np.abs(dub - original).max() > 8
    assert np.array_equal(painted[:, :, :half], original[:, :, :half])
    assert np.array_equal(painted[:, :, half:], held[:, :, half:])
    assert np.array_equal(again, painted)
    assert np.array_equal(pictures_of(journey["matte"])[:, :, :half].min(axis=(1, 2, 3)), [255] * (TRIM[1] - TRIM[0]))


def the_new_line_is_heard_with_its_take(journey: dict[str, Any]) -> None:
    shown, original, reopened = journey["heard"]
    assert (len(shown), original, reopened) == (1, [], shown)
    assert shown[0].endswith("sound")


def the_painted_matte_is_in_the_take(journey: dict[str, Any]) -> None:
    assert journey["sent"][0] == "done", journey["sent"]
    assert "override" in json.loads((Path(journey["take"]) / "take.json").read_text("utf-8"))


def two_renders_at_once_are_two_takes_with_handles(journey: dict[str, Any]) -> None:
    assert journey["two_at_once"] == ["done", "done"]
    assert len(set(journey["two_folders"])) == 2
    assert journey["range_with_handles"] == [TRIM[0] - 2, TRIM[1] + 2]


def what_goes_wrong_is_one_sentence_and_loses_nothing(journey: dict[str, Any]) -> None:
    state, sentence, unchanged = journey["worker_killed"]
    assert (state, unchanged) == ("failed", True)
    assert "start the job again" in sentence
    assert "is not there" in journey["plate_moved"]
    state, sentence, _ = journey["project_closed"]
    assert (state, journey["take_on_disk"]) == ("failed", True)
    assert "is not open any more" in sentence


@needs_blender
def test_a_new_user_s_way_through_the_extension_and_what_goes_wrong_on_it(journey: dict[str, Any]) -> None:
    """One test, since the way is long: a second process would go it a second time."""
    takes_are_still_there(journey)
    the_new_line_is_heard_with_its_take(journey)
    the_painted_matte_is_in_the_take(journey)
    two_renders_at_once_are_two_takes_with_handles(journey)
    what_goes_wrong_is_one_sentence_and_loses_nothing(journey)


def test_the_zip_is_the_same_every_time_and_stands_alone(tmp_path: Path) -> None:
    first, second = write_zip(tmp_path / "a.zip"), write_zip(tmp_path / "b.zip")
    assert first.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(first) as archive:
        assert sorted(archive.namelist()) == sorted(files())
    known = {name.removesuffix(".py") for name in files()} | {""}
    for name, text in files().items():
        for node in ast.walk(ast.parse(text)) if name.endswith(".py") else []:
            if isinstance(node, ast.Import):
                assert {alias.name.partition(".")[0] for alias in node.names} <= sys.stdlib_module_names | {"bpy"}
            if isinstance(node, ast.ImportFrom):
                module = (node.module or "").partition(".")[0]
                assert module in (known if node.level else sys.stdlib_module_names), (name, node.module)


def test_the_zip_is_written_by_the_command_and_only_for_a_host_that_takes_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["hosts", "install", "blender", "--zip", str(tmp_path / "j.zip")]) == 0
    assert zipfile.is_zipfile(tmp_path / "j.zip")
    assert main(["hosts", "install", "nuke", "--zip", str(tmp_path / "n.zip")]) == 2
    assert main(["hosts", "install", "blender", "--zip", str(tmp_path / "no" / "j.zip")]) == 2
    assert "choose another place" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["j.zip"]


@needs_blender
@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize(("own", "timeline"), [(Fraction(25), Fraction(24)), (Fraction(24000, 1001), Fraction(24))])
def test_a_clip_that_keeps_its_own_rate_gets_a_take_that_shows_the_same_frames(
    tmp_path: Path,
    make_shot: Callable[..., Shot],
    make_take: Callable[..., Any],
    own: Fraction,
    timeline: Fraction,
    first: int,
) -> None:
    shot = make_shot(rate=own)
    bench = BlenderBench(tmp_path / "project")
    session = bench.open(shot)
    blender().ask("new", str(bench.path), [timeline.numerator, timeline.denominator], list(shot.size))
    blender().ask("add_clip", str(shot.plate), 1, 10, [12, 22], True)
    (clip,) = session.list_clips()
    before = pictures_of(session.render(clip.record, str(tmp_path / "before"))).astype(int)
    session.place_take(clip, make_take(shot, start=first))
    after = pictures_of(session.render(clip.record, str(tmp_path / "after"))).astype(int)
    assert np.abs(before + after - 255).max() == 0  # the take is the plate's negative, frame for frame


@needs_blender
def test_takes_stay_with_a_clip_that_was_renamed_and_not_with_its_copy(
    tmp_path: Path, make_shot: Callable[..., Shot], make_take: Callable[..., Any]
) -> None:
    shot = make_shot(start=2, stop=14, record_in=5)
    session = BlenderBench(tmp_path / "project").open(shot)
    (clip,) = session.list_clips()
    session.place_take(clip, make_take(shot))
    blender().ask("split", clip, 10)
    left, right = session.list_clips()
    assert (len(session.takes(left)), len(session.takes(right))) == (1, 0)
    assert (left.source.stop, right.source.start) == (right.source.start, left.source.stop)


@needs_blender
@pytest.mark.parametrize(
    ("how", "said"), [("keys", "has 3 retiming keys"), ("slow", "5[0-2] % speed"), ("reversed", "-100 % speed")]
)
def test_a_strip_that_is_retimed_in_any_way_is_refused_and_nothing_changes(
    tmp_path: Path, make_shot: Callable[..., Shot], make_take: Callable[..., Any], how: str, said: str
) -> None:
    shot = make_shot(start=0, stop=16, record_in=5)
    session = BlenderBench(tmp_path / "project").open(shot)
    blender().ask("retime", how)
    (clip,) = session.list_clips()
    with pytest.raises(ClipRefused, match=f"{said}.*a clip at 100 % is needed"):
        session.place_take(clip, make_take(shot))
    assert (session.takes(clip), session.list_clips()) == ([], [clip])


@needs_blender
def test_sound_that_reaches_beyond_the_clip_or_was_muted_already_is_left_alone(
    tmp_path: Path, make_shot: Callable[..., Shot], make_take: Callable[..., Any]
) -> None:
    shot = make_shot(start=2, stop=14, record_in=5, sound=True)
    session = BlenderBench(tmp_path / "project").open(shot)
    (clip,) = session.list_clips()
    own, line = "plate.001", "plate.mov line sound"
    assert blender().ask("muted") == {own: False}
    blender().ask("trim_sound", [3, 17])  # it begins before the picture does
    session.place_take(clip, make_take(shot))
    assert blender().ask("muted") == {own: False, line: False}
    session.undo()
    blender().ask("trim_sound", [5, 17])
    blender().ask("mute_sound", True)  # by a person
    session.place_take(clip, make_take(shot, name="line 2"))
    session.select_take(clip, None)
    assert blender().ask("muted") == {own: True, "plate.mov line 2 sound": True}


@pytest.mark.parametrize("name", ["a.mov", "a.mp4"])
def test_a_movie_s_own_account_of_itself_is_read(make_movie: Callable[..., Path], name: str) -> None:
    """FFmpeg writes no reel into MP4. A file that is cut off anywhere says less, and is no error."""
    codec = {"codec": "png", "pixel_format": "rgb24"} if name == "a.mov" else {}
    path = make_movie(name, frames=7, timecode="10:00:01;02", rate=Fraction(30000, 1001), reel="B003 é", **codec)
    facts = movie_facts(str(path))
    assert (facts.frames, facts.timecode) == (7, "10:00:01;02")
    assert facts.reel == ("B003 é" if name == "a.mov" else None)
    data = path.read_bytes()
    for cut in range(0, len(data), 41):
        path.write_bytes(data[:cut])
        movie_facts(str(path))


def test_a_network_share_is_not_taken_for_a_path_beside_the_project() -> None:
    assert outside_path("//server/share/a b.mov", windows=True) == r"\\server\share\a b.mov"
    assert outside_path("//mnt/a b.mov", windows=False) == "/mnt/a b.mov"
    for plain in ("/mnt/a.mov", r"\\server\share\a.mov", "C:/a.mov"):
        assert outside_path(plain, windows=True) == outside_path(plain, windows=False) == plain
