from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from scipy.signal import resample
from skimage import data

from julnet_plugin.errors import RedubCancelled
from julnet_plugin.manager import Manager, make_manager
from trainer import gates as g
from trainer import prepare as room
from trainer import sync
from trainer.config import LipTraining
from trainer.cutting import Cutter, CuttingSettings, Row
from trainer.dataset import Clip, DatasetError, clip_paths, read_clip, read_header, write_clip
from trainer.footage import Source
from trainer.prepare import Prepared, PrepareSettings, prepare
from trainer.teacher import LipTeacher
from trainer.workers import Crash, work

FRAMES = 12
GATES = g.Gates(min_frames=6, picture_mouth_px=40.0)
EAR = LipTraining(codes=3, width=16, dropout=0.05, epochs=40, batch=64, learning_rate=5e-3)
SETTINGS = PrepareSettings(cutting=CuttingSettings(gates=GATES), sync=False)

MakeMovie = Callable[..., Path]
MakeClip = Callable[..., Clip]


photograph = cache(data.astronaut)


def portrait(index: int) -> NDArray[np.uint8]:
    """A real face that drifts by a fraction of a pixel a frame. (240, 320, 3)."""
    move = np.array([[1.0, 0.0, -60.0 - 0.3 * index], [0.0, 1.0, -10.0]])
    return np.asarray(cv2.warpAffine(photograph(), move, (320, 240)), np.uint8)


@pytest.fixture(scope="module")
def voice() -> NDArray[np.float32]:
    """Half a second of the demo's line, (n, 1) at 16 kHz."""
    with as_file(files("julnet_plugin").joinpath("data", "demo_line.flac")) as path:
        samples, rate = soundfile.read(path, dtype="float32")
    return np.asarray(samples[rate // 2 : rate + 2000], np.float32)[:, None]


@pytest.fixture(scope="module")
def manager() -> Manager:
    return make_manager(third_party=False)


@pytest.fixture
def shoot(make_movie: MakeMovie, voice: NDArray[np.float32]) -> MakeMovie:
    """`shoot("ann_1.mp4", …)`: a talking portrait of 12 frames, or whatever the options make of it."""

    def shot(name: str, *, sound: NDArray[np.float32] | None = voice, **options: Any) -> Path:
        sounds = [] if sound is None else [("aac", 16_000, sound)]
        known = {"size": (320, 240), "frames": FRAMES, "picture": portrait, "options": {"crf": "12"}, **options}
        return make_movie(name, sounds=sounds, **known)

    return shot


def rows(prepared: Prepared) -> dict[str, Row]:
    return {row.file: row for row in prepared.rows}


def test_good_footage_becomes_clips_and_bad_footage_a_line_of_the_table(
    shoot: MakeMovie, tmp_path: Path, manager: Manager, voice: NDArray[np.float32]
) -> None:
    good = [shoot("ann_1.mp4"), shoot("王_2.mp4", rate=30)]
    bad = {
        shoot("немой 'дубль' (1).mp4", sound=None): g.NO_AUDIO,
        shoot("ちょっと 静か.mp4", sound=np.zeros_like(voice)): g.SILENT,
        shoot("brief.mp4", frames=5): g.SHORT,
        shoot("wall.mp4", picture=lambda index: np.full((240, 320, 3), 90, np.uint8)): g.NO_FACE,
    }
    for name, content in {"empty.mov": b"", "text.mp4": b"not a movie", "cut.mp4": good[0].read_bytes()[:9000]}.items():
        (tmp_path / name).write_bytes(content)
        bad[tmp_path / name] = g.CORRUPT
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "away.mov").symlink_to(tmp_path / "a disk that is not there.mov")
    bad[tmp_path / "disk" / "away.mov"] = g.CORRUPT
    shutil.copy(good[0], tmp_path / "zz_copy.mp4")
    bad[tmp_path / "zz_copy.mp4"] = g.DUPLICATE

    stages: set[str] = set()
    prepared = prepare(
        [*good, *bad.keys() - {tmp_path / "disk" / "away.mov"}, tmp_path / "disk"],
        tmp_path / "set",
        SETTINGS,
        manager,
        progress=lambda stage, done, total: stages.add(stage),
    )

    found = rows(prepared)
    assert {path.name: found[path.name].reason for path in bad} == {path.name: why for path, why in bad.items()}
    assert [found[path.name].verdict for path in good] == [g.KEPT, g.KEPT]
    assert {found[path.name].speaker for path in good} == {"ann", "王"}
    assert len(clip_paths(tmp_path / "set")) == 2
    assert "prepare" in stages
    table = prepared.table.read_text("utf-8").splitlines()
    assert len(table) == 1 + len(good) + len(bad)
    assert all(name in prepared.text() for name in ("no audio 1", "silent 1", "corrupt 4", "duplicate 1", "no face 1"))

    clip = read_clip(tmp_path / "set" / found["ann_1.mp4"].clip)
    assert clip.crop(0).shape == (208, 160, 3)
    assert len(clip) == FRAMES
    assert np.allclose(np.diff(clip.times_s), 1 / 25)
    assert clip.audio.shape[1] == 96
    assert clip.header.features == "whisper-96"
    assert np.ptp(clip.mouth_px) < 2


def test_a_second_run_keeps_what_is_done_and_adds_what_is_new(
    shoot: MakeMovie, tmp_path: Path, manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = shoot("ann_1.mp4")
    before = prepare([first], tmp_path / "set", SETTINGS, manager)
    written = {path: path.stat().st_mtime_ns for path in clip_paths(tmp_path / "set")}
    cut: list[str] = []
    original = Cutter.cut

    def counting(self: Cutter, source: Source, *rest: Any) -> list[Row]:
        cut.append(source.name)
        return original(self, source, *rest)

    monkeypatch.setattr(Cutter, "cut", counting)
    second = shoot("bob_1.mp4", frames=14)
    after = prepare([first, second], tmp_path / "set", SETTINGS, manager)
    assert cut == ["bob_1.mp4"]
    assert {path: path.stat().st_mtime_ns for path in written} == written
    assert len(after.kept) == len(before.kept) + 1

    shoot("ann_1.mp4", frames=13)  # other bytes under the same name
    prepare([first], tmp_path / "set", SETTINGS, manager)
    assert cut == ["bob_1.mp4", "ann_1.mp4"]
    assert rows(after).keys() == {"ann_1.mp4", "bob_1.mp4"}


def test_a_library_that_fails_costs_its_footage_and_not_the_run(
    shoot: MakeMovie, tmp_path: Path, manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, cursed = shoot("ann_1.mp4"), shoot("cursed.mp4", frames=13)
    original = Cutter.cut

    def failing(self: Cutter, source: Source, *rest: Any) -> list[Row]:
        if source.name == "cursed.mp4":
            message = "index 4 is\nout of bounds"
            raise IndexError(message)
        return original(self, source, *rest)

    monkeypatch.setattr(Cutter, "cut", failing)
    found = rows(prepare([good, cursed], tmp_path / "set", SETTINGS, manager))
    assert (found["cursed.mp4"].reason, found["ann_1.mp4"].verdict) == (g.CRASHED, g.KEPT)
    assert found["cursed.mp4"].detail == "IndexError: index 4 is out of bounds"


@pytest.fixture(scope="module")
def line() -> NDArray[np.float32]:
    """The demo's line from its first word on, (n, 1) at 16 kHz."""
    with as_file(files("julnet_plugin").joinpath("data", "demo_line.flac")) as path:
        samples, rate = soundfile.read(path, dtype="float32")
    return np.asarray(samples[rate // 4 :], np.float32)[:, None]


def test_two_voices_at_once_are_named_unless_they_do_not_matter(
    shoot: MakeMovie, tmp_path: Path, manager: Manager, line: NDArray[np.float32]
) -> None:
    length = 32_000
    higher = np.asarray(resample(line, round(len(line) / 1.3)), np.float32)
    movies = [
        shoot("ann.mp4", sound=line[:length], frames=50),
        shoot("both.mp4", sound=0.5 * line[:length] + 0.5 * higher[:length], frames=50),
    ]
    prepared = prepare(movies, tmp_path / "strict", SETTINGS, manager)
    assert {f: row.reason for f, row in rows(prepared).items()} == {"ann.mp4": "", "both.mp4": g.TWO_VOICES}
    assert "two voices, or music beside one, in " in rows(prepared)["both.mp4"].detail
    lenient = replace(SETTINGS, cutting=CuttingSettings(gates=replace(GATES, alone=False)))
    assert len(prepare(movies, tmp_path / "lenient", lenient, manager).kept) == 2


def test_a_shot_in_which_two_faces_talk_is_named(
    shoot: MakeMovie, tmp_path: Path, manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("julnet_plugin.face.speaker.talking_faces", lambda tracking, shot: [*tracking.tracks] * 2)
    with pytest.raises(DatasetError, match="two voices 1"):
        prepare([shoot("duo.mp4")], tmp_path / "set", SETTINGS, manager)
    assert "2 faces of the shot talk" in (tmp_path / "set" / "table.tsv").read_text("utf-8")


def test_footage_of_which_nothing_can_be_used_is_refused_with_the_reasons(
    shoot: MakeMovie, tmp_path: Path, manager: Manager
) -> None:
    with pytest.raises(DatasetError, match=r"\(no audio 1, too short 1\).*table.tsv says why") as refused:
        prepare([shoot("a.mp4", sound=None), shoot("b.mp4", frames=3)], tmp_path / "set", SETTINGS, manager)
    assert "\n" not in str(refused.value)


def test_a_cancelled_run_keeps_what_is_prepared(shoot: MakeMovie, tmp_path: Path, manager: Manager) -> None:
    footage = [shoot("a.mp4"), shoot("b.mp4", frames=13)]

    def cancel(stage: str, done: int, total: int) -> None:
        if stage == "prepare" and done == 1:
            raise RedubCancelled

    with pytest.raises(RedubCancelled):
        prepare(footage, tmp_path / "set", SETTINGS, manager, progress=cancel)
    assert [path.name for path in clip_paths(tmp_path / "set")] == ["a.mp4.safetensors"]


def test_a_process_that_dies_is_known_by_its_item_and_the_others_go_on() -> None:
    fatal = "__import__('os')._exit(9)"
    done = dict(work(eval, ["1 + 1", "2 * 3", fatal, "'four'"], 2))
    assert isinstance(done.pop(fatal), Crash)
    assert done == {"1 + 1": 2, "2 * 3": 6, "'four'": "four"}


# -- offsets ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ear(make_clip: MakeClip) -> LipTeacher:
    clips = [make_clip(f"{s}1", s, frames=120, seed=k, pictures=False) for k, s in enumerate("abcd")]
    return LipTeacher.taught(
        clips, [], LipTraining(codes=3, width=16, dropout=0.05, epochs=40, batch=64, learning_rate=5e-3)
    )


def test_clips_of_one_movie_share_an_offset_and_strangers_sound_is_refused(
    ear: LipTeacher, make_clip: MakeClip
) -> None:
    late = [make_clip(f"m{k}", "m", frames=60, seed=20 + k, late_s=0.1, pictures=False) for k in range(2)]
    for clip in late:
        clip.header = replace(clip.header, source="movie.mov")
    dubbed = make_clip("d1", "d", frames=600, seed=30, pictures=False)
    dubbed.audio = np.random.default_rng(3).standard_normal(dubbed.audio.shape).astype(np.float32)
    first, second, foreign = sync.measure([*late, dubbed], ear, g.Gates())
    assert first.offset_s == second.offset_s == pytest.approx(0.1, abs=0.021)
    assert not first.why
    assert "agree nowhere" in foreign.why
    assert foreign.offset_s == 0.0


def test_an_ear_of_its_own_finds_the_clip_whose_sound_is_late(make_clip: MakeClip) -> None:
    clips = [make_clip(f"{s}1", s, frames=120, seed=k, pictures=False) for k, s in enumerate("abcde")]
    clips.append(make_clip("late1", "late", frames=120, seed=9, late_s=0.14, pictures=False))
    found = sync.measure_with_own_ear(clips, replace(EAR, epochs=20), g.Gates())
    assert [round(s.offset_s, 2) for s in found[:-1]] == pytest.approx([0.0] * 5, abs=0.061)  # small synthetic clips
    assert found[-1].offset_s == pytest.approx(0.14, abs=0.045)


def test_offsets_end_in_the_headers_and_what_is_out_of_sync_is_set_aside(
    ear: LipTeacher, make_clip: MakeClip, tmp_path: Path, manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    dubbed = make_clip("dubbed", "dubbed", frames=600, seed=30, pictures=False)
    dubbed.audio = np.random.default_rng(3).standard_normal(dubbed.audio.shape).astype(np.float32)
    ready = {"late": make_clip("late", "late", frames=120, seed=21, late_s=0.1, pictures=False), "dubbed": dubbed}

    def cut(self: Cutter, source: Source, source_hash: str, folder: Path, progress: Any = None) -> list[Row]:
        name = f"{source.path.stem}.safetensors"
        write_clip(ready[source.path.stem], folder / name)
        return [Row(file=source.name, speaker=source.speaker, verdict=g.KEPT, clip=name, frames=120, seconds=4.8)]

    monkeypatch.setattr(Cutter, "cut", cut)
    for name in ready:
        (tmp_path / f"{name}.mov").write_text(name)
    footage, folder = [tmp_path / f"{name}.mov" for name in ready], tmp_path / "set"
    settings = replace(SETTINGS, sync=True, cutting=replace(SETTINGS.cutting, features="phone-42"))  # what `ear` hears
    prepared = prepare(footage, folder, settings, manager, teacher=ear)
    found = rows(prepared)
    assert found["late.mov"].offset_ms == pytest.approx(100, abs=21)
    assert (found["dubbed.mov"].verdict, found["dubbed.mov"].reason) == (g.REJECTED, g.OUT_OF_SYNC)
    assert "agree nowhere within 0.24 s" in found["dubbed.mov"].detail
    assert [path.name for path in clip_paths(folder)] == ["late.safetensors"]
    assert read_header(folder / "late.safetensors").offset_s == pytest.approx(0.1, abs=0.021)

    monkeypatch.setattr(sync, "measure", lambda *_: pytest.fail("nothing changed, so nothing is measured again"))
    assert rows(prepare(footage, folder, settings, manager, teacher=ear)) == found
    assert room.SCHEMA == 1


@pytest.mark.footage
def test_real_talking_heads_are_kept(tmp_path: Path, manager: Manager) -> None:
    root = Path(os.environ.get("JULNET_FOOTAGE", Path(__file__).parents[3] / "shared/footage"))
    if not root.is_dir():
        pytest.skip(f"no footage at {root}")
    movies = [next(root.glob(f"{name}*")) for name in ("val/0172", "train/0209")]
    prepared = prepare(movies, tmp_path / "set", PrepareSettings(sync=False), manager)
    assert [row.verdict for row in prepared.rows] == [g.KEPT, g.KEPT]
    assert all(row.frames >= 60 for row in prepared.rows)
