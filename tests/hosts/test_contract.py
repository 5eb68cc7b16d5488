"""One contract, the same assertions for every host, real or fake."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bench import DUB_HZ, PLATE_HZ, Bench, heard_hz, pictures_of

from host_adapters.base import (
    ClipRef,
    ClipRefused,
    FinishedTake,
    HostGone,
    HostSession,
    MatteFile,
    MediaMissing,
    RecordRange,
    SourceRange,
    Span,
    TakeRef,
    refuse_retimed,
)
from host_adapters.values import replace

MakeShot = Callable[..., Any]
MakeTake = Callable[..., FinishedTake]
MakeMatte = Callable[..., MatteFile]
START, STOP, RECORD_IN = 2, 14, 5  # of the clip in `bench.open(make_shot(…))` below
WIDTH, HEIGHT = 64, 48


class Placed:
    """A clip of 12 frames with a take beside it."""

    def __init__(self, bench: Bench, make_shot: MakeShot, make_take: MakeTake, tmp_path: Path) -> None:
        self.bench, self._tmp_path = bench, tmp_path
        self.shot = make_shot(start=START, stop=STOP, record_in=RECORD_IN)
        self.session: HostSession = bench.open(self.shot)
        self.clip: ClipRef = self.session.selection()[0]
        self.take: FinishedTake = make_take(self.shot)
        self.ref: TakeRef = self.session.place_take(self.clip, self.take)
        self._renders = 0

    def rendered(self) -> Any:
        """What the host renders of the clip."""
        self._renders += 1
        out = self._tmp_path / f"render{self._renders}"
        return pictures_of(self.session.render(self.clip.record, str(out)))

    def plate(self) -> Any:
        return pictures_of(str(self.shot.plate))[START:STOP]

    def dub(self) -> Any:
        return pictures_of(self.take.picture)[START:STOP]

    def same(self, got: Any, wanted: Any) -> None:
        assert got.shape == wanted.shape
        assert np.abs(got.astype(int) - wanted.astype(int)).max() <= self.bench.tolerance


@pytest.fixture
def placed(bench: Bench, make_shot: MakeShot, make_take: MakeTake, tmp_path: Path) -> Placed:
    """A clip with a take that is shown."""
    return Placed(bench, make_shot, make_take, tmp_path)


def test_a_clip_is_read_with_its_ranges_rates_timecode_reel_and_path(bench: Bench, make_shot: MakeShot) -> None:
    shot = make_shot(start=START, stop=STOP, record_in=RECORD_IN)
    (clip,) = bench.open(shot).list_clips()
    assert Path(clip.path) == shot.plate
    assert (clip.source, clip.media) == (SourceRange.of(START, STOP), SourceRange.of(0, shot.frames))
    assert clip.record == RecordRange.of(RECORD_IN, RECORD_IN + STOP - START)
    assert (clip.source_rate, clip.record_rate) == (Fraction(25), Fraction(25))
    assert (clip.start_timecode, clip.reel) == ("01:00:00:00", "A001C002")
    assert (clip.head, clip.tail) == (START, shot.frames - STOP)
    refuse_retimed(clip)


def test_the_selection_is_the_clip(session: HostSession) -> None:
    assert session.selection() == session.list_clips()


def test_a_take_is_shown_where_the_clip_was_and_the_original_stays_selectable(placed: Placed) -> None:
    placed.same(placed.rendered(), placed.dub())
    placed.session.select_take(placed.clip, None)
    assert [take.active for take in placed.session.takes(placed.clip)] == [False]
    placed.same(placed.rendered(), placed.plate())
    placed.session.select_take(placed.clip, placed.session.takes(placed.clip)[0])
    placed.same(placed.rendered(), placed.dub())


def test_a_take_leaves_the_clip_as_it_is(placed: Placed) -> None:
    assert placed.session.list_clips() == [placed.clip]


def test_a_take_with_just_the_clip_s_frames_shows_the_same(
    bench: Bench, make_shot: MakeShot, make_take: MakeTake, tmp_path: Path
) -> None:
    shot = make_shot(start=START, stop=STOP, record_in=RECORD_IN)
    session = bench.open(shot)
    (clip,) = session.selection()
    take = make_take(shot, start=START, stop=STOP)
    session.place_take(clip, take)
    got = pictures_of(session.render(clip.record, str(tmp_path / "out")))
    assert np.abs(got.astype(int) - pictures_of(take.picture).astype(int)).max() <= bench.tolerance


def test_two_takes_lie_side_by_side_and_the_new_one_is_shown(placed: Placed, make_take: MakeTake) -> None:
    second = placed.session.place_take(placed.clip, make_take(placed.shot, name="line 2"))
    takes = placed.session.takes(placed.clip)
    assert [(take.name, take.active) for take in takes] == [("line", False), ("line 2", True)]
    assert [take.id for take in takes] == [placed.ref.id, second.id]
    assert Path(takes[1].folder).name == "line 2"


def test_a_take_that_lacks_frames_of_the_clip_is_refused_and_nothing_changes(
    bench: Bench, make_shot: MakeShot, make_take: MakeTake
) -> None:
    shot = make_shot(start=START, stop=STOP, record_in=RECORD_IN)
    session = bench.open(shot)
    (clip,) = session.selection()
    with pytest.raises(ClipRefused, match="re-dub the clip again"):
        session.place_take(clip, make_take(shot, start=4, stop=10))
    assert (session.takes(clip), session.list_clips()) == ([], [clip])


def test_a_take_whose_files_are_gone_is_refused_and_nothing_changes(
    bench: Bench, make_shot: MakeShot, make_take: MakeTake
) -> None:
    shot = make_shot(start=START, stop=STOP, record_in=RECORD_IN)
    session = bench.open(shot)
    (clip,) = session.selection()
    take = make_take(shot)
    Path(take.picture).unlink()
    with pytest.raises(MediaMissing, match="is not there"):
        session.place_take(clip, take)
    assert session.takes(clip) == []


def test_the_matte_shows_the_dub_where_it_is_white_and_the_plate_where_it_is_black(
    placed: Placed, make_matte: MakeMatte
) -> None:
    placed.session.attach_matte(placed.ref, make_matte(placed.take))
    got = placed.rendered()
    placed.same(got[:, :, : WIDTH // 2], placed.dub()[:, :, : WIDTH // 2])
    placed.same(got[:, :, WIDTH // 2 :], placed.plate()[:, :, WIDTH // 2 :])


def test_a_matte_of_uncertainty_holds_the_plate_where_it_is_white(placed: Placed, make_matte: MakeMatte) -> None:
    placed.session.attach_matte(placed.ref, make_matte(placed.take, white_shows="plate"))
    got = placed.rendered()
    placed.same(got[:, :, : WIDTH // 2], placed.plate()[:, :, : WIDTH // 2])
    placed.same(got[:, :, WIDTH // 2 :], placed.dub()[:, :, WIDTH // 2 :])


def test_a_matte_that_is_not_enabled_changes_nothing(placed: Placed, make_matte: MakeMatte) -> None:
    placed.session.attach_matte(placed.ref, make_matte(placed.take, enabled=False))
    placed.same(placed.rendered(), placed.dub())


def test_painting_the_matte_changes_just_those_pixels(placed: Placed, make_matte: MakeMatte) -> None:
    matte = placed.session.attach_matte(placed.ref, make_matte(placed.take))
    before = placed.rendered()
    placed.bench.paint(matte, START + 3, (40, 10, 52, 20), white=True)
    after = placed.rendered()
    changed = (np.abs(after.astype(int) - before.astype(int)) > placed.bench.tolerance).any(axis=-1)
    wanted = np.zeros_like(changed)
    wanted[3, 10:20, 40:52] = True
    assert np.array_equal(changed, wanted)
    placed.same(after[3:4, 10:20, 40:52], placed.dub()[3:4, 10:20, 40:52])


def test_a_painted_matte_is_read_back(placed: Placed, make_matte: MakeMatte) -> None:
    matte = placed.session.attach_matte(placed.ref, make_matte(placed.take))
    untouched = pictures_of(placed.session.read_matte(matte))
    placed.bench.paint(matte, 5, (40, 10, 52, 20), white=True)
    painted = pictures_of(placed.session.read_matte(matte))
    changed = (painted != untouched).any(axis=-1)
    assert changed.sum() == 10 * 12
    assert (painted[5, 10:20, 40:52] >= 254).all()


def test_a_matte_is_found_again_in_a_project_that_was_saved_and_painted_then(
    placed: Placed, make_matte: MakeMatte
) -> None:
    assert placed.session.matte(placed.ref) is None
    placed.session.attach_matte(placed.ref, make_matte(placed.take))
    placed.session.save()
    placed.session = placed.bench.reopen()
    (clip,) = placed.session.list_clips()
    (take,) = placed.session.takes(clip)
    matte = placed.session.matte(take)
    assert matte is not None
    placed.bench.paint(matte, 5, (40, 10, 52, 20), white=True)
    assert (pictures_of(placed.session.read_matte(matte))[5, 10:20, 40:52] >= 254).all()


def test_a_second_matte_takes_the_place_of_the_first(placed: Placed, make_matte: MakeMatte) -> None:
    matte = make_matte(placed.take)
    placed.session.attach_matte(placed.ref, matte)
    placed.session.attach_matte(placed.ref, MatteFile(matte.path, "plate", first_number=matte.first_number))
    placed.same(placed.rendered()[:, :, : WIDTH // 2], placed.plate()[:, :, : WIDTH // 2])


def test_the_worst_spans_are_marked_and_new_marks_replace_the_old(placed: Placed) -> None:
    spans = [Span(SourceRange.of(9, 11), 21.5, "fast head turn"), Span(SourceRange.of(3, 6), 14.0, "low light")]
    placed.session.mark(placed.clip, spans)
    assert placed.session.marks(placed.clip) == [spans[1], spans[0]]
    placed.session.mark(placed.clip, spans[:1])
    assert placed.session.marks(placed.clip) == spans[:1]


def test_spans_outside_the_clip_are_cut_to_it_or_left_out(placed: Placed) -> None:
    placed.session.mark(placed.clip, [Span(SourceRange.of(0, 4), 9.0, "a"), Span(SourceRange.of(14, 16), 9.0, "b")])
    assert placed.session.marks(placed.clip) == [Span(SourceRange.of(START, 4), 9.0, "a")]


def test_what_was_saved_is_there_when_the_project_is_opened_again(placed: Placed, make_matte: MakeMatte) -> None:
    placed.session.attach_matte(placed.ref, make_matte(placed.take))
    placed.session.mark(placed.clip, placed.take.spans)
    before = placed.rendered()
    placed.session.save()
    placed.session = placed.bench.reopen()
    (clip,) = placed.session.list_clips()
    assert (clip.source, clip.record) == (placed.clip.source, placed.clip.record)
    assert [(take.name, take.active) for take in placed.session.takes(clip)] == [("line", True)]
    assert len(placed.session.marks(clip)) == 2
    placed.same(placed.rendered(), before)


def test_undo_takes_the_take_away_and_the_original_is_shown(placed: Placed) -> None:
    placed.session.undo()
    assert placed.session.takes(placed.clip) == []
    assert placed.session.list_clips() == [placed.clip]
    placed.same(placed.rendered(), placed.plate())
    assert Path(placed.take.picture).exists()


def test_a_take_can_be_placed_again_after_undo(placed: Placed) -> None:
    placed.session.undo()
    placed.session.place_take(placed.clip, placed.take)
    placed.same(placed.rendered(), placed.dub())


class Heard(Placed):
    """A clip with sound and a take with sound beside it; the take is shown."""

    def __init__(self, bench: Bench, make_shot: MakeShot, make_take: MakeTake, tmp_path: Path) -> None:
        super().__init__(bench, lambda **given: make_shot(**given, sound=True), make_take, tmp_path)

    def hears(self) -> set[int]:
        """What the clip's stretch of the timeline sounds of."""
        self._renders += 1
        path = self._tmp_path / f"heard{self._renders}.wav"
        self.bench.hear(self.session, self.clip.record, path)
        return heard_hz(path, float(len(self.clip.record) / self.clip.record_rate))


@pytest.fixture
def heard(bench: Bench, make_shot: MakeShot, make_take: MakeTake, tmp_path: Path) -> Heard:
    made = Heard(bench, make_shot, make_take, tmp_path)
    if not made.session.plays_sound:
        pytest.skip("this host plays no sound")
    return made


def test_the_new_line_is_heard_while_its_take_is_shown_and_the_clip_s_own_sound_while_the_original_is(
    heard: Heard,
) -> None:
    assert heard.hears() == {DUB_HZ}
    heard.session.select_take(heard.clip, None)
    assert heard.hears() == {PLATE_HZ}
    (take,) = heard.session.takes(heard.clip)
    heard.session.select_take(heard.clip, take)
    assert heard.hears() == {DUB_HZ}
    assert heard.session.list_clips() == [heard.clip]


def test_undo_takes_the_new_line_away_with_its_take(heard: Heard) -> None:
    heard.session.undo()
    assert heard.session.takes(heard.clip) == []
    assert heard.hears() == {PLATE_HZ}


def test_one_line_is_heard_where_there_are_two_takes_and_after_saving_and_opening(
    heard: Heard, make_take: MakeTake
) -> None:
    heard.session.place_take(heard.clip, make_take(heard.shot, name="line 2"))
    assert heard.hears() == {DUB_HZ}
    heard.session.save()
    heard.session = heard.bench.reopen()
    (clip,) = heard.session.list_clips()
    assert heard.hears() == {DUB_HZ}
    heard.session.select_take(clip, None)
    assert heard.hears() == {PLATE_HZ}


def test_undo_with_nothing_done_does_nothing(session: HostSession) -> None:
    clips = session.list_clips()
    session.undo()
    assert session.list_clips() == clips


def test_a_project_that_was_closed_meanwhile_is_said_in_one_sentence_and_the_take_stays_on_disk(
    bench: Bench, make_shot: MakeShot, make_take: MakeTake
) -> None:
    shot = make_shot(start=START, stop=STOP, record_in=RECORD_IN)
    session = bench.open(shot)
    (clip,) = session.selection()
    bench.close_project()
    take = make_take(shot)
    with pytest.raises(HostGone, match=r"\w"):
        session.place_take(clip, take)
    assert Path(take.picture).exists()


@pytest.mark.parametrize("name", ["my shot, take 1/plate.mov", "Szene ÄÖ 東京/plate é.mov", "a'b & c/pla[te] $x.mov"])
def test_paths_with_spaces_and_letters_of_the_world_work(
    bench: Bench, make_shot: MakeShot, make_take: MakeTake, make_matte: MakeMatte, tmp_path: Path, name: str
) -> None:
    shot = make_shot(name=name, start=START, stop=STOP, record_in=RECORD_IN)
    session = bench.open(shot)
    (clip,) = session.selection()
    assert Path(clip.path) == shot.plate
    take = make_take(shot, name="Zeile ö 1")
    matte = session.attach_matte(session.place_take(clip, take), make_matte(take))
    assert len(pictures_of(session.read_matte(matte))) == shot.frames
    got = pictures_of(session.render(clip.record, str(tmp_path / "out ü")))
    left = pictures_of(take.picture)[START:STOP, :, : WIDTH // 2]
    assert np.abs(got[:, :, : WIDTH // 2].astype(int) - left.astype(int)).max() <= bench.tolerance


def test_a_path_that_looks_like_a_network_share_s_is_taken_as_it_is(
    bench: Bench, make_shot: MakeShot, make_take: MakeTake, make_matte: MakeMatte, tmp_path: Path
) -> None:
    """On Linux "//mnt/x" is "/mnt/x"; to a host that gives two slashes a meaning of its own, it is something else."""
    shared = "/" + str(tmp_path)
    shot = make_shot(start=START, stop=STOP, record_in=RECORD_IN)
    session = bench.open(dataclasses.replace(shot, plate=Path(shared) / shot.plate.name))
    (clip,) = session.selection()
    assert pictures_of(clip.path).shape[0] == shot.frames
    take = make_take(shot)
    there = {name: shared + getattr(take, name)[len(str(tmp_path)) :] for name in ("folder", "picture")}
    ref = session.place_take(clip, replace(take, **there))
    matte = make_matte(take)
    held = session.attach_matte(ref, replace(matte, path=shared + matte.path[len(str(tmp_path)) :]))
    assert len(pictures_of(session.read_matte(held))) == shot.frames
    got = pictures_of(session.render(clip.record, str(tmp_path / "out"))).astype(int)
    wanted = pictures_of(str(shot.plate))[START:STOP].astype(int)
    wanted[:, :, : WIDTH // 2] = pictures_of(take.picture)[START:STOP, :, : WIDTH // 2]
    assert np.abs(got - wanted).max() <= bench.tolerance


def test_a_23976_clip_in_a_24_timeline_is_read_and_its_take_shows_frame_for_frame(
    bench: Bench, make_shot: MakeShot, make_take: MakeTake, tmp_path: Path
) -> None:
    rate = Fraction(24000, 1001)
    shot = make_shot(start=START, stop=STOP, record_in=RECORD_IN, rate=rate, record_rate=Fraction(24))
    session = bench.open(shot)
    (clip,) = session.selection()
    assert (clip.source_rate, clip.record_rate, clip.source) == (rate, Fraction(24), SourceRange.of(START, STOP))
    refuse_retimed(clip)
    take = make_take(shot)
    session.place_take(clip, take)
    got = pictures_of(session.render(clip.record, str(tmp_path / "out")))
    numbers = [clip.source_of(frame).index for frame in clip.record]
    wanted = pictures_of(take.picture)[numbers]
    assert np.abs(got.astype(int) - wanted.astype(int)).max() <= bench.tolerance


def test_a_retimed_clip_is_refused_with_a_sentence(bench: Bench, make_shot: MakeShot) -> None:
    if not bench.tells_speed:
        pytest.skip("this host has no retimes")
    session = bench.open(make_shot(start=START, stop=STOP, record_in=RECORD_IN, speed=Fraction(2)))
    (clip,) = session.selection()
    with pytest.raises(ClipRefused, match="200 % speed and a clip at 100 % is needed"):
        refuse_retimed(clip)
