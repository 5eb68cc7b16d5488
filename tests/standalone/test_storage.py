"""A project on disk: what is saved comes back, what a crash leaves comes back, and what cannot be read says so."""

from __future__ import annotations

import errno
import json
import os
import random
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host_adapters.standalone import scene, storage
from host_adapters.standalone.otio_read import ProjectError, from_otio, parse
from host_adapters.standalone.otio_write import SCHEMA_VERSION, to_otio
from host_adapters.standalone.project import BinItem, Project, add_item, relink, with_extra
from host_adapters.standalone.timeline import Clip, Marker, MediaRef, TakeRef, Timeline
from julnet_plugin.types import FrameRange

ROOT = Path(__file__).parents[2]
RATES = [Fraction(24), Fraction(24000, 1001), Fraction(25), Fraction(30000, 1001), Fraction(50), Fraction(60)]


def random_project(seed: int) -> Project:
    chance = random.Random(seed)
    rate = chance.choice(RATES)
    project = Project(name=chance.choice(["Scène 1", "a/b", ""]) or "x", width=64, height=48)
    refs = [
        MediaRef(
            path=chance.choice(["media/ä b.mov", "/abs/shot.mov", "../up/x.%04d.exr"]) + str(number),
            frame_count=chance.randint(10, 90),
            rate=rate,
            native_rate=chance.choice([None, *RATES]),
            start_frame=chance.randint(0, 90_000),
        )
        for number in range(3)
    ]
    for ref in refs:
        item = BinItem(id="m", media=ref, has_audio=chance.random() < 0.5, note=chance.choice(["", "take “2”"]))
        project = add_item(project, item)
    timeline = Timeline(
        rate=rate, tracks=project.timeline.tracks, start_frame=90_000, drop_frame=rate.numerator == 30000
    )
    for number in range(chance.randint(0, 12)):
        ref = chance.choice(refs)
        start = chance.randint(0, ref.frame_count - 2)
        source = FrameRange(start=start, stop=chance.randint(start + 1, ref.frame_count))
        take = TakeRef(name="t1", folder="takes/t1", frames=FrameRange(start=0, stop=5), rating=3, note="best")
        takes = (take,) if chance.random() < 0.4 else ()
        clip = Clip(id=f"c{number}", media=ref, source=source, record_in=0, link=f"l{number}", takes=takes)
        clip = replace(clip, enabled=chance.random() < 0.9, name=chance.choice(["", "Mid shot"]))
        clip = replace(clip, active_take="t1" if takes and chance.random() < 0.5 else None)
        placed = [("v1", clip), ("a1", replace(clip, id=f"c{number}s", takes=(), active_take=None))]
        timeline = scene.overwrite(timeline, placed, chance.randint(0, 200))
    timeline = scene.set_marker(timeline, Marker(frame=chance.randint(0, 99), name="ü", note="n", colour="GREEN"))
    timeline = scene.switch_track(timeline, "v2", "hidden", chance.random() < 0.5)
    return with_extra(replace(project, timeline=timeline), "review", {"seen": [seed % 7], "ok": True})


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_saving_and_opening_is_the_identity(seed: int) -> None:
    project = random_project(seed)
    text = json.dumps(to_otio(project), ensure_ascii=False)
    again, notes = from_otio(parse(text, "p"), "p")
    assert again == project
    assert notes == []


def test_a_project_of_schema_1_is_migrated() -> None:
    project = random_project(3)
    document = to_otio(project)
    document["metadata"]["julnet"] |= {"schema_version": 1, "extras": {"review": {"seen": [3], "ok": True}}}
    assert from_otio(document, "old")[0] == project


def test_opentimelineio_itself_reads_what_is_saved(tmp_path: Path) -> None:
    otio = pytest.importorskip("opentimelineio")
    project = random_project(7)
    storage.save(project, tmp_path / "p.julnet")
    read = otio.adapters.read_from_file(str(tmp_path / "p.julnet" / "timeline.otio"))
    assert [track.name for track in read.tracks] == [track.name for track in project.timeline.tracks]
    for ours, theirs in zip(project.timeline.tracks, read.tracks, strict=True):
        clips = [child for child in theirs if isinstance(child, otio.schema.Clip)]
        starts = [round(clip.range_in_parent().start_time.value) for clip in clips]
        assert starts == [clip.record_in for clip in ours.clips]
    again, _ = from_otio(parse(otio.adapters.write_to_string(read, "otio_json"), "p"), "p")
    assert again == project


def test_an_autosave_comes_back_after_a_crash_and_goes_with_a_save(tmp_path: Path) -> None:
    folder, saved = tmp_path / "p.julnet", random_project(1)
    storage.save(saved, folder)
    edited = replace(saved, name="edited")
    storage.autosave(edited, folder)
    opened = storage.load(folder)
    assert (opened.project, opened.recovered) == (edited, True)
    storage.save(edited, folder)
    assert not storage.load(folder).recovered
    assert sorted(path.name for path in folder.iterdir()) == ["timeline.otio"]


def test_a_damaged_autosave_does_not_take_the_project_with_it(tmp_path: Path) -> None:
    folder, saved = tmp_path / "p.julnet", random_project(1)
    storage.save(saved, folder)
    (folder / "autosave.otio").write_text('{"OTIO_SCHEMA": "Timel')
    opened = storage.load(folder)
    assert opened.project == saved
    assert "autosave could not be read" in opened.notes[0]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "damaged"),
        ("not json", "damaged"),
        ("[]", "no OTIO_SCHEMA"),
        ('{"OTIO_SCHEMA": "Clip.1"}', "holds a Clip and no timeline"),
        ('{"OTIO_SCHEMA": "Timeline.1", "tracks": {"children": 5}}', "damaged"),
        ('{"OTIO_SCHEMA": "Timeline.1", "tracks": 7}', "damaged"),
        (
            json.dumps({"OTIO_SCHEMA": "Timeline.1", "metadata": {"julnet": {"schema_version": SCHEMA_VERSION + 1}}}),
            "newer JULNet",
        ),
    ],
)
def test_what_cannot_be_read_is_one_sentence(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "timeline.otio").write_text(text)
    with pytest.raises(ProjectError, match=says) as caught:
        storage.load(tmp_path)
    assert "\n" not in str(caught.value)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_file_with_bytes_knocked_out_loads_or_says_so(seed: int) -> None:
    chance = random.Random(seed)
    text = list(json.dumps(to_otio(random_project(seed % 50))))
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(text))
        text[place : place + chance.randint(0, 30)] = chance.choice(["", "9", "null", '"', "-1", "1e999", "{}"])
    try:
        from_otio(parse("".join(text), "p"), "p")
    except ProjectError as exc:
        assert "\n" not in str(exc)  # noqa: PT017 - either way is right


def test_a_full_disk_leaves_the_last_save_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, saved = tmp_path / "p.julnet", random_project(1)
    storage.save(saved, folder)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ProjectError, match="the disk is full"):
        storage.save(replace(saved, name="new"), folder)
    monkeypatch.undo()
    assert storage.load(folder).project == saved
    assert [path.name for path in folder.iterdir()] == ["timeline.otio"]


def test_a_folder_that_cannot_be_written_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ProjectError, match="save the project to another folder"):
        storage.save(Project(), tmp_path / "file" / "p.julnet")

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ProjectError, match="cannot be written"):
        storage.save(Project(), tmp_path / "q.julnet")


def test_paths_travel_with_the_project_and_moved_media_are_found_again(tmp_path: Path) -> None:
    folder, media = tmp_path / "show" / "p.julnet", tmp_path / "show" / "media"
    names = [storage.stored_path(media / name, folder) for name in ("a.mov", "sub/b.mov")]
    assert names == ["../media/a.mov", "../media/sub/b.mov"]
    assert storage.stored_path(folder / "takes" / "t", folder) == "takes/t"
    assert storage.absolute_path(names[0], folder) == media / "a.mov"
    items = [BinItem(id=n, media=MediaRef(path=n, frame_count=9, rate=Fraction(25))) for n in names]
    project = add_item(add_item(Project(), items[0]), items[1])
    assert storage.missing(project, folder) == names
    new = tmp_path / "elsewhere"
    (new / "sub").mkdir(parents=True)
    (new / "a.mov").touch()
    (new / "sub" / "b.mov").touch()
    moved = relink(project, storage.found_again(names, {names[0]: new / "a.mov"}, folder))
    assert storage.missing(moved, folder) == []


def test_a_project_saved_elsewhere_still_finds_its_media(tmp_path: Path) -> None:
    first, second = tmp_path / "show" / "p.julnet", tmp_path / "show" / "deep" / "q.julnet"
    item = BinItem(id="m", media=MediaRef(path="../a.mov", frame_count=9, rate=Fraction(25)))
    moved = storage.moved_to(add_item(Project(), item), first, second)
    assert storage.absolute_path(moved.media[0].media.path, second) == tmp_path / "show" / "a.mov"


def test_a_take_with_its_timeline_is_no_project_and_is_not_locked_or_saved_into(tmp_path: Path) -> None:
    storage.save(Project(), tmp_path / "scene.julnet")
    assert storage.is_project(tmp_path / "scene.julnet")
    assert storage.is_project(tmp_path / "scene.julnet" / storage.TIMELINE)
    (tmp_path / "scene.julnet" / "take.json").write_text("{}")
    assert not storage.is_project(tmp_path / "scene.julnet")
    assert not storage.is_project(tmp_path / "scene.julnet" / storage.TIMELINE)


def test_a_project_of_unreasonable_size_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage.save(Project(), tmp_path)
    monkeypatch.setattr(storage, "_MOST_BYTES", 100)
    with pytest.raises(ProjectError, match="which no project is"):
        storage.load(tmp_path)


HOLDER = """
import sys, time
from pathlib import Path
from host_adapters.standalone import storage
assert storage.lock(Path(sys.argv[1])) is None
print("locked", flush=True)
time.sleep(60)
"""


def test_a_lock_holds_as_long_as_its_process_lives_whatever_number_the_file_says(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text(str(os.getppid()))  # left by a crash; the number belongs to somebody else by now
    root = str(Path(__file__).parents[2])
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": root}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        assert storage.lock(tmp_path) == storage.lock_owner(tmp_path) == other.pid
        other.kill()
    assert storage.lock_owner(tmp_path) is None
    assert storage.lock(tmp_path) is None
    assert storage.lock(tmp_path) is None
    assert storage.lock_owner(tmp_path) == os.getpid()
    storage.unlock(tmp_path)
    assert not (tmp_path / "lock").exists()


def test_a_folder_that_cannot_be_written_needs_no_lock(tmp_path: Path) -> None:
    assert storage.lock(tmp_path / "nowhere") is None
    storage.unlock(tmp_path / "nowhere")


# Documents of other programs


def t(value: float, rate: float = 24) -> dict[str, Any]:
    return {"OTIO_SCHEMA": "RationalTime.1", "rate": rate, "value": value}


def span(start: float, length: float, rate: float = 24) -> dict[str, Any]:
    return {"OTIO_SCHEMA": "TimeRange.1", "start_time": t(start, rate), "duration": t(length, rate)}


def external(url: str, start: float = 0, length: float = 100, rate: float = 24) -> dict[str, Any]:
    return {"OTIO_SCHEMA": "ExternalReference.1", "target_url": url, "available_range": span(start, length, rate)}


def shot(name: str, start: float, length: float, **more: Any) -> dict[str, Any]:
    return {
        "OTIO_SCHEMA": "Clip.1",
        "name": name,
        "source_range": span(start, length),
        "media_reference": external(f"file:///media/{name}%20a.mov"),
        **more,
    }


def gap(length: float) -> dict[str, Any]:
    return {"OTIO_SCHEMA": "Gap.1", "source_range": span(0, length)}


def track(*children: dict[str, Any], kind: str = "Video", **more: Any) -> dict[str, Any]:
    return {"OTIO_SCHEMA": "Track.1", "name": "T", "kind": kind, "children": list(children), **more}


def read(*tracks: dict[str, Any]) -> tuple[list[tuple[str, int, int, int]], list[str]]:
    document = {
        "OTIO_SCHEMA": "Timeline.1",
        "name": "x",
        "tracks": {"OTIO_SCHEMA": "Stack.1", "children": list(tracks)},
    }
    project, notes = from_otio(document, "x.otio")
    clips = project.timeline.tracks[0].clips
    return [(c.title, c.record_in, c.source.start, len(c.source)) for c in clips], notes


def test_old_clips_gaps_and_file_urls_are_read() -> None:
    clips, notes = read(track(shot("a", 10, 20), gap(5), shot("b", 0, 10)))
    assert clips == [("a", 0, 10, 20), ("b", 25, 0, 10)]
    assert notes == []
    document = {"OTIO_SCHEMA": "Stack.1", "children": [track(shot("a", 10, 20))]}
    project, _ = from_otio(document, "x.otio")
    assert project.media[0].media.path == "/media/a a.mov"
    assert {found.kind for found in project.timeline.tracks} == {"video", "audio"}


def test_media_on_their_own_timecode_are_counted_from_their_first_frame() -> None:
    clips, notes = read(track(shot("a", 86410, 20, media_reference=external("a.mov", 86400, 100))))
    assert clips == [("a", 0, 10, 20)]
    assert notes == []


def test_transitions_speeds_effects_and_unknown_things_are_said() -> None:
    transition = {"OTIO_SCHEMA": "Transition.1", "name": "", "transition_type": "SMPTE_Dissolve"}
    warp = {"OTIO_SCHEMA": "LinearTimeWarp.1", "time_scalar": 2.0}
    blur = {"OTIO_SCHEMA": "Effect.1", "effect_name": "Blur"}
    clips, notes = read(
        track(shot("a", 0, 10, effects=[warp, blur]), transition, shot("b", 0, 10), {"OTIO_SCHEMA": "Doodle.7"}),
        track(kind="Subtitle"),
    )
    assert [name for name, *_ in clips] == ["a", "b"]
    joined = " | ".join(notes)
    for words in ("SMPTE_Dissolve", "2.0 times its speed", "Blur", "Doodle", "Subtitle"):
        assert words in joined


def test_a_nested_sequence_is_laid_flat_where_it_has_one_track_and_is_a_gap_where_it_has_more() -> None:
    flat = {"OTIO_SCHEMA": "Stack.1", "name": "N", "children": [track(shot("a", 0, 10), shot("b", 5, 10))]}
    clips, notes = read(track({**flat, "source_range": span(5, 10)}, shot("c", 0, 5)))
    assert clips == [("a", 0, 5, 5), ("b", 5, 5, 5), ("c", 10, 0, 5)]
    assert notes == ['the nested sequence "N" is laid out flat']
    deep = {"OTIO_SCHEMA": "Stack.1", "name": "D", "children": [track(shot("a", 0, 10)), track(shot("b", 0, 12))]}
    clips, notes = read(track(deep, shot("c", 0, 5)))
    assert clips == [("c", 12, 0, 5)]
    assert "2 tracks: a gap" in notes[0]


def test_missing_references_stay_as_clips_that_can_be_relinked() -> None:
    nothing = {"OTIO_SCHEMA": "MissingReference.1"}
    clips, notes = read(track(shot("lost", 30, 10, media_reference=nothing), shot("bars", 0, 5, media_reference=None)))
    assert [(name, at, length) for name, at, _, length in clips] == [("lost", 0, 10), ("bars", 10, 5)]
    assert 'the media of the clip "lost" is missing: relink it' in notes
    clips, notes = read(track({"OTIO_SCHEMA": "Clip.2", "name": "empty", "media_references": {}}))
    assert clips == []
    assert "is left out" in notes[0]


def test_other_rates_are_counted_at_the_timeline_s() -> None:
    media = external("ntsc.mov", 0, 300, 29.97)
    clips, _ = read(track(shot("a", 0, 24), shot("b", 0, 0, source_range=span(30, 60, 29.97), media_reference=media)))
    assert clips[1][1:] == (24, 24, 48)


def test_ranges_outside_the_media_are_moved_inside_and_said() -> None:
    clips, notes = read(track(shot("a", 95, 10), shot("b", 0, 140)))
    assert clips == [("a", 0, 90, 10), ("b", 10, 0, 100)]
    assert len(notes) == 2


def test_markers_of_clips_come_along_at_their_place() -> None:
    marker = {"OTIO_SCHEMA": "Marker.2", "name": "m", "color": "GREEN", "marked_range": span(12, 1), "comment": "here"}
    document = {
        "OTIO_SCHEMA": "Timeline.1", "tracks": {"children": [track(gap(5), shot("a", 10, 20, markers=[marker]))]},
    }  # fmt: skip
    project, _ = from_otio(document, "x")
    assert project.timeline.markers == (Marker(frame=7, name="m", note="here", colour="GREEN"),)


def test_a_track_is_cut_to_its_own_range_and_empty_ones_stay() -> None:
    clips, _ = read(track(shot("a", 0, 20), source_range=span(5, 10)))
    assert clips == [("a", 0, 5, 10)]
    assert read(track())[0] == []


def of_other_makers(chance: random.Random) -> Any:
    """A timeline as other programs write them: gaps, transitions, windows, nested sequences, all kinds of media."""
    otio = pytest.importorskip("opentimelineio")
    time = otio.opentime

    def window(most: int) -> Any:
        first, length = chance.randint(0, most // 2), chance.randint(1, most)
        return time.TimeRange(time.RationalTime(first, 24), time.RationalTime(length, 24))

    def media() -> Any:
        available = time.TimeRange(time.RationalTime(chance.choice([0, 86400]), 24), time.RationalTime(200, 24))
        return available, chance.choice(
            [
                otio.schema.ExternalReference("file:///m/a.mov", available),
                otio.schema.MissingReference(),
                otio.schema.GeneratorReference(generator_kind="SMPTEBars", available_range=available),
                otio.schema.ImageSequenceReference("/m/", "a.", ".exr", 1, 1, 24, 4, available_range=available),
            ]
        )

    def shot() -> Any:
        available, reference = media()
        used = window(60)
        used = time.TimeRange(available.start_time + used.start_time, used.duration)
        made = otio.schema.Clip(f"c{chance.randrange(10**9)}", reference, used)
        if chance.random() < 0.2:
            made.effects.append(otio.schema.LinearTimeWarp(time_scalar=2.0))
        return made

    def row(depth: int) -> Any:
        made = otio.schema.Track(kind="Video")
        for _ in range(chance.randint(1, 5)):
            kind = chance.choice(["clip", "clip", "gap", "nested"])
            if kind == "gap":
                made.append(otio.schema.Gap(source_range=window(20)))
            elif kind == "nested" and depth:
                inner = row(depth - 1)
                stack = otio.schema.Stack("N", [inner])
                if chance.random() < 0.5:
                    stack.source_range = window(max(round(inner.duration().value), 1))
                made.append(stack)
            else:
                made.append(shot())
        if chance.random() < 0.3 and isinstance(made[0], otio.schema.Clip):
            half = time.RationalTime(1, 24)
            made.insert(chance.choice([0, 1]), otio.schema.Transition("", "SMPTE_Dissolve", half, half))
        if chance.random() < 0.2:
            made.source_range = window(max(round(made.duration().value), 1))
        return made

    made = otio.schema.Timeline("x")
    made.tracks.append(row(2))
    return made


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_every_frame_of_another_program_s_timeline_shows_what_opentimelineio_finds_there(seed: int) -> None:
    theirs = of_other_makers(random.Random(seed))
    project, _ = from_otio(json.loads(theirs.to_json_string()), "x.otio")
    ours = next(track for track in project.timeline.tracks if track.kind == "video")
    found = {clip.record_in + k: (clip.title, clip.media.start_frame + clip.source.start + k)
             for clip in ours.clips for k in range(len(clip.source))}  # fmt: skip
    track = theirs.tracks[0]
    wanted = {}
    for frame in range(round(track.duration().value)):
        first = track.trimmed_range().start_time
        clip = track.child_at_time(type(first)(frame, 24) + first)
        if clip is not None and clip.schema_name() == "Transition":
            found.pop(frame, None)  # whatever is on either side of the cut
        elif clip is not None and clip.schema_name() == "Clip":
            source = track.transformed_time(type(first)(frame, 24) + first, clip)
            wanted[frame] = (clip.name, round(source.value))
    assert found == wanted


def test_what_is_cut_or_left_out_of_another_program_s_track_moves_nothing_behind_it() -> None:
    doodle = {"OTIO_SCHEMA": "Doodle.7", "name": "D", "source_range": span(0, 8)}
    clips, notes = read(track(shot("a", 0, 140), doodle, shot("b", 0, 5)))
    assert clips == [("a", 0, 0, 100), ("b", 148, 0, 5)]
    assert '"D" is a Doodle and is left out: a gap of its length stands in its place' in notes


def test_markers_come_along_from_tracks_gaps_and_nested_sequences_and_only_where_they_are_seen() -> None:
    def marker(name: str, frame: int, length: int = 1) -> dict[str, Any]:
        return {"OTIO_SCHEMA": "Marker.2", "name": name, "marked_range": span(frame, length)}

    inner = track(shot("a", 10, 20, markers=[marker("seen", 18), marker("cut off", 29)]))
    nested = {"OTIO_SCHEMA": "Stack.1", "name": "N", "children": [inner], "source_range": span(5, 10)}
    outer = track({**gap(4), "markers": [marker("gap", 1)]}, nested, markers=[marker("track", 9, 3)])
    document = {"OTIO_SCHEMA": "Timeline.1", "tracks": {"OTIO_SCHEMA": "Stack.1", "children": [outer]}}
    project, notes = from_otio(document, "x.otio")
    assert [(m.name, m.frame) for m in project.timeline.markers] == [("gap", 1), ("seen", 7), ("track", 9)]
    assert 'the marker "track" is 3 frames long there, and one here' in notes


def test_the_window_of_a_timeline_cuts_all_of_its_tracks() -> None:
    stack = {"OTIO_SCHEMA": "Stack.1", "children": [track(shot("a", 0, 20))], "source_range": span(5, 10)}
    project, _ = from_otio({"OTIO_SCHEMA": "Timeline.1", "tracks": stack}, "x.otio")
    [clip] = project.timeline.tracks[0].clips
    assert (clip.record_in, clip.source.start, len(clip.source)) == (0, 5, 10)


def test_the_picture_of_a_nested_sequence_with_sound_is_laid_flat_and_its_sound_is_said_to_be_missing() -> None:
    both = [track(shot("a", 0, 10)), track(shot("s", 0, 12), kind="Audio")]
    nested = {"OTIO_SCHEMA": "Stack.1", "name": "N", "children": both}
    clips, notes = read(track(nested, shot("c", 0, 5)))
    assert clips == [("a", 0, 0, 10), ("c", 12, 0, 5)]
    assert notes == ['the nested sequence "N" is laid out flat, without its tracks of the other kind']


def test_other_media_other_timelines_effects_of_tracks_and_metadata_are_said() -> None:
    references = {"hires": external("hires.mov"), "proxy": external("proxy.mov")}
    clip = {"OTIO_SCHEMA": "Clip.2", "name": "a", "source_range": span(0, 5), "media_references": references}
    chosen = {**clip, "active_media_reference_key": "proxy", "metadata": {"cmx_3600": {"reel": "A1"}}}
    blur = {"OTIO_SCHEMA": "Effect.1", "effect_name": "Blur"}
    stack = {"OTIO_SCHEMA": "Stack.1", "children": [track(chosen, effects=[blur])]}
    one = {"OTIO_SCHEMA": "Timeline.1", "name": "first", "tracks": stack}
    both = {"OTIO_SCHEMA": "SerializableCollection.1", "children": [one, one]}
    project, notes = from_otio(both, "x.otio")
    assert [item.media.path for item in project.media] == ["proxy.mov"]
    assert notes == [
        'x.otio holds 2 timelines; the first, "first", is opened',
        'the clip "a" has other media (hires), which are left out',
        'the effect "Blur" of the track "T" is left out',
        "what other programs noted (cmx_3600) is left out",
    ]
