"""The built-in effect, from a request to a take on disk."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import OpenEXR
import pytest
import soundfile
from numpy.typing import NDArray
from skimage.data import chelsea

from julnet_plugin.errors import (
    InputError,
    NoFaceFoundError,
    RedubCancelled,
    SettingsError,
    TakeError,
    TimeRangeError,
)
from julnet_plugin.face.detect import MediaPipeFaceMesh
from julnet_plugin.media.probe import probe
from julnet_plugin.media.reader import open_plate
from julnet_plugin.pipeline import manifest, schedule
from julnet_plugin.pipeline.cropdata import CropChunk, chunk_name
from julnet_plugin.pipeline.references import REFERENCES, References
from julnet_plugin.take import load_take
from julnet_plugin.types import FrameRange, Take

Picture = NDArray[np.uint8]
Render = Callable[..., Take]
WritePlate = Callable[..., Path]
Contents = Callable[[Path], dict[str, str]]


def pictures_of(path: Path, pattern: str = "png/dub.######.png") -> list[Any]:
    with open_plate(path / pattern if path.is_dir() else path) as reader:
        return [frame.rgb for frame in reader.frames()]


@pytest.fixture(scope="module")
def take(render: Render, tmp_path_factory: pytest.TempPathFactory) -> Take:
    """What all tests that only look at a plain take share."""
    return render(tmp_path_factory.mktemp("shared") / "take", deliver=("png", "h264", "exr"))


def test_a_take_is_whole_and_nothing_lies_beside_it(take: Take) -> None:
    assert [path.name for path in take.path.parent.iterdir()] == ["take"]
    names = {path.name for path in take.path.iterdir()}
    scripts = {"comp.nk", "comp.comp", "timeline.otio"}
    reports = {"report.png", "report.html"}
    assert names == scripts | reports | {"take.json", "strokes.json", "dub.mov", "matte.mov", "png", "exr", "data"}
    assert len(list((take.path / "png").glob("dub.*.png"))) == 24


def test_the_mouth_changes_and_nothing_else_does(take: Take, plate: Path) -> None:
    before, after = pictures_of(plate), pictures_of(take.path)
    coverage = pictures_of(take.path, "png/coverage.######.png")
    changed = [np.any(a != b, axis=2) for a, b in zip(before, after, strict=True)]
    assert all(not (moved & (c[..., 0] == 0)).any() for moved, c in zip(changed, coverage, strict=True))
    assert np.mean([moved.sum() for moved in changed]) > 500


@pytest.mark.parametrize(("scale", "crop_size"), [(1, (208, 160)), (3, (416, 320))])
def test_crops_are_as_large_as_the_plate_shows_the_mouth(
    render: Render,
    write_plate: WritePlate,
    portrait: list[Picture],
    sharp_model: Path,
    tmp_path: Path,
    scale: int,
    crop_size: tuple[int, int],
) -> None:
    source = write_plate([cv2.resize(picture, None, fx=scale, fy=scale) for picture in portrait[:3]])
    made = render(tmp_path / "take", plate=source, model=str(sharp_model), deliver=("png", "crop-exr"))
    assert made.manifest["model"]["crop_size"] == list(crop_size)
    assert CropChunk.load(made.path / "data" / chunk_name(0)).size == crop_size
    assert References.load(made.path / "data" / REFERENCES).images.shape[1:3] == crop_size
    with OpenEXR.File(str(made.path / "crop" / "layers.000000.exr")) as layers:
        assert layers.channels()["RGBA"].pixels.shape[:2] == crop_size
    assert all(row["redubbed"] for row in made.manifest["frames"])


@pytest.mark.parametrize(("uneasy_cv", "warned"), [(0.001, True), (250.0, False)])
def test_a_take_warns_when_all_of_it_is_uncertain(
    render: Render, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uneasy_cv: float, warned: bool
) -> None:
    monkeypatch.setattr(manifest, "UNEASY_CV", uneasy_cv)
    made = render(tmp_path / "take", out_point="3")
    assert any("unsure of the whole take" in warning for warning in made.manifest["warnings"]) == warned


def test_the_manifest_tells_every_frame(take: Take) -> None:
    rows = take.manifest["frames"]
    assert [row["frame"] for row in rows] == list(range(24))
    assert all(row["found"] and row["redubbed"] and row["reason"] == "" for row in rows)
    assert all(0 < row["sigma_mean"] <= row["sigma_p95"] and row["coverage_px"] > 500 for row in rows)
    assert len(take.manifest["shots"][0]["references"]) == 5
    assert take.manifest["inputs"]["plate"]["sha256"] == take.manifest["job"]["plate"]
    assert "trainedAlgorithmicMedia" in str(take.manifest["synthetic"])


def test_one_request_gives_one_take_to_the_byte(take: Take, render: Render, tmp_path: Path, contents: Contents) -> None:
    again = render(tmp_path / "take", deliver=("png", "h264", "exr"))
    assert contents(again.path) == contents(take.path)


def test_resuming_a_finished_take_gives_it_back_at_once(take: Take, render: Render, contents: Contents) -> None:
    before = contents(take.path)
    stages: list[str] = []
    again = render(
        take.path, lambda stage, done, total: stages.append(stage), deliver=("png", "h264", "exr"), resume=True
    )
    assert again.manifest == take.manifest
    assert stages == []
    assert contents(take.path) == before


def test_a_finished_take_is_never_overwritten(take: Take, render: Render, contents: Contents) -> None:
    before = contents(take.path)
    with pytest.raises(TakeError, match="already holds a take"):
        render(take.path)
    with pytest.raises(TakeError, match="another deliver"):
        render(take.path, resume=True)
    assert contents(take.path) == before


@pytest.mark.parametrize("pixel_format", ["yuv422p10le", "yuv444p"])
def test_pixels_without_coverage_are_the_plates_own_at_every_depth(
    render: Render, write_plate: WritePlate, portrait: list[Picture], tmp_path: Path, pixel_format: str
) -> None:
    source = write_plate(portrait[:8], pixel_format=pixel_format)
    made = render(tmp_path / "take", plate=source)
    before, after = pictures_of(source), pictures_of(made.path)
    coverage = pictures_of(made.path, "png/coverage.######.png")
    assert after[0].dtype == before[0].dtype == (np.uint16 if "10" in pixel_format else np.uint8)
    for a, b, c in zip(before, after, coverage, strict=True):
        outside = c[..., 0] == 0
        assert np.array_equal(a[outside], b[outside])
        assert (a[~outside] != b[~outside]).any()


def test_a_half_float_sequence_keeps_its_highlights_outside_coverage(
    render: Render, portrait: list[Picture], tmp_path: Path
) -> None:
    folder = tmp_path / "plate"
    folder.mkdir()
    for k, picture in enumerate(portrait[:6]):
        linear = (np.power(picture / np.float32(255), 2.2) * 0.9).astype(np.float16)
        linear[:30, :30] = 37.5  # a lamp, far above display white
        channels = {name: np.ascontiguousarray(linear[..., c]) for c, name in enumerate("RGB")}
        OpenEXR.File({"type": OpenEXR.scanlineimage}, channels).write(str(folder / f"shot.{1001 + k}.exr"))
    made = render(tmp_path / "take", plate=folder, deliver=("exr",), colour_space="Linear Rec.709 (sRGB)")
    assert made.manifest["plate"]["first_number"] == 1001
    for k in range(6):
        name = f"{1001 + k}.exr"
        with (
            OpenEXR.File(str(folder / f"shot.{name}"), separate_channels=True) as before,
            OpenEXR.File(str(made.path / "exr" / f"layers.{1001 + k:06d}.exr"), separate_channels=True) as after,
        ):
            old, new = before.channels(), after.channels()
            (x0, y0), (x1, y1) = after.header()["dataWindow"]
            assert (x1 - x0 + 1) * (y1 - y0 + 1) < 320 * 240 / 4, "tight to the face"
            a = new["A"].pixels.astype(np.float32)
            assert (a > 0).sum() > 500
            for c in "RGB":
                under = old[c].pixels[y0 : y1 + 1, x0 : x1 + 1].astype(np.float32)
                comp = new[c].pixels + under * (1 - a)
                assert np.array_equal(comp[a == 0], under[a == 0])
                assert (comp != under).any()


def test_a_plate_of_one_frame_and_odd_size_is_a_plate(
    render: Render, write_plate: WritePlate, portrait: list[Picture], tmp_path: Path
) -> None:
    source = write_plate([np.ascontiguousarray(portrait[0][:239, :319])], pixel_format="yuv444p")
    made = render(tmp_path / "take", plate=source, deliver=("png", "prores"))
    assert [row["redubbed"] for row in made.manifest["frames"]] == [True]
    assert probe(made.path / "dub.mov").frame_count == 1


class Stop:
    """Progress that cancels after some calls of one stage."""

    def __init__(self, stage: str, calls: int) -> None:
        self.stage, self.left = stage, calls

    def __call__(self, stage: str, done: int, total: int) -> None:
        self.left -= stage == self.stage
        if self.left < 0:
            raise RedubCancelled


@pytest.fixture(scope="module")
def unbroken(render: Render, tmp_path_factory: pytest.TempPathFactory, contents: Contents) -> dict[str, str]:
    return contents(render(tmp_path_factory.mktemp("unbroken") / "take", deliver=("h264", "png")).path)


def test_a_render_stopped_again_and_again_gives_the_same_bytes(
    render: Render, tmp_path: Path, unbroken: dict[str, str], contents: Contents
) -> None:
    stops = [("audio", 1), ("track", 9), ("render", 3), ("render", 11), ("deliver", 5), ("deliver", 9), ("deliver", 3)]
    for number, (stage, calls) in enumerate(stops):
        with pytest.raises(RedubCancelled):
            render(tmp_path / "take", Stop(stage, calls), deliver=("h264", "png"), resume=number > 0)
        assert not (tmp_path / "take").exists()
    made = render(tmp_path / "take", deliver=("h264", "png"), resume=True)
    assert contents(made.path) == unbroken


def test_finished_chunks_are_not_made_again(render: Render, tmp_path: Path) -> None:
    with pytest.raises(RedubCancelled):
        render(tmp_path / "take", Stop("deliver", 15))
    seen: dict[str, list[int]] = {}
    render(tmp_path / "take", lambda stage, done, total: seen.setdefault(stage, []).append(done), resume=True)
    assert "track" not in seen
    assert "render" not in seen
    assert seen["deliver"] == list(range(15, 25)), "two chunks of seven were finished"


def test_another_request_cannot_resume(render: Render, tmp_path: Path) -> None:
    with pytest.raises(RedubCancelled):
        render(tmp_path / "take", Stop("render", 2))
    with pytest.raises(TakeError, match="another seed"):
        render(tmp_path / "take", resume=True, seed=4)
    with pytest.raises(TakeError, match="--resume"):
        render(tmp_path / "take")


def test_progress_counts_every_frame_of_every_stage(render: Render, tmp_path: Path) -> None:
    seen: dict[str, list[tuple[int, int]]] = {}
    render(tmp_path / "take", lambda stage, done, total: seen.setdefault(stage, []).append((done, total)))
    assert list(seen) == ["audio", "track", "render", "deliver"]
    for stage in ("track", "render", "deliver"):
        assert seen[stage] == [(k, 24) for k in range(1, 25)]


def test_in_and_out_points_cut_the_take(render: Render, tmp_path: Path, plate: Path) -> None:
    made = render(tmp_path / "take", in_point="5", out_point="0.6s", deliver=("h264", "png"))
    assert made.manifest["plate"]["frame_range"] == [5, 15]
    assert sorted(p.name for p in (made.path / "png").glob("dub.*"))[0] == "dub.000005.png"
    assert probe(made.path / "dub.mov").frame_count == 10
    before = pictures_of(plate)[5:15]
    after = pictures_of(made.path)
    assert all(np.array_equal(a[:60], b[:60]) for a, b in zip(before, after, strict=True))


def test_a_short_dub_lets_the_plate_come_back(render: Render, tmp_path: Path, line: Path) -> None:
    samples, rate = soundfile.read(line)
    soundfile.write(tmp_path / "short.wav", samples[: rate // 10], rate)
    made = render(tmp_path / "take", dub=tmp_path / "short.wav")
    rows = made.manifest["frames"]
    assert [row["reason"] for row in rows[-8:]] == [schedule.NO_DUB] * 8
    assert [row["coverage_px"] for row in rows[-8:]] == [0] * 8
    weights = [row["weight"] for row in rows]
    assert weights[: round(0.4 * 25) - 1] == [1.0] * 9
    assert 0 < weights[12] < 1
    assert any("original picture stays" in warning for warning in made.manifest["warnings"])


def test_a_long_dub_ends_with_the_shot_and_the_take_says_so(take: Take) -> None:
    assert any("longer than the shot" in warning for warning in take.manifest["warnings"])
    assert probe(take.path / "dub.mov").audio[0].duration_s == pytest.approx(24 / 25, abs=0.03)


def test_a_late_dub_leaves_the_beginning_alone(render: Render, tmp_path: Path) -> None:
    rows = render(tmp_path / "take", dub_offset_s=0.8).manifest["frames"]
    assert [row["redubbed"] for row in rows[:7]] == [False] * 7
    assert rows[-1]["weight"] == 1.0


def hidden(picture: Picture, left: int = 70, right: int = 250) -> Picture:
    """The same picture with a board held before it, from one column to another."""
    board = picture.copy()
    board[20:225, max(left, 0) : max(right, 0)] = np.array([120, 115, 110], np.uint8)
    return board


def test_frames_without_a_face_pass_through_and_are_named(
    render: Render, write_plate: WritePlate, portrait: list[Picture], tmp_path: Path
) -> None:
    pictures = [hidden(p, 25 * k - 250, 25 * k - 50) for k, p in enumerate(portrait)]  # it slides by, so no cut
    made = render(tmp_path / "take", plate=write_plate(pictures))
    rows = made.manifest["frames"]
    gone = [row["frame"] for row in rows if row["reason"] == schedule.NO_FACE]
    assert set(range(11, 16)) <= set(gone)
    assert len(made.manifest["shots"]) == 1
    assert all(rows[k]["coverage_px"] == 0 for k in gone)
    assert 0 < rows[gone[0] - 1]["weight"] < rows[gone[0] - 2]["weight"] <= 1, "coverage fades towards the gap"
    assert any(schedule.NO_FACE in warning for warning in made.manifest["warnings"])
    before = pictures_of(Path(made.manifest["inputs"]["plate"]["path"]))
    after = pictures_of(made.path)
    assert all(np.array_equal(before[k], after[k]) for k in gone)


def test_a_hard_cut_makes_two_shots_with_references_of_their_own(
    render: Render, write_plate: WritePlate, portrait: list[Picture], tmp_path: Path
) -> None:
    other = [np.ascontiguousarray(p[:, ::-1] // 2 + 90) for p in portrait]
    other = [np.roll(p, 40, axis=1) for p in other]
    made = render(tmp_path / "take", plate=write_plate([*portrait[:12], *other[:12]]))
    shots = made.manifest["shots"]
    assert [(shot["start"], shot["stop"]) for shot in shots] == [(0, 12), (12, 24)]
    assert all(12 * k <= frame < 12 * (k + 1) for k, shot in enumerate(shots) for frame in shot["references"])
    assert made.manifest["frames"][11]["weight"] == made.manifest["frames"][12]["weight"] == 1.0


@pytest.mark.parametrize(
    ("rate", "timecode"),
    [(Fraction(24000, 1001), "10:00:00:00"), (Fraction(30000, 1001), "01:00:59;28"), (Fraction(50), None)],
)
def test_count_rate_and_timecode_are_the_plates(
    render: Render,
    write_plate: WritePlate,
    portrait: list[Picture],
    tmp_path: Path,
    rate: Fraction,
    timecode: str | None,
) -> None:
    made = render(
        tmp_path / "take", plate=write_plate(portrait[:10], rate=rate, timecode=timecode), deliver=("prores",)
    )
    info = probe(made.path / "dub.mov")
    assert (info.frame_count, info.rate, info.start_timecode) == (10, rate, timecode)
    assert info.audio[0].duration_s == pytest.approx(float(10 / rate), abs=0.002)


def test_a_variable_rate_plate_keeps_its_frames_and_their_times(
    render: Render, write_plate: WritePlate, portrait: list[Picture], tmp_path: Path
) -> None:
    times = [0, 40, 80, 160, 180, 240, 280, 330, 400, 430]
    source = write_plate(portrait[:10], times_ms=times)
    made = render(tmp_path / "take", plate=source, deliver=("h264",))
    info = probe(made.path / "dub.mov")
    assert info.frame_count == 10
    assert info.frame_times_s == pytest.approx([t / 1000 for t in times], abs=0.002)


def test_chosen_references_are_used_and_wrong_ones_named(render: Render, tmp_path: Path) -> None:
    made = render(tmp_path / "take", refs="2, 9,20", out_point="16")
    assert sorted(made.manifest["shots"][0]["references"]) == [2, 2, 9, 9, 20]
    with pytest.raises(TimeRangeError, match="frame 24 lies too far from the range"):
        render(tmp_path / "other", refs="2,24", out_point="16")
    with pytest.raises(SettingsError, match="not a choice of references"):
        render(tmp_path / "other", refs="all")
    with pytest.raises(SettingsError, match="this model takes 5"):
        render(tmp_path / "other", refs="1,2,3,4,5,6")


def test_a_face_that_is_not_there_is_refused_and_nothing_is_left(render: Render, tmp_path: Path) -> None:
    for face, words in (("3", "there is no face 3"), ("5,5@2", "no face is at 5,5"), ("left", "does not name a face")):
        with pytest.raises(InputError, match=words):
            render(tmp_path / "new" / "take", face=face)
    assert list(tmp_path.iterdir()) == []


def test_a_plate_without_any_face_is_refused_and_nothing_is_left(
    render: Render, write_plate: WritePlate, portrait: list[Picture], tmp_path: Path
) -> None:
    with pytest.raises(NoFaceFoundError, match="no face was found"):
        render(tmp_path / "take", plate=write_plate([hidden(p) for p in portrait[:6]]))
    assert list(tmp_path.iterdir()) == []


def test_a_face_that_is_too_small_on_every_frame_passes_through_and_the_take_says_so(
    render: Render, plate: Path, tmp_path: Path
) -> None:
    made = render(tmp_path / "take", out_point="4", settings={"face.min_mouth_px": 4096.0}, deliver=("png", "h264"))
    assert not any(row["redubbed"] for row in made.manifest["frames"])
    assert made.manifest["warnings"][0].startswith("no frame was re-dubbed (mouth too small on 4 of 4 frames)")
    with open_plate(plate) as before, open_plate(made.path / "png" / "dub.######.png") as after:
        for a, b in zip(before.frames(FrameRange(start=0, stop=4)), after.frames(), strict=True):
            assert np.array_equal(a.rgb, b.rgb)


def test_a_take_that_is_damaged_or_newer_is_refused_in_one_sentence(take: Take, tmp_path: Path) -> None:
    with pytest.raises(TakeError, match="holds no take"):
        load_take(tmp_path)
    text = (take.path / "take.json").read_text()
    for wrong, words in (
        (text.replace('"version": "1.0"', '"version": "2.0"'), "version 2.0"),
        (text.replace("julnet.take", "other.thing"), "not a take's"),
        (text[:-40], "cannot be read"),
        (text.replace('"files"', '"flies"'), "lacks files"),
    ):
        (tmp_path / "take.json").write_text(wrong)
        with pytest.raises(TakeError, match=words):
            load_take(tmp_path)


def test_a_short_range_takes_references_from_its_shot_around_it_and_never_from_behind_a_cut(
    render: Render, write_plate: WritePlate, portrait: list[Picture], tmp_path: Path
) -> None:
    other = [np.ascontiguousarray(255 - picture[:, ::-1]) for picture in portrait[:6]]
    plate = write_plate([*portrait[:14], *other])
    made = render(tmp_path / "take", plate=plate, in_point="5", out_point="8")
    chosen = made.manifest["shots"][0]["references"]
    assert len(set(chosen)) == 5, "three frames would have had to repeat"
    assert max(chosen) < 14
    assert [row["frame"] for row in made.manifest["frames"]] == [5, 6, 7]
    assert len(made.manifest["shots"]) == 1


def test_where_something_is_in_front_of_the_mouth_the_plate_stays_and_the_take_says_so(
    render: Render, write_plate: WritePlate, portrait: list[Picture], tmp_path: Path
) -> None:
    tracker = MediaPipeFaceMesh()
    pictures = [picture.copy() for picture in portrait]
    for picture in pictures[10:14]:
        face = tracker.detect(picture, 1)[0]
        (x, y), reach = face[[13, 14], :2].mean(axis=0).round().astype(int), int(0.36 * np.ptp(face[:, 0]))
        here = picture[y - reach : y + reach, x - reach : x + reach]
        here[:] = cv2.resize(chelsea(), (2 * reach, 2 * reach), interpolation=cv2.INTER_AREA)
    tracker.close()
    made = render(tmp_path / "take", plate=write_plate(pictures))
    rows = made.manifest["frames"]
    held = [row["frame"] for row in rows if row["reason"]]
    assert {10, 11, 12, 13} <= set(held) <= set(range(7, 17))
    assert {row["reason"] for row in rows if row["reason"]} == {"something is in front of the mouth"}
    weights = np.array([row["weight"] for row in rows])
    assert np.abs(np.diff(weights)).max() < 0.2, "the plate comes and goes softly"
    assert max(weights[:6].max(), weights[18:].max()) > 0.8
    assert made.manifest["review"][0]["reasons"] == ["something is in front of the mouth"]
    assert not set(held) & set(made.manifest["shots"][0]["references"])
    assert any("something is in front of the mouth" in warning for warning in made.manifest["warnings"])
    anyway = render(tmp_path / "anyway", plate=write_plate(pictures), settings={"face.max_covered": 1.0})
    assert all(row["redubbed"] for row in anyway.manifest["frames"])
