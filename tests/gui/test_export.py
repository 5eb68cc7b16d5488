"""What leaves the editor: movies frame by frame, and timelines that other programs read."""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest

pytest.importorskip("PySide6", reason="the editor's extra is not installed")

from gui import export
from gui.export.movie import FORMATS, export_movie
from gui.export.panel import text_of
from gui.export.takes import TAKE_FORMATS, copy_take, shown_takes, to_deliver
from gui.window import Window
from host_adapters.standalone import edits, media, scene
from host_adapters.standalone.otio_read import from_otio, parse
from host_adapters.standalone.project import Project, add_item
from host_adapters.standalone.timeline import Marker, TakeRef
from host_adapters.worker_client import WorkerClient
from julnet_plugin.errors import MediaError, RedubCancelled, TakeError
from julnet_plugin.media.audio import read_audio
from julnet_plugin.media.probe import probe
from julnet_plugin.media.reader import open_plate
from julnet_plugin.types import FrameRange

if TYPE_CHECKING:
    from pytestqt.qtbot import QtBot

Number = Callable[[Any], int]
pytestmark = pytest.mark.qt_log_ignore("This plugin does not support propagateSizeHints")


@pytest.fixture
def project(plate: Path, take: Path, make_movie: Callable[..., Path]) -> Project:
    """Frames 0 to 9 of the plate with a take of 4 to 7; a gap; five frames of another rate and size, with sound."""
    tone = (0.25 * np.ones((48_000, 1))).astype(np.float32)
    other = make_movie("wide.mov", frames=60, size=(192, 80), rate=50, sounds=[("pcm_s16le", 48_000, tone)])
    project = Project(name="scene")
    for path in (plate, other):
        info = probe(path)
        project = add_item(project, media.picture_item(info, str(path), 90_000 if path == plate else 0))
    project = media.put(project, "plate", 0, FrameRange(start=0, stop=10))
    project = media.put(project, "wide", 12, FrameRange(start=20, stop=30))
    clip = project.timeline.track("v1").clips[0]
    ref = TakeRef(name="t1", folder=str(take), frames=FrameRange(start=4, stop=8))
    timeline = edits.add_take(project.timeline, clip.id, ref)
    return replace(project, timeline=scene.set_marker(timeline, Marker(frame=3, name="look")))


def numbers(path: Path, frame_number: Number) -> list[int]:
    with open_plate(path) as reader:
        return [frame_number(frame.rgb) for frame in reader.frames()]


@pytest.mark.parametrize("kind", ["h264", "prores"])
def test_a_movie_holds_what_the_timeline_shows(
    project: Project, tmp_path: Path, frame_number: Number, kind: str
) -> None:
    seen: list[tuple[int, int]] = []
    path = tmp_path / f"out{FORMATS[kind].suffix}"
    export_movie(project, None, path, FORMATS[kind], lambda done, total: seen.append((done, total)))
    info = probe(path)
    assert (info.frame_count, info.rate, info.width, info.height) == (17, 25, 128, 96)
    assert info.start_timecode == "01:00:00:00"
    assert info.colour.matrix == "bt709"
    assert numbers(path, frame_number)[:12] == [0, 1, 2, 3, 104, 105, 106, 107, 8, 9, 0, 0]
    assert seen[-1] == (17, 17)
    sound, rate = read_audio(path)
    assert abs(len(sound) / rate - 17 / 25) < 0.03
    level = sound[:, 0]
    assert abs(level[: round(0.44 * rate)]).max() < 0.02
    assert abs(level[round(0.52 * rate) : round(0.66 * rate)].mean() - 0.25) < 0.03


def test_media_of_another_rate_play_at_their_own_speed(project: Project, tmp_path: Path, frame_number: Number) -> None:
    clip = project.timeline.track("v1").clips[1]
    assert (len(clip.source), clip.media.native_frame(clip.source.start)) == (5, 20)
    wide = replace(project, width=192, height=80)
    path = export_movie(
        wide, None, tmp_path / "o.mov", FORMATS["prores"], lambda *_: None, FrameRange(start=12, stop=17)
    )
    assert numbers(path, frame_number) == [20, 22, 24, 26, 28]


def test_a_cancelled_export_leaves_nothing(project: Project, tmp_path: Path) -> None:
    stop = threading.Event()

    def progress(done: int, total: int) -> None:
        if done == 5:
            stop.set()
            raise RedubCancelled

    folder = tmp_path / "out"
    folder.mkdir()
    with pytest.raises(RedubCancelled):
        export_movie(project, None, folder / "m.mov", FORMATS["prores"], progress)
    assert list(folder.iterdir()) == []


def test_an_empty_timeline_and_missing_media_are_one_sentence(project: Project, tmp_path: Path, plate: Path) -> None:
    with pytest.raises(MediaError, match="the timeline is empty"):
        export_movie(Project(), None, tmp_path / "m.mov", FORMATS["prores"], lambda *_: None)
    plate.unlink()
    with pytest.raises(MediaError, match=r"plate\.mov"):
        export_movie(project, None, tmp_path / "m.mov", FORMATS["prores"], lambda *_: None)


def test_exported_otio_comes_back_and_resolve_s_shape_holds(project: Project, take: Path) -> None:
    again, notes = from_otio(parse(text_of("otio", project, None), "x"), "x")
    assert again.timeline == project.timeline
    assert notes == []
    document = json.loads(text_of("resolve", project, None))
    tracks = document["tracks"]["children"]
    assert [track["name"] for track in tracks] == ["Video 1", "Video 2", "Audio 1", "Audio 2"]
    clips = [child for child in tracks[0]["children"] if child["OTIO_SCHEMA"] == "Clip.2"]
    assert len(clips) == 4  # before, take, behind; the other shot
    for clip in clips:
        reference = clip["media_references"][clip["active_media_reference_key"]]
        start, available = clip["source_range"]["start_time"]["value"], reference["available_range"]
        assert available["start_time"]["value"] <= start
        assert reference["target_url"].startswith("/")
    assert clips[1]["media_references"]["DEFAULT_MEDIA"]["target_url"] == f"{take}/dub.mov"
    assert clips[1]["source_range"]["start_time"]["value"] == 90_004
    assert document["global_start_time"]["value"] == 90_000


def test_fcp7_xml_has_every_clip_with_its_file_and_its_links(project: Project) -> None:
    root = ET.fromstring(text_of("fcp7", project, None).partition("<!DOCTYPE xmeml>\n")[2])
    items = root.findall("./sequence/media/video/track/clipitem")
    assert [(i.findtext("start"), i.findtext("end"), i.findtext("in")) for i in items] == [
        ("0", "4", "0"), ("4", "8", "0"), ("8", "10", "8"), ("12", "17", "10"),
    ]  # fmt: skip
    files = {f.get("id"): f.findtext("pathurl") for f in root.iter("file") if f.find("pathurl") is not None}
    assert all(item.find("file").get("id") in files for item in root.iter("clipitem"))  # type: ignore[union-attr]
    assert root.findtext("./sequence/timecode/string") == "01:00:00:00"
    sound = root.find("./sequence/media/audio/track/clipitem")
    assert sound is not None
    assert {link.findtext("linkclipref") for link in sound.findall("link")} == {"wide", "wide-sound"}


def test_an_edl_lists_the_picture_as_it_is_seen(project: Project) -> None:
    lines = text_of("edl", project, None).splitlines()
    events = [line for line in lines if line[:3].isdigit()]
    assert lines[:2] == ["TITLE: scene", "FCM: NON-DROP FRAME"]
    assert [line[14:15] for line in events] == ["V", "V", "V", "V", "A"]
    assert events[1].split()[4:] == ["01:00:00:04", "01:00:00:08", "01:00:00:04", "01:00:00:08"]
    assert events[3].split()[4:] == ["00:00:00:10", "00:00:00:15", "01:00:00:12", "01:00:00:17"]
    assert "* LOC: 01:00:00:03 RED     look" in lines


def test_another_reader_of_these_formats_finds_the_same_clips(project: Project, tmp_path: Path) -> None:
    otio: Any = pytest.importorskip("opentimelineio")
    if "fcp_xml" not in otio.adapters.available_adapter_names():
        pytest.skip("otio-fcp-adapter is not installed")
    for kind, suffix in (("fcp7", "xml"), ("edl", "edl")):
        path = tmp_path / f"x.{suffix}"
        path.write_text(text_of(kind, project, None))
        read = otio.adapters.read_from_file(str(path))
        track = read.video_tracks()[0]
        lengths = [round(clip.duration().value) for clip in track if isinstance(clip, otio.schema.Clip)]
        assert lengths == [4, 4, 2, 5], kind
    assert Fraction(25) == project.timeline.rate


@pytest.fixture
def delivered(take: Path) -> Path:
    """The take, with an EXR delivery of two frames."""
    (take / "exr").mkdir()
    for number in (4, 5):
        (take / "exr" / f"layers.{number:06d}.exr").write_bytes(b"pixels %d" % number)
    (take / "strokes.json").write_text("{}")
    values = json.loads((take / "take.json").read_text())
    values["files"] |= {"exr": "exr/layers.######.exr"}
    (take / "take.json").write_text(json.dumps(values))
    return take


def test_the_takes_that_the_timeline_shows_are_exported_each_once(project: Project, take: Path) -> None:
    assert shown_takes(project, None) == [take]
    clip = project.timeline.track("v1").clips[0]
    cut = replace(project, timeline=scene.razor(project.timeline, 5))
    assert shown_takes(cut, None) == [take]
    hidden = replace(project, timeline=edits.show_take(project.timeline, clip.id, None))
    assert shown_takes(hidden, None) == []


def test_a_take_is_copied_whole_beside_what_is_there(delivered: Path, tmp_path: Path) -> None:
    form, target = TAKE_FORMATS["exr"], tmp_path / "finishing"
    first, second = (copy_take(delivered, form, target) for _ in range(2))
    assert (first.name, second.name) == ("take", "take_2")
    assert sorted(p.name for p in second.rglob("*.exr")) == ["layers.000004.exr", "layers.000005.exr"]
    assert (first / "exr" / "layers.000005.exr").read_bytes() == b"pixels 5"
    with pytest.raises(TakeError, match="has no prores4444 files"):
        copy_take(delivered, TAKE_FORMATS["prores4444"], target)
    assert sorted(path.name for path in target.iterdir()) == ["take", "take_2"]


def test_a_full_disk_leaves_no_half_take(delivered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("gui.export.takes.shutil.copyfile", full)
    with pytest.raises(MediaError, match="the disk is full"):
        copy_take(delivered, TAKE_FORMATS["exr"], tmp_path / "finishing")
    assert list((tmp_path / "finishing").iterdir()) == []


def test_what_a_take_lacks_or_shows_as_it_was_is_delivered_first(delivered: Path) -> None:
    assert to_deliver(delivered, TAKE_FORMATS["exr"]) is None
    assert to_deliver(delivered, TAKE_FORMATS["matte-exr"]) == ("matte-exr",)
    values = json.loads((delivered / "take.json").read_text())
    values["comp"] = {"matte": "another"}
    (delivered / "take.json").write_text(json.dumps(values))
    assert to_deliver(delivered, TAKE_FORMATS["exr"]) == ()


def test_the_panel_exports_what_is_there_and_says_what_the_worker_could_not_deliver(
    qtbot: QtBot, delivered: Path, tmp_path: Path
) -> None:
    window = Window(WorkerClient())
    window.show()
    window.open(delivered)
    qtbot.waitUntil(lambda: window.session.take is not None, timeout=20_000)
    window.actions_by_name["export_takes"].trigger()
    panel = export.of(window)
    panel.take_folder.setText(str(tmp_path / "out"))
    with qtbot.waitSignal(panel.takes_exported, timeout=20_000) as told:
        panel.take_button.click()
    assert told.args == [[tmp_path / "out" / "take"]]
    assert "Done: 1 take " in panel.take_said.text()
    panel.take_format.setCurrentIndex(panel.take_format.findData("matte-exr"))
    with qtbot.waitSignal(panel.takes_exported, timeout=60_000) as told:
        panel.take_button.click()  # the real worker: this take has no data to derive a matte from
    assert told.args == [[]]
    assert panel.take_said.objectName() == "error"
    assert "\n" not in panel.take_said.text()
    assert panel.take_button.isEnabled()
    window.close()
    window.deleteLater()
