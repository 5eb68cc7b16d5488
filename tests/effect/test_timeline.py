"""A clip in another program's timeline: found, re-dubbed over its own frames, the timeline written with the take."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from julnet_plugin.cli import main
from julnet_plugin.errors import InputError, MediaError, TimeRangeError
from julnet_plugin.interchange.timeline import (
    TimelineError,
    add_take,
    output_of,
    path_of_url,
    read_clip,
    read_timeline,
    write_timeline,
)
from julnet_plugin.types import FrameRange, Take

otio = pytest.importorskip("opentimelineio")
Time, Range = otio.opentime.RationalTime, otio.opentime.TimeRange
HOUR = 90_000  # of 25 frames a second


@pytest.fixture(scope="module")
def coded_plate(write_plate: Any, portrait: Any) -> Path:
    """24 frames at 25 whose first is 01:00:00:00."""
    path: Path = write_plate(portrait, timecode="01:00:00:00")
    return path


def span(start: float, length: float, rate: float = 25) -> Any:
    return Range(Time(start, rate), Time(length, rate))


def clip_of(plate: Path | str, name: str = "shot A", source: Any = None, available: Any = None, **more: Any) -> Any:
    reference = otio.schema.ExternalReference(target_url=str(plate), available_range=available)
    return otio.schema.Clip(name=name, media_reference=reference, source_range=source, **more)


Save = Callable[..., Path]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Saves clips on one video track: `save(clip, …, name="cut.otio")`."""

    def write(*items: Any, name: str = "cut.otio") -> Path:
        track = otio.schema.Track(name="Video 1", kind="Video", children=list(items))
        timeline = otio.schema.Timeline(name="cut", global_start_time=Time(HOUR, 25))
        timeline.tracks.append(track)
        otio.adapters.write_to_file(timeline, str(tmp_path / name))
        return tmp_path / name

    return write


def take_of(folder: Path, start: int, stop: int) -> Take:
    review = [{"start": start, "stop": start + 2, "peak": start, "expected_cv": 21.4, "reasons": ["low light"]}]
    plate = {"frame_range": [start, stop], "first_number": start}
    return Take(path=folder, manifest={"plate": plate, "files": {"prores": "dub.mov"}, "review": review})


def test_the_command_redubs_the_clip_s_frames_and_writes_the_timeline_back(
    coded_plate: Path, line: Path, tiny_model: Path, save: Save, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gap = otio.schema.Gap(duration=Time(10, 25))
    path = save(gap, clip_of(coded_plate, source=span(HOUR + 4, 6), available=span(HOUR, 24)))
    code = main(
        ["redub", "--timeline", str(path), "--clip", "shot A", "--dub", str(line), "-o", str(tmp_path / "take"),
         "--handles", "2", "--model", str(tiny_model), "--device", "cpu", "--json", "--set", "render.threads=1"]
    )  # fmt: skip
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (code, result["timeline"]) == (0, str(path))
    manifest = json.loads((tmp_path / "take" / "take.json").read_text("utf-8"))
    assert manifest["plate"]["frame_range"] == [2, 12]
    assert manifest["job"]["dub_offset_s"] == pytest.approx(2 / 25)
    original, ours = read_timeline(path).tracks
    assert (original.name, ours.name) == ("Video 1", "JULNet")
    (clip,) = ours.find_clips()
    assert clip.range_in_parent() == original[1].range_in_parent()
    assert clip.source_range == span(HOUR + 4, 6)
    assert clip.media_reference.available_range == span(HOUR + 2, 10)
    assert clip.media_reference.target_url == str(tmp_path / "take" / "dub.mov")


@pytest.mark.parametrize(
    ("source", "available", "shown"),
    [
        (span(HOUR + 4, 6), span(HOUR, 24), (4, 10)),
        (span(4, 6), span(0, 24), (4, 10)),
        (span(4, 6), None, (4, 10)),
        (span(HOUR + 4, 6), None, (4, 10)),
        (None, span(HOUR, 24), (0, 24)),
        (span(8, 12, 50), span(0, 48, 50), (4, 10)),
        (span(0.16, 0.24, 1), span(0, 1, 1), (4, 10)),
    ],
)
def test_source_ranges_are_read_in_the_medium_s_own_labels(
    coded_plate: Path, save: Save, source: Any, available: Any, shown: tuple[int, int]
) -> None:
    found = read_clip(save(clip_of(coded_plate, source=source, available=available)), "shot A")
    assert (found.shown.start, found.shown.stop) == shown
    assert found.frames == found.shown


def test_a_23976_clip_counts_the_same_labels_whatever_the_file_calls_its_rate(
    write_plate: Any, portrait: Any, save: Save
) -> None:
    plate = write_plate(portrait, rate=Fraction(24000, 1001), timecode="01:00:00:00")
    for rate in (24000 / 1001, 23.976, 23.98, 24.0):
        path = save(clip_of(plate, source=span(86_404, 6, rate), available=span(86_400, 24, rate)))
        found = read_clip(path, "shot A")
        assert (found.rate, found.shown) == (Fraction(24000, 1001), FrameRange(start=4, stop=10))


def test_a_transition_s_frames_are_part_of_the_take(coded_plate: Path, save: Save) -> None:
    first = clip_of(coded_plate, source=span(4, 10))
    dissolve = otio.schema.Transition(in_offset=Time(3, 25), out_offset=Time(3, 25))
    found = read_clip(save(first, dissolve, clip_of(coded_plate, "shot B", source=span(4, 10))), "shot A")
    assert (found.shown, found.frames) == (FrameRange(start=4, stop=14), FrameRange(start=4, stop=17))


@pytest.mark.parametrize("write", ["absolute", "url", "relative"])
def test_media_are_found_and_takes_written_as_the_timeline_writes_paths(
    coded_plate: Path, save: Save, tmp_path: Path, write: str
) -> None:
    folder = tmp_path / "Szene 1 ä#é"
    folder.mkdir()
    plate = folder / "shot 1 %.mov"
    plate.write_bytes(coded_plate.read_bytes())
    from urllib.parse import quote

    text = {"absolute": str(plate), "url": "file://" + quote(str(plate)), "relative": "Szene 1 ä#é/shot 1 %.mov"}[write]
    path = save(clip_of(text, source=span(4, 6)))
    found = read_clip(path, "shot A")
    assert found.plate == plate
    clip = add_take(found, take_of(folder / "take ü", 4, 10), path)
    url = clip.media_reference.target_url
    assert (tmp_path / path_of_url(url)) == folder / "take ü" / "dub.mov"
    assert url.startswith({"absolute": "/", "url": "file:///", "relative": "Szene"}[write])


def test_takes_as_references_keep_the_original_beside_them_and_can_be_added_again(
    coded_plate: Path, save: Save, tmp_path: Path
) -> None:
    path = save(clip_of(coded_plate, source=span(HOUR + 4, 6), available=span(HOUR, 24)))
    for number in (1, 2):
        found = read_clip(path, "shot A")
        assert found.plate == coded_plate
        add_take(found, take_of(tmp_path / f"take {number}", 4, 10), path, "reference")
        write_timeline(found.document, path)
    (clip,) = read_timeline(path).find_clips()
    assert sorted(clip.media_references()) == ["julnet:take 1", "julnet:take 2", "original"]
    assert clip.active_media_reference_key == "julnet:take 2"
    assert clip.source_range == span(HOUR + 4, 6)
    assert [marker.marked_range for marker in clip.markers[:1]] == [span(HOUR + 4, 2)]


def test_a_second_clip_s_take_goes_onto_the_same_track(coded_plate: Path, save: Save, tmp_path: Path) -> None:
    pair = [clip_of(coded_plate, name, source=span(4, 6)) for name in ("shot A", "shot B")]
    path = save(otio.schema.Gap(duration=Time(5, 25)), *pair)
    for name in ("shot B", "shot A"):
        found = read_clip(path, name)
        add_take(found, take_of(tmp_path / name, 4, 10), path)
        write_timeline(found.document, path)
    timeline = read_timeline(path)
    assert [track.name for track in timeline.tracks] == ["Video 1", "JULNet"]
    laid = {clip.name: clip.range_in_parent().start_time.value for clip in timeline.tracks[1].find_clips()}
    assert laid == {"shot A shot A": 5, "shot B shot B": 11}


@pytest.fixture
def cut_with_sound(coded_plate: Path, tmp_path: Path) -> Path:
    """A clip of 6 frames with its own sound, a bit of it trimmed, beside music and sound of another place."""
    picture = clip_of(coded_plate, source=span(HOUR + 4, 6), available=span(HOUR, 24))
    shorter = clip_of(coded_plate, "sync", source=span(2 * (HOUR + 5), 8, 50), available=span(2 * HOUR, 48, 50))
    away = clip_of(coded_plate, "away", source=span(HOUR + 9, 4), available=span(HOUR, 24))
    beyond = clip_of(coded_plate, "beyond", source=span(HOUR + 2, 10), available=span(HOUR, 24))
    timeline = otio.schema.Timeline(name="cut", global_start_time=Time(HOUR, 25))
    for name, kind, begin, clip in (
        ("V1", "Video", 10, picture), ("A1", "Audio", 11, shorter), ("A2", "Audio", 10, away),
        ("A3", "Audio", 8, beyond), ("A4", "Audio", 10, clip_of("music.wav", "music", source=span(0, 6))),
    ):  # fmt: skip
        gap = otio.schema.Gap(duration=Time(begin, 25))
        timeline.tracks.append(otio.schema.Track(name=name, kind=kind, children=[gap, clip]))
    path = tmp_path / "cut.otio"
    otio.adapters.write_to_file(timeline, str(path))
    return path


def test_the_new_line_is_laid_beside_the_clip_s_own_sound_which_is_disabled(
    cut_with_sound: Path, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        found = read_clip(cut_with_sound, "shot A")
        add_take(found, take_of(tmp_path / name, 2, 12), cut_with_sound)
        write_timeline(found.document, cut_with_sound)
    tracks = read_timeline(cut_with_sound).tracks
    heard = {
        clip.name: track.name
        for track in tracks
        if track.kind == "Audio"
        for clip in track.find_clips()
        if clip.enabled
    }
    assert heard == {"away": "A2", "beyond": "A3", "music": "A4", "shot A two": "JULNet"}
    (line,) = [c for t in tracks if t.kind == "Audio" for c in t.find_clips() if c.name == "shot A two"]
    (picture,) = [c for t in tracks if t.kind == "Video" for c in t.find_clips() if c.name == "shot A"]
    assert (line.range_in_parent(), line.source_range) == (picture.range_in_parent(), picture.source_range)
    assert line.media_reference.target_url == str(tmp_path / "two" / "dub.mov")


def test_a_cut_without_sound_and_a_take_without_a_movie_stay_silent(
    cut_with_sound: Path, coded_plate: Path, save: Save, tmp_path: Path
) -> None:
    silent = take_of(tmp_path / "stills", 2, 12)
    silent.manifest["files"] = {"png": "png/dub.######.png"}
    for path, take in (
        (cut_with_sound, silent),
        (save(clip_of(coded_plate, source=span(4, 6)), name="b.otio"), take_of(tmp_path, 0, 24)),
    ):
        found = read_clip(path, "shot A")
        before = [track.name for track in found.document.tracks if track.kind == "Audio"]
        add_take(found, take, path)
        assert [track.name for track in found.document.tracks if track.kind == "Audio"] == before
        assert all(clip.enabled for clip in found.document.find_clips())


@pytest.mark.parametrize("suffix", ["aaf", "xml"])
def test_avid_s_and_premiere_s_timelines_come_in_and_go_out_with_take_and_line(
    coded_plate: Path, tmp_path: Path, suffix: str
) -> None:
    if suffix not in otio.adapters.suffixes_with_defined_adapters(read=True):
        pytest.skip(f"no adapter of OpenTimelineIO for {suffix} is installed")
    timeline = otio.schema.Timeline(name="cut")
    for kind in ("Video", "Audio"):
        clip = clip_of(f"file://{coded_plate}", source=span(HOUR + 4, 6), available=span(HOUR, 24))
        children = [otio.schema.Gap(duration=Time(10, 25)), clip]
        timeline.tracks.append(otio.schema.Track(name=f"{kind} 1", kind=kind, children=children))
    path = tmp_path / f"cut.{suffix}"
    otio.adapters.write_to_file(timeline, str(path), **({"use_empty_mob_ids": True} if suffix == "aaf" else {}))
    found = read_clip(path, "shot A", handles=1)
    assert (found.shown, found.frames) == (FrameRange(start=4, stop=10), FrameRange(start=3, stop=11))
    out = output_of(path, None)
    assert out.name == "cut.julnet.otio"
    add_take(found, take_of(tmp_path / "take", 3, 11), out)
    write_timeline(found.document, out)
    written = read_timeline(out)
    ours = [clip for clip in written.find_clips() if clip.name == "shot A take"]
    assert [clip.parent().kind for clip in ours] == ["Video", "Audio"]
    assert [clip.source_range for clip in ours] == [span(HOUR + 4, 6)] * 2


def test_a_clip_in_a_nested_stack_is_found_and_its_take_lies_in_that_stack(
    coded_plate: Path, save: Save, tmp_path: Path
) -> None:
    inner = otio.schema.Track(name="inner", kind="Video", children=[clip_of(coded_plate, source=span(4, 6))])
    path = save(otio.schema.Stack(name="nest", children=[inner]))
    found = read_clip(path, "shot A")
    add_take(found, take_of(tmp_path / "take", 4, 10), path)
    (nest,) = found.document.tracks[0]
    assert [track.name for track in nest] == ["inner", "JULNet"]


def test_an_image_sequence_is_found(make_sequence: Callable[..., Path], save: Save, tmp_path: Path) -> None:
    make_sequence("shot.%04d.png", first=1001, frames=6)
    reference = otio.schema.ImageSequenceReference(
        target_url_base=str(tmp_path), name_prefix="shot.", name_suffix=".png", start_frame=1001,
        frame_zero_padding=4, rate=25, available_range=span(1001, 6),
    )  # fmt: skip
    found = read_clip(
        save(otio.schema.Clip(name="shot A", media_reference=reference, source_range=span(1003, 2))), "shot A"
    )
    assert (found.plate.name, found.shown) == ("shot.####.png", FrameRange(start=2, stop=4))


def retimed(plate: Path, effect: Any) -> Any:
    return clip_of(plate, source=span(4, 6), effects=[effect])


@pytest.mark.parametrize(
    ("effect", "said"),
    [
        (otio.schema.LinearTimeWarp(time_scalar=2.0), "retimed to 200 %"),
        (otio.schema.LinearTimeWarp(time_scalar=-1.0), "retimed to -100 %"),
        (otio.schema.FreezeFrame(), "a freeze frame"),
    ],
)
def test_a_retimed_clip_is_refused(coded_plate: Path, save: Save, effect: Any, said: str) -> None:
    with pytest.raises(TimelineError, match=f"is {said} and a clip at its own speed is needed"):
        read_clip(save(retimed(coded_plate, effect)), "shot A")


def test_every_way_in_which_a_clip_cannot_be_used_is_one_sentence(
    coded_plate: Path, save: Save, tmp_path: Path
) -> None:
    path = save(
        clip_of(coded_plate, "shot A", source=span(4, 6)),
        clip_of(coded_plate, "twin", source=span(4, 6)),
        clip_of(coded_plate, "twin", source=span(14, 6)),
        clip_of(tmp_path / "gone.mov", "lost", source=span(4, 6)),
        otio.schema.Clip(name="offline", source_range=span(4, 6)),
        clip_of(coded_plate, "long", source=span(4, 60)),
        clip_of(coded_plate, "unmeasured"),
        clip_of(coded_plate, "unmeasured"),
    )
    refused: list[tuple[str, type[InputError], str]] = [
        ("shot a", TimelineError, "did you mean 'shot A'"),
        ("quite another", TimelineError, "there are 'long', 'lost'"),
        ("twin", TimelineError, "has 2 clips called 'twin': say which, twin#1 on Video 1 at 0.24 s, twin#2"),
        ("twin#3", TimelineError, "no clip called"),
        ("lost", MediaError, "it was moved or its disk is not mounted"),
        ("offline", MediaError, "shows no file"),
        ("unmeasured", TimelineError, "say which, unmeasured#1 on Video 1, unmeasured#2 on Video 1"),
        ("unmeasured#1", TimelineError, "does not say which frames the clip 'unmeasured#1', or one before it, shows"),
        ("long", TimeRangeError, "shows frames 4 to 63 of plate.mov, which has frames 0 to 23"),
    ]
    for name, kind, said in refused:
        with pytest.raises(kind, match=said):
            read_clip(path, name)
    assert read_clip(path, "twin#2").shown.start == 14


@pytest.mark.parametrize("text", ["", "{", "[]", '{"OTIO_SCHEMA": "Timeline.1"', "<xmeml/>"])
def test_a_damaged_timeline_is_refused_and_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "cut.otio"
    path.write_text(text, "utf-8")
    with pytest.raises(TimelineError):
        read_clip(path, "x")
    assert path.read_text("utf-8") == text


def test_formats_that_nobody_reads_or_writes_are_said(tmp_path: Path) -> None:
    (tmp_path / "cut.foo").write_text("x", "utf-8")
    with pytest.raises(TimelineError, match=r"reads \.foo"):
        read_timeline(tmp_path / "cut.foo")
    with pytest.raises(TimelineError, match=r"writes \.foo"):
        output_of(tmp_path / "cut.otio", tmp_path / "out.foo")
    with pytest.raises(TimelineError, match="missing or read-only"):
        output_of(tmp_path / "cut.otio", tmp_path / "nowhere" / "out.otio")
    assert output_of(tmp_path / "cut.xml", None) == tmp_path / "cut.julnet.otio"


def test_fcp7_xml_comes_in_and_goes_out_with_the_take(coded_plate: Path, save: Save, tmp_path: Path) -> None:
    pytest.importorskip("otio_fcp_adapter")
    native = read_timeline(save(clip_of(coded_plate, source=span(HOUR + 4, 6), available=span(HOUR, 24))))
    otio.adapters.write_to_file(native, str(tmp_path / "cut.xml"))
    found = read_clip(tmp_path / "cut.xml", "shot A")
    assert (found.plate, found.shown) == (coded_plate, FrameRange(start=4, stop=10))
    add_take(found, take_of(tmp_path / "take", 4, 10), tmp_path / "out.xml")
    write_timeline(found.document, tmp_path / "out.xml")
    assert len(list(read_timeline(tmp_path / "out.xml").find_clips())) == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "needs a PLATE, or --timeline"),
        (["plate.mov", "--timeline", "cut.otio", "--clip", "a"], "leave out a PLATE"),
        (["--timeline", "cut.otio", "--clip", "a", "--in", "3"], "leave out --in"),
        (["--timeline", "cut.otio"], "needs --clip NAME"),
        (["--timeline", "cut.otio", "--clip", "a", "--handles", "-1"], "give 0 or more"),
        (["--timeline", "nowhere.otio", "--clip", "a"], "there is no timeline nowhere.otio"),
    ],
)
def test_options_that_do_not_fit_together_are_one_sentence(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code = main(["redub", *arguments, "--dub", "line.wav", "-o", str(tmp_path / "take")])
    told = capsys.readouterr().err
    assert (code, said in told, told.count("\n")) == (2, True, 1)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("source", ["00:00:00:20 00:00:00:24", "01:00:00:20 01:00:00:24"])
def test_an_edl_is_read_in_the_rate_of_the_plate_since_it_says_none_itself(
    coded_plate: Path, tmp_path: Path, source: str
) -> None:
    """A second of 25 frames has a frame 24; in one of 24 frames that is no timecode."""
    shown = (20, 24)
    pytest.importorskip("otio_cmx3600_adapter")
    path = tmp_path / "cut.edl"
    path.write_text(
        f"TITLE: cut\nFCM: NON-DROP FRAME\n\n001  AX       V     C        {source} 01:00:00:00 01:00:00:04\n"
        f"* FROM CLIP NAME: shot A\n* FROM FILE: {coded_plate}\n",
        "utf-8",
    )
    found = read_clip(path, "shot A")
    assert (found.shown.start, found.shown.stop) == shown
    add_take(found, take_of(tmp_path / "take", *shown), tmp_path / "out.otio")
    write_timeline(found.document, tmp_path / "out.otio")
    original, ours = read_timeline(tmp_path / "out.otio").tracks
    assert [clip.trimmed_range().duration for clip in (*original.find_clips(), *ours.find_clips())] == [Time(4, 25)] * 2
