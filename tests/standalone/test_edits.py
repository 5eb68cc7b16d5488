"""Whatever is done to a timeline, it keeps its rules; and each edit does what its name says."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host_adapters.standalone import edits
from host_adapters.standalone.timeline import Clip, Marker, MediaRef, TakeRef, Timeline, TimelineError, Track, check
from julnet_plugin.types import FrameRange

Edit = Callable[[Timeline], Timeline]

MEDIA = MediaRef(path="shot.mov", frame_count=40, rate=Fraction(25))


def clip(name: str, record_in: int, start: int = 10, stop: int = 20) -> Clip:
    return Clip(id=name, media=MEDIA, source=FrameRange(start=start, stop=stop), record_in=record_in)


def timeline(*clips: Clip, locked: bool = False) -> Timeline:
    video = Track(id="v1", kind="video", name="V1", clips=clips, locked=locked)
    others = (Track(id="v2", kind="video", name="V2"), Track(id="a1", kind="audio", name="A1"))
    return Timeline(rate=Fraction(25), tracks=(video, *others))


#: a 0…10 | b 10…20, gap, c 25…35
CUT = timeline(clip("a", 0), clip("b", 10), clip("c", 25))


def places(of: Timeline, track: str = "v1") -> list[tuple[str, int, int, int]]:
    """(id, record in, first source frame, length) of every clip."""
    return [(c.id, c.record_in, c.source.start, len(c.source)) for c in of.track(track).clips]


def shown(of: Timeline, track: str = "v1") -> dict[int, int]:
    """Which source frame is shown at each frame of the timeline."""
    return {c.record_in + i: c.source.start + i for c in of.track(track).clips for i in range(len(c.source))}


def deltas() -> st.SearchStrategy[int]:
    return st.integers(-50, 50)


def random_edit(chance: random.Random, now: Timeline) -> Edit:
    """An edit whose arguments are often out of bounds, of a clip that is there or, rarely, is not."""
    ids = [c.id for track in now.tracks for c in track.clips]
    name = chance.choice([*ids, *ids, "nobody"])
    track, at, delta = chance.choice(["v1", "v2", "a1"]), chance.randint(-5, 80), chance.randint(-30, 30)
    start = chance.randint(0, 38)
    new = clip(f"n{chance.randrange(10**6)}", 0, start, chance.randint(start + 1, 40))
    take = TakeRef(name="t", folder="t", frames=MEDIA.frames)
    choices: list[Edit] = [
        lambda t: edits.insert(t, track, new, at),
        lambda t: edits.overwrite(t, track, new, at),
        lambda t: edits.move(t, name, at, track),
        lambda t: edits.move(t, name, at),
        lambda t: edits.razor(t, track, at),
        lambda t: edits.trim_in(t, name, delta),
        lambda t: edits.trim_out(t, name, delta),
        lambda t: edits.ripple_trim_in(t, name, delta),
        lambda t: edits.ripple_trim_out(t, name, delta),
        lambda t: edits.roll(t, name, delta),
        lambda t: edits.slip(t, name, delta),
        lambda t: edits.delete(t, name),
        lambda t: edits.ripple_delete(t, name),
        lambda t: edits.add_marker(t, Marker(frame=at)),
        lambda t: edits.add_take(t, name, take),
    ]
    return chance.choice(choices)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_no_sequence_of_edits_breaks_a_rule_or_changes_what_it_was_given(seed: int) -> None:
    """Thirty edits from one seed: more than a list of drawn edits would hold, of clips that are really there."""
    chance, now = random.Random(seed), CUT
    for _ in range(30):
        before = hash(now)
        try:
            after = random_edit(chance, now)(now)
        except TimelineError:
            after = now
        check(after)
        assert hash(now) == before
        now = after


@settings(max_examples=60, deadline=None)
@given(st.integers(-5, 60), st.integers(1, 30))
def test_overwrite_changes_only_the_frames_under_the_clip(at: int, length: int) -> None:
    after = shown(edits.overwrite(CUT, "v1", clip("new", 0, 5, 5 + length), at))
    under = range(max(at, 0), max(at, 0) + length)
    assert {frame: after[frame] for frame in under} == {frame: 5 + i for i, frame in enumerate(under)}
    rest = {frame: source for frame, source in shown(CUT).items() if frame not in under}
    assert {frame: source for frame, source in after.items() if frame not in under} == rest


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 60), st.integers(1, 30))
def test_insert_then_ripple_delete_is_the_identity_of_what_is_shown(at: int, length: int) -> None:
    inserted = edits.insert(CUT, "v1", clip("new", 0, 5, 5 + length), at)
    assert sum(n for *_, n in places(inserted)) == 30 + length
    assert shown(edits.ripple_delete(inserted, "new")) == shown(CUT)


@settings(max_examples=60, deadline=None)
@given(st.integers(-5, 60))
def test_a_razor_changes_nothing_that_is_shown(at: int) -> None:
    assert shown(edits.razor(CUT, "v1", at)) == shown(CUT)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from("abc"), deltas())
def test_trims_keep_the_picture_where_it_is_and_the_neighbours_untouched(name: str, delta: int) -> None:
    for trim in (edits.trim_in, edits.trim_out):
        after = trim(CUT, name, delta)
        both = shown(after).keys() & shown(CUT).keys()
        assert {f: shown(after)[f] for f in both} == {f: shown(CUT)[f] for f in both}
        others = [place for place in places(CUT) if place[0] != name]
        assert [place for place in places(after) if place[0] != name] == others


@settings(max_examples=60, deadline=None)
@given(st.sampled_from("abc"), deltas())
def test_a_ripple_moves_all_that_follows_by_the_change_in_length(name: str, delta: int) -> None:
    order = "abc".index(name)
    for ripple in (edits.ripple_trim_in, edits.ripple_trim_out):
        after = places(ripple(CUT, name, delta))
        change = after[order][3] - 10
        assert after[order][1] == places(CUT)[order][1]
        assert [place[1] for place in after[order + 1 :]] == [p[1] + change for p in places(CUT)[order + 1 :]]


@settings(max_examples=60, deadline=None)
@given(deltas())
def test_roll_and_slip_keep_the_length_of_everything(delta: int) -> None:
    rolled = edits.roll(CUT, "a", delta)
    assert (shown(rolled).keys(), rolled.record_out) == (shown(CUT).keys(), 35)
    slipped = places(edits.slip(CUT, "b", delta))
    assert [place[1::2] for place in slipped] == [place[1::2] for place in places(CUT)]
    assert slipped[1][2] == min(max(10 + delta, 0), 30)


def test_an_insert_in_a_clip_cuts_it() -> None:
    after = edits.insert(CUT, "v1", clip("new", 0), 4)
    assert places(after)[:4] == [("a", 0, 10, 4), ("new", 4, 10, 10), ("a.2", 14, 14, 6), ("b", 20, 10, 10)]


def test_trims_stop_at_neighbours_and_at_the_end_of_the_media() -> None:
    assert places(edits.trim_out(CUT, "b", 99))[1] == ("b", 10, 10, 15)
    assert places(edits.trim_in(CUT, "c", -99))[2] == ("c", 20, 5, 15)
    assert places(edits.trim_in(CUT, "c", 99))[2] == ("c", 34, 19, 1)
    assert places(edits.trim_out(CUT, "c", 99))[2] == ("c", 25, 10, 30)


def test_moving_a_clip_to_another_track_leaves_a_gap() -> None:
    after = edits.move(CUT, "b", 3, "v2")
    assert [place[0] for place in places(after)] == ["a", "c"]
    assert places(after, "v2") == [("b", 3, 10, 10)]


def test_moving_a_clip_onto_itself_is_not_a_cut() -> None:
    assert places(edits.move(CUT, "b", 13))[1] == ("b", 13, 10, 10)


def test_a_take_is_shown_and_the_original_is_one_step_away() -> None:
    take = TakeRef(name="t1", folder="takes/t1", frames=MEDIA.frames)
    with_take = edits.add_take(CUT, "a", take)
    assert with_take.track("v1").clips[0].active_take == "t1"
    assert edits.show_take(with_take, "a", None).track("v1").clips[0].active_take is None
    cut = edits.razor(with_take, "v1", 5).track("v1").clips
    assert [part.active_take for part in cut[:2]] == ["t1", "t1"]


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda: edits.delete(CUT, "zz"), "no clip 'zz'"),
        (lambda: edits.razor(CUT, "v9", 3), "no track 'v9'"),
        (lambda: edits.move(CUT, "a", 0, "a1"), "cannot go to the audio track A1"),
        (lambda: edits.roll(CUT, "b", 1), "no cut to roll"),
        (lambda: edits.insert(CUT, "v1", clip("a", 0), 0), "a clip 'a' already"),
        (lambda: edits.show_take(CUT, "a", "t"), "no take 't'"),
        (lambda: edits.razor(timeline(clip("a", 0), locked=True), "v1", 3), "locked"),
        (lambda: edits.slip(timeline(clip("a", 0), locked=True), "a", 3), "locked"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(edit: Callable[[], Timeline], words: str) -> None:
    with pytest.raises(TimelineError, match=words):
        edit()


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (timeline(clip("a", 0), clip("b", 9)), "begins at frame 9, before clip a ends at 10"),
        (timeline(clip("a", -1)), "before the timeline"),
        (timeline(clip("a", 0, 10, 10)), "no frames"),
        (timeline(clip("a", 0, 35, 41)), "uses frames 35 to 40 of shot.mov, which has 40"),
        (timeline(clip("a", 0), clip("a", 10)), "clip 'a'"),
        (timeline(replace(clip("a", 0), active_take="t")), "does not have"),
        (replace(CUT, rate=Fraction(0)), "above 0"),
        (replace(CUT, markers=(Marker(frame=3), Marker(frame=1))), "order of time"),
        (replace(CUT, tracks=(*CUT.tracks, CUT.tracks[0])), "track 'v1'"),
    ],
)
def test_a_timeline_that_breaks_a_rule_is_told_which(broken: Timeline, words: str) -> None:
    with pytest.raises(TimelineError, match=words):
        check(broken)
