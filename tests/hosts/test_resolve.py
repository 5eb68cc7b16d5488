"""What is Resolve's own: the fake against the published stubs, its refusals, its quirks, the window, turnovers."""

from __future__ import annotations

import ast
import importlib.metadata
import inspect
import json
import shutil
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fake_resolve
import pytest
from bench import pictures_of
from bench_resolve import START, ResolveBench
from fake_resolve import App, Data, Item, Line, Track
from lua_table import parse

from host_adapters.base import (
    ClipRefused,
    FinishedTake,
    HostGone,
    HostProblem,
    HostRefused,
    MatteFile,
    RecordRange,
    SourceRange,
)
from host_adapters.resolve import menu
from host_adapters.resolve.session import BIN, ResolveSession
from host_adapters.resolve.turnover import fcp7_xml, file_url, otio_timeline, timecode_frames
from host_adapters.resolve.values import pattern_of, rate_of

API = (
    "Resolve",
    "ProjectManager",
    "Project",
    "MediaStorage",
    "MediaPool",
    "Folder",
    "MediaPoolItem",
    "Timeline",
    "TimelineItem",
)


@pytest.fixture(scope="module")
def stubs() -> dict[str, dict[str, list[ast.arguments]]]:
    """Arguments of every method that Resolve has, by class; several where it is overloaded."""
    try:
        files = importlib.metadata.files("fusionscript-stubs") or []
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("fusionscript-stubs is not installed")
    path = next(file.locate() for file in files if file.name == "fusionscript.pyi")
    classes = [node for node in ast.parse(Path(str(path)).read_text("utf-8")).body if isinstance(node, ast.ClassDef)]
    found: dict[str, dict[str, list[ast.arguments]]] = {}
    for cls in classes:
        for method in cls.body:
            if isinstance(method, ast.FunctionDef):
                found.setdefault(cls.name, {}).setdefault(method.name, []).append(method.args)
    return found


def methods(name: str) -> list[str]:
    cls = getattr(fake_resolve, name)
    return [m for m in dir(cls) if not m.startswith("_") and callable(getattr(cls, m))]


@pytest.mark.parametrize("name", API)
def test_the_fake_has_no_method_that_resolve_lacks_and_takes_the_same_arguments(name: str, stubs: Any) -> None:
    assert methods(name)
    for method in methods(name):
        assert method in stubs[name], f"{name} has no {method}"
        ours = list(inspect.signature(getattr(getattr(fake_resolve, name), method)).parameters)[1:]
        theirs = [[arg.arg for arg in arguments.args][1:] for arguments in stubs[name][method]]
        assert ours in theirs, (method, ours, theirs)


def test_the_adapter_calls_nothing_that_resolve_lacks(stubs: Any) -> None:
    known = {method for cls in API for method in stubs[cls]} | {"GetItems", "UIManager"}
    for file in Path(menu.__file__).parent.glob("*.py"):
        calls = [n.func for n in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(n, ast.Call)]
        names = {
            f.attr
            for f in calls
            if isinstance(f, ast.Attribute) and f.attr.startswith(("Get", "Set", "Add", "Delete", "Import", "Load"))
        }
        assert names - {"AddWindow"} <= known, names - known


@pytest.fixture
def bench() -> ResolveBench:
    return ResolveBench()


@pytest.fixture
def shot(make_shot: Callable[..., Any]) -> Any:
    return make_shot(start=2, stop=14, record_in=5)


MakeTake = Callable[..., FinishedTake]


def test_names_that_are_not_there_can_be_asked_for_but_not_called(bench: ResolveBench, shot: Any) -> None:
    bench.open(shot)
    assert callable(bench.app.resolve.GetNothing)
    with pytest.raises(TypeError):
        bench.app.resolve.GetNothing()


@pytest.mark.parametrize(
    "misuse",
    [
        lambda item, media: item.AddMarker(0, "Crimson", "n", "", 1, ""),
        lambda item, media: item.AddMarker(0, "Red", "n", "", 1, {"not": "text"}),
        lambda item, media: item.AddMarker(99, "Red", "n", "", 1, ""),
        lambda item, media: item.AddTake(media, 0, 99),
        lambda item, media: item.SelectTakeByIndex(0),
        lambda item, media: item.DeleteTakeByIndex(1),
        lambda item, media: item.ImportFusionComp("/nowhere.comp"),
        lambda item, media: media.SetThirdPartyMetadata("a", 1),
    ],
)
def test_what_resolve_refuses_the_fake_refuses(bench: ResolveBench, shot: Any, misuse: Any) -> None:
    bench.open(shot)
    item = bench.app.resolve.GetProjectManager().GetCurrentProject().GetCurrentTimeline().GetCurrentVideoItem()
    assert not misuse(item, item.GetMediaPoolItem())


def test_an_append_over_something_is_dropped_and_returns_a_husk(bench: ResolveBench, shot: Any) -> None:
    bench.open(shot)
    project = bench.app.resolve.GetProjectManager().GetCurrentProject()
    timeline = project.GetCurrentTimeline()
    media = timeline.GetCurrentVideoItem().GetMediaPoolItem()
    info = {
        "mediaPoolItem": media,
        "startFrame": 0,
        "endFrame": 4,
        "mediaType": 1,
        "trackIndex": 1,
        "recordFrame": START + 6,
    }
    (husk,) = project.GetMediaPool().AppendToTimeline([info])
    assert (husk.GetUniqueId(), husk.GetDuration()) == (None, None)
    assert len(timeline.GetItemListInTrack("video", 1)) == 1


def test_takes_are_imported_into_a_folder_of_their_own_and_the_current_one_stays(
    bench: ResolveBench, shot: Any, make_take: MakeTake
) -> None:
    session = bench.open(shot)
    current = bench.app.folder
    session.place_take(session.selection()[0], make_take(shot))
    (folder,) = bench.app.open.root.folders  # type: ignore[union-attr]
    assert (folder.name, len(folder.media), bench.app.folder) == (BIN, 1, current)


def test_where_a_take_does_not_fit_it_goes_on_a_track_above_and_can_be_switched_and_undone(
    bench: ResolveBench, shot: Any, make_take: MakeTake, make_matte: Callable[..., MatteFile], tmp_path: Path
) -> None:
    session = bench.open(shot)
    bench.app.takes_allowed = False
    (clip,) = session.selection()
    take = make_take(shot)
    ref = session.place_take(clip, take)
    assert [track.name for track in bench.app.open.timelines[0].tracks] == ["Video 1", BIN]  # type: ignore[union-attr]
    assert (session.list_clips(), [t.active for t in session.takes(clip)]) == ([clip], [True])
    assert (pictures_of(session.render(clip.record, str(tmp_path / "1"))) == pictures_of(take.picture)[2:14]).all()
    session.attach_matte(ref, make_matte(take))
    got = pictures_of(session.render(clip.record, str(tmp_path / "2")))
    assert (got[:, :, 32:] == pictures_of(str(shot.plate))[2:14, :, 32:]).all()
    session.select_take(clip, None)
    assert (pictures_of(session.render(clip.record, str(tmp_path / "3"))) == pictures_of(str(shot.plate))[2:14]).all()
    session.undo()
    session.undo()
    assert [track.name for track in bench.app.open.timelines[0].tracks] == ["Video 1"]  # type: ignore[union-attr]


def test_a_length_that_resolve_cannot_show_between_two_rates_is_said_and_nothing_changes(
    bench: ResolveBench, make_shot: Any, make_take: MakeTake
) -> None:
    shot = make_shot(start=0, stop=12, rate=Fraction(24), record_rate=Fraction(30))
    session = bench.open(shot)
    item = bench.app.open.timelines[0].tracks[0].items[0]  # type: ignore[union-attr]
    item.length = 14  # of 24 in 30, Resolve shows 13 or 15 frames
    (clip,) = session.selection()
    with pytest.raises(HostRefused, match=r"shows 15 frames of the take line where the clip has 14.*24 in 30"):
        session.place_take(clip, make_take(shot))
    assert (session.takes(clip), item.length, len(bench.app.open.timelines[0].tracks)) == ([], 14, 1)  # type: ignore[union-attr]


def test_what_a_person_has_set_in_the_deliver_page_neither_spoils_a_render_nor_is_lost(
    bench: ResolveBench, shot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = bench.open(shot)
    (clip,) = session.selection()
    mine = {"FormatWidth": 32, "FormatHeight": 24, "ExportAlpha": True, "CustomName": "mine"}
    monkeypatch.setattr(fake_resolve.Project, "settings", dict(mine))
    got = pictures_of(session.render(clip.record, str(tmp_path / "out")))
    assert (got == pictures_of(str(shot.plate))[2:14]).all()
    assert (fake_resolve.Project.settings, fake_resolve.Project.presets) == (mine, {})


def test_a_take_above_that_shares_its_track_with_a_person_s_clip_is_undone_alone(
    bench: ResolveBench, shot: Any, make_take: MakeTake
) -> None:
    session = bench.open(shot)
    bench.app.takes_allowed = False
    (clip,) = session.selection()
    session.place_take(clip, make_take(shot))
    tracks = bench.app.open.timelines[0].tracks  # type: ignore[union-attr]
    tracks[1].items.append(Item(tracks[0].items[0].media, 0, START + 60, 5, "mine"))
    bench.app.page = "color"
    session.undo()
    assert [item.name for item in tracks[1].items] == ["mine"]


def sounds_of(bench: ResolveBench) -> list[tuple[str, list[bool]]]:
    """Names of the audio tracks, and which of their items are heard."""
    line = bench.app.open.timelines[0]  # type: ignore[union-attr]
    return [(track.name, [item.enabled for item in track.items]) for track in line.sounds]


def test_lines_of_two_takes_lie_on_tracks_of_their_own_and_go_with_their_takes(
    bench: ResolveBench, make_shot: Callable[..., Any], make_take: MakeTake
) -> None:
    shot = make_shot(start=2, stop=14, record_in=5, sound=True)
    session = bench.open(shot)
    (clip,) = session.selection()
    first = session.place_take(clip, make_take(shot))
    session.place_take(clip, make_take(shot, name="line 2"))
    assert sounds_of(bench) == [("Audio 1", [False]), ("JULNet", [False]), ("JULNet", [True])]
    session.select_take(clip, first)
    assert sounds_of(bench) == [("Audio 1", [False]), ("JULNet", [True]), ("JULNet", [False])]
    session.undo()
    session.undo()
    assert sounds_of(bench) == [("Audio 1", [True])]


def test_sound_that_reaches_beyond_the_clip_or_was_off_already_is_left_alone(
    bench: ResolveBench, make_shot: Callable[..., Any], make_take: MakeTake
) -> None:
    shot = make_shot(start=2, stop=14, record_in=5, sound=True)
    session = bench.open(shot)
    (clip,) = session.selection()
    (own,) = bench.app.open.timelines[0].sounds[0].items  # type: ignore[union-attr]
    own.length += 1
    session.place_take(clip, make_take(shot))
    assert sounds_of(bench) == [("Audio 1", [True]), ("JULNet", [True])]
    session.undo()
    own.length, own.enabled = own.length - 1, False
    session.place_take(clip, make_take(shot, name="line 2"))
    session.select_take(clip, None)
    assert sounds_of(bench) == [("Audio 1", [False]), ("JULNet", [False])]


def test_a_take_without_sound_adds_no_audio_track(bench: ResolveBench, shot: Any, make_take: MakeTake) -> None:
    session = bench.open(shot)
    (clip,) = session.selection()
    session.place_take(clip, make_take(shot))
    assert sounds_of(bench) == []


def test_what_was_painted_in_fusion_stays_when_the_matte_is_attached_again(
    bench: ResolveBench, shot: Any, make_take: MakeTake, make_matte: Callable[..., MatteFile]
) -> None:
    session = bench.open(shot)
    take = make_take(shot)
    ref = session.place_take(session.selection()[0], take)
    matte = make_matte(take)
    held = session.attach_matte(ref, matte)
    session.attach_matte(ref, matte)
    assert not (Path(take.folder) / "edited 2").exists(), "nobody had painted"
    bench.paint(held, 5, (40, 10, 52, 20), white=True)
    session.attach_matte(ref, matte)
    kept = pictures_of(str(Path(take.folder) / "edited 2" / "matte.######.png"))
    assert (kept[5, 10:20, 40:52] == 255).all()


def test_a_timeline_that_takes_nothing_is_left_as_it_was(
    bench: ResolveBench, shot: Any, make_take: MakeTake, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = bench.open(shot)
    bench.app.takes_allowed = False
    monkeypatch.setattr(fake_resolve.MediaPool, "AppendToTimeline", lambda self, clipInfo: [])
    with pytest.raises(HostRefused, match="neither as a take nor on a track"):
        session.place_take(session.selection()[0], make_take(shot))
    assert len(bench.app.open.timelines[0].tracks) == 1  # type: ignore[union-attr]


def test_control_z_after_a_take_is_noticed_and_our_own_undo_does_no_harm(
    bench: ResolveBench, shot: Any, make_take: MakeTake, make_matte: Callable[..., MatteFile]
) -> None:
    session = bench.open(shot)
    (clip,) = session.selection()
    take = make_take(shot)
    ref = session.place_take(clip, take)
    bench.app.control_z()
    assert session.takes(clip) == []
    with pytest.raises(HostGone, match="place it again"):
        session.attach_matte(ref, make_matte(take))
    session.undo()
    assert session.list_clips() == [clip]
    assert session.place_take(clip, take).active


def test_a_clip_that_was_deleted_meanwhile_is_said(bench: ResolveBench, shot: Any, make_take: MakeTake) -> None:
    session = bench.open(shot)
    (clip,) = session.selection()
    bench.app.open.timelines[0].tracks[0].items.clear()  # type: ignore[union-attr]
    with pytest.raises(HostGone, match="not on the timeline any more"):
        session.place_take(clip, make_take(shot))


def test_another_project_is_not_written_to(bench: ResolveBench, shot: Any, make_take: MakeTake) -> None:
    session = bench.open(shot)
    (clip,) = session.selection()
    bench.app.open = Data("Other", timelines=[Line("T", "25", 0, [Track("Video 1")])])
    with pytest.raises(HostGone, match="was closed in Resolve"):
        session.place_take(clip, make_take(shot))


def test_saving_a_project_without_a_name_would_hang_and_is_refused(bench: ResolveBench, shot: Any) -> None:
    session = bench.open(shot)
    bench.app.open.name = "Untitled Project"  # type: ignore[union-attr]
    with pytest.raises(HostRefused, match="save it once in Resolve"):
        session.save()


def test_a_take_on_a_track_that_resolve_loses_while_saving_is_said(
    bench: ResolveBench, shot: Any, make_take: MakeTake, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = bench.open(shot)
    bench.app.takes_allowed = False
    session.place_take(session.selection()[0], make_take(shot))
    session.save()
    monkeypatch.setattr(App, "save", lambda app: app.open.timelines[0].tracks[-1].items.clear())
    with pytest.raises(HostRefused, match="dropped a take"):
        session.save()
    session.save()


def test_titles_and_generators_are_no_clips(bench: ResolveBench, shot: Any) -> None:
    session = bench.open(shot)
    track = bench.app.open.timelines[0].tracks[0]  # type: ignore[union-attr]
    track.items.append(Item(None, 0, START + 40, 10, "Text"))
    assert len(session.list_clips()) == 1


def test_without_a_clip_under_the_playhead_nothing_is_selected(bench: ResolveBench, shot: Any) -> None:
    session = bench.open(shot)
    bench.app.playhead = None
    assert session.selection() == []


def test_a_person_s_own_markers_stay(bench: ResolveBench, shot: Any, make_take: MakeTake) -> None:
    session = bench.open(shot)
    (clip,) = session.selection()
    item = bench.app.open.timelines[0].tracks[0].items[0]  # type: ignore[union-attr]
    mine = {"color": "Blue", "name": "check hair", "note": "", "duration": 1.0, "customData": "mine"}
    item.markers[1] = dict(mine)
    session.mark(clip, make_take(shot).spans)
    assert item.markers[1] == mine
    assert len(session.marks(clip)) == 2
    session.mark(clip, [])
    assert item.markers == {1: mine}


def test_an_image_sequence_is_imported_and_read_back(
    bench: ResolveBench, shot: Any, make_sequence: Callable[..., Path], tmp_path: Path
) -> None:
    session = bench.open(shot)
    (clip,) = session.selection()
    (tmp_path / "seq").mkdir()
    make_sequence("seq/dub.%06d.png", first=1000, frames=16)
    picture = str(tmp_path / "seq" / "dub.######.png")
    take = FinishedTake(
        str(tmp_path / "seq"), "seq", picture, None, SourceRange.of(0, 16), Fraction(25), first_number=1000
    )
    session.place_take(clip, take)
    got = pictures_of(session.render(clip.record, str(tmp_path / "out")))
    assert (got == pictures_of(picture)[2:14]).all()


def test_the_composition_is_rooted_and_its_loaders_cover_the_clip(
    bench: ResolveBench, shot: Any, make_take: MakeTake, make_matte: Callable[..., MatteFile]
) -> None:
    session = bench.open(shot)
    take = make_take(shot)
    session.attach_matte(session.place_take(session.selection()[0], take), make_matte(take))
    tools = parse((Path(take.folder) / "resolve.comp").read_text("utf-8"))["Tools"].fields
    assert tools["Comp"]["Inputs"]["Foreground"]["SourceOp"] == "MediaIn1"
    assert tools["TouchUp"].kind == "Paint"
    clip = tools["Plate"]["Clips"].items[0]
    assert (clip["Filename"], clip["GlobalStart"], clip["Length"]) == (str(shot.plate), -2, 16)


def test_no_timeline_is_said_in_one_sentence() -> None:
    app = App()
    with pytest.raises(HostGone, match="no timeline is open"):
        ResolveSession(app.resolve)


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("25", 25),
        ("23.976", Fraction(24000, 1001)),
        ("29.97 DF", Fraction(30000, 1001)),
        (59.94, Fraction(60000, 1001)),
        ("24.0", 24),
    ],
)
def test_rates_are_read_as_fractions(text: Any, rate: Fraction) -> None:
    assert rate_of(text, "x") == rate


@pytest.mark.parametrize("text", ["", None, "0", "fast"])
def test_a_rate_that_is_none_is_refused(text: Any) -> None:
    with pytest.raises(ClipRefused, match="no frame rate"):
        rate_of(text, "x")


@pytest.mark.parametrize(
    ("said", "pattern", "first"),
    [
        ("/a/shot.[1001-1050].exr", "/a/shot.####.exr", 1001),
        (r"\\server\share\s h.[000001-000009].dpx", r"\\server\share\s h.######.dpx", 1),
        ("/a/[x] b.mov", "/a/[x] b.mov", 0),
    ],
)
def test_paths_of_sequences_are_read(said: str, pattern: str, first: int) -> None:
    assert pattern_of(said) == (pattern, first)


def test_the_otio_has_the_shape_that_resolve_accepts(bench: ResolveBench, shot: Any, make_take: MakeTake) -> None:
    otio = pytest.importorskip("opentimelineio")
    session = bench.open(shot)
    (clip,) = session.selection()
    take = make_take(shot)
    text = otio_timeline(clip, take, name="line", start_frame=86400)
    timeline = otio.adapters.read_from_string(text, "otio_json")
    (track,) = timeline.video_tracks()
    item = next(iter(track.find_clips()))
    assert (track.name, item.schema_version()) == ("Video 1", 2)
    assert item.media_reference.target_url == take.picture
    assert set(item.media_references()) == {"original", "julnet"}
    assert item.source_range.start_time.value == 3600 * 25 + 2
    assert item.media_references()["original"].available_range.contains(item.source_range)
    assert item.range_in_parent().start_time.value == 5
    assert [marker.marked_range.start_time.value - 90000 for marker in item.markers] == [9, 3]


def test_resolve_imports_the_otio_once_under_a_name_and_refuses_other_shapes(
    bench: ResolveBench, shot: Any, make_take: MakeTake, tmp_path: Path
) -> None:
    (clip,) = bench.open(shot).selection()
    take = make_take(shot, start=1)
    path = tmp_path / "line ü.otio"
    path.write_text(otio_timeline(clip, take, name="line", start_frame=86400), "utf-8")
    project = bench.app.resolve.GetProjectManager().GetCurrentProject()
    pool, options = project.GetMediaPool(), {"timelineName": "line", "importSourceClips": True}
    timeline = pool.ImportTimelineFromFile(str(path), options)
    (item,) = timeline.GetItemListInTrack("video", 1)
    assert (item.GetStart() - timeline.GetStartFrame(), item.GetDuration(), item.GetLeftOffset()) == (5, 12, 1)
    assert item.GetMediaPoolItem().GetClipProperty("File Path") == take.picture
    assert pool.ImportTimelineFromFile(str(path), options) is None
    other = path.read_text("utf-8").replace(take.picture, "file://" + take.picture)
    path.write_text(other, "utf-8")
    assert pool.ImportTimelineFromFile(str(path), {**options, "timelineName": "line 2"}) is None


def test_the_xml_lays_the_take_over_the_clip(bench: ResolveBench, make_shot: Any, make_take: MakeTake) -> None:
    rate = Fraction(30000, 1001)
    shot = make_shot(
        name="a & b <c>.mov", start=2, stop=14, record_in=5, rate=rate, record_rate=rate, timecode="01:00:00;00"
    )
    session = bench.open(make_shot(start=2, stop=14, record_in=5))
    (clip,) = session.selection()
    clip = type(clip)(
        **{
            **vars(clip),
            "path": str(shot.plate),
            "source_rate": rate,
            "record_rate": rate,
            "start_timecode": "01:00:00;00",
        }
    )
    root = ET.fromstring(fcp7_xml(clip, make_take(shot, start=1), name="a & b", size=(64, 48)))
    original, take = root.iter("clipitem")
    spans = [tuple(int(item.findtext(tag, "")) for tag in ("start", "end", "in", "out")) for item in (original, take)]
    assert spans == [(5, 17, 2, 14), (5, 17, 1, 13)]
    assert original.findtext("file/pathurl", "").endswith("/a%20%26%20b%20%3Cc%3E.mov")
    assert original.findtext("file/timecode/frame") == str(107892)
    assert take.findtext("rate/ntsc") == "TRUE"


@pytest.mark.parametrize(
    ("path", "url"),
    [
        ("/a b/ü.mov", "file://localhost/a%20b/%C3%BC.mov"),
        (r"C:\cut\a.mov", "file://localhost/C:/cut/a.mov"),
        (r"\\server\share\a.mov", "file://server/share/a.mov"),
    ],
)
def test_paths_of_every_system_become_urls(path: str, url: str) -> None:
    assert file_url(path) == url


def test_drop_frame_timecode_counts_frames_that_exist() -> None:
    assert timecode_frames("00:01:00;02", Fraction(30000, 1001)) == 1800
    assert timecode_frames("00:10:00;00", Fraction(30000, 1001)) == 17982
    assert timecode_frames("01:00:00:00", Fraction(24000, 1001)) == 86400


class Widget(SimpleNamespace):
    """Anything of UIManager: it keeps what it is given."""

    def __init__(self, values: dict[str, Any] | None = None, children: Any = ()) -> None:
        super().__init__(**{"Text": "", "Value": 0, **(values or {})})
        self.children = children if isinstance(children, (list, tuple)) else []


class Window:
    def __init__(self, widgets: dict[str, Widget]) -> None:
        self.On: Any = {name: SimpleNamespace() for name in [*widgets, menu.WINDOW]}
        self._widgets = widgets

    def GetItems(self) -> dict[str, Widget]:  # noqa: N802
        return self._widgets

    def Show(self) -> None: ...  # noqa: N802

    def Hide(self) -> None: ...  # noqa: N802


class Gui:
    """Resolve's UIManager and dispatcher: RunLoop runs what a person does."""

    def __init__(self, person: Callable[[Gui], None]) -> None:
        self.UIManager, self.On, self._person = self, SimpleNamespace(), person
        self.widgets: dict[str, Widget] = {}
        self.window: Any = None
        self.ticking = False

    def __getattr__(self, name: str) -> Any:
        if name == "Timer":
            return lambda values: SimpleNamespace(Start=self._start, Stop=self._stop)

        def make(first: Any, *rest: Any) -> Widget:
            widget = Widget(first) if isinstance(first, dict) else Widget(None, first)
            if isinstance(first, dict) and "ID" in first:
                self.widgets[first["ID"]] = widget
            return widget

        return make

    def UIDispatcher(self, ui: Any) -> Gui:  # noqa: N802
        return self

    def AddWindow(self, values: Any, children: Any) -> Window:  # noqa: N802
        self.window = Window(self.widgets)
        return self.window  # type: ignore[no-any-return]

    def RunLoop(self) -> None:  # noqa: N802
        self._person(self)

    def ExitLoop(self) -> None: ...  # noqa: N802

    def _start(self) -> None:
        self.ticking = True

    def _stop(self) -> None:
        self.ticking = False

    def click(self, name: str) -> None:
        self.window.On[name].Clicked({})

    def wait(self) -> str:
        import time

        for _ in range(400):
            if not self.ticking:
                break
            self.On.Timeout({})
            time.sleep(0.02)
        return str(self.widgets["Said"].Text)


@pytest.fixture
def client_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Lets the window's worker be a script that is given `job` and says what it likes."""

    def use(script: str) -> None:
        path = tmp_path / "worker.py"
        head = (
            "import json, os, sys\nsay = lambda **e: print(json.dumps(e), flush=True)\nsay(event='ready', protocol=1)\n"
        )
        path.write_text(head + "job = json.loads(sys.stdin.readline())\n" + script)
        monkeypatch.setattr(menu, "read_config", dict)
        monkeypatch.setattr(menu, "worker_command", lambda config: [sys.executable, "-S", "-E", str(path)])

    return use


def script_globals(bench: ResolveBench, gui: Gui) -> dict[str, Any]:
    return {"resolve": bench.app.resolve, "fusion": gui, "bmd": gui}


def test_the_window_redubs_the_clip_under_the_playhead(
    bench: ResolveBench, shot: Any, make_take: MakeTake, make_sound: Any, client_of: Any
) -> None:
    session = bench.open(shot)
    dub, take = make_sound("my line.wav"), make_take(shot, name="made")
    client_of(
        "folder = job['request']['take_dir']\n"
        "say(event='progress', id=job['id'], stage='render', done=3, total=12)\n"
        f"os.makedirs(os.path.dirname(folder)), os.rename({take.folder!r}, folder)\n"
        "say(event='result', id=job['id'], take=folder + '/take.json')\nsys.stdin.read()\n"
    )

    def person(gui: Gui) -> None:
        gui.widgets["Dub"].Text, gui.widgets["Offset"].Text = str(dub), "0,5"
        gui.click("Start")
        assert gui.wait() == "plate.mov my line is placed"

    menu.run(script_globals(bench, Gui(person)))
    (placed,) = session.takes(session.list_clips()[0])
    assert placed.active
    assert len(session.marks(session.list_clips()[0])) == 2


def test_the_window_shows_places_and_undoes_takes_and_hands_the_painted_matte_back(
    bench: ResolveBench, shot: Any, make_take: MakeTake, make_matte: Any, client_of: Any, tmp_path: Path
) -> None:
    session = bench.open(shot)
    take = make_take(shot)
    client_of(
        "assert job['verb'] == 'matte' and job['override_start'] == 0, job\n"
        f"open({str(tmp_path / 'asked')!r}, 'w').write(job['override'])\n"
        "say(event='result', id=job['id'])\nsys.stdin.read()\n"
    )
    matte = make_matte(take)
    manifest = json.loads((Path(take.folder) / "take.json").read_text("utf-8"))
    shutil.copytree(Path(matte.path).parent, Path(take.folder) / "matte")
    manifest["files"]["matte-png"] = "matte/matte.######.png"
    (Path(take.folder) / "take.json").write_text(json.dumps(manifest), "utf-8")

    def active() -> list[bool]:
        return [take.active for take in session.takes(session.list_clips()[0])]

    def person(gui: Gui) -> None:
        def said(button: str) -> str:
            gui.click(button)
            return str(gui.widgets["Said"].Text)

        assert "shows its original" in said("HandBack")
        bench.app.folder_chosen = ""
        assert said("Place") == "nothing was placed"
        bench.app.folder_chosen = take.folder + "/"
        assert (said("Place"), active()) == ("line is placed", [True])
        assert (said("Next"), active()) == ("plate.mov shows its original", [False])
        assert (said("Next"), active()) == ("plate.mov shows line", [True])
        (placed,) = session.takes(session.list_clips()[0])
        held = session.matte(placed)
        assert held is not None
        bench.paint(held, 5, (40, 10, 52, 20), white=True)
        gui.click("HandBack")
        assert "a job is under way" in said("Start")
        assert gui.wait() == "the painted matte is part of line now"
        assert (tmp_path / "asked").read_text() == str(Path(take.folder) / "edited" / "matte.######.png")
        assert (said("Original"), active()) == ("plate.mov shows its original", [False])
        for _ in range(2):
            gui.click("Undo")
        assert active() == []
        bench.close_project()
        assert "no timeline is open" in said("Next")

    menu.run(script_globals(bench, Gui(person)))


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("os._exit(9)", "ended with code 9"),
        ("say(event='error', id=job['id'], type='NoFaceFoundError', message='no face')\nsys.stdin.read()", "no face"),
    ],
)
def test_the_window_says_why_nothing_came_of_it(
    bench: ResolveBench, shot: Any, make_sound: Any, client_of: Any, script: str, said: str
) -> None:
    session = bench.open(shot)
    dub = make_sound("line.wav")
    client_of(script)

    def person(gui: Gui) -> None:
        gui.widgets["Dub"].Text = str(dub)
        gui.click("Start")
        assert said in gui.wait()

    menu.run(script_globals(bench, Gui(person)))
    assert session.takes(session.list_clips()[0]) == []


@pytest.mark.parametrize(
    ("offset", "dub", "said"),
    [("soon", "line.wav", "a number of seconds is needed"), ("0", "gone.wav", "gone.wav is not there")],
)
def test_the_window_refuses_with_a_sentence(
    bench: ResolveBench, shot: Any, client_of: Any, offset: str, dub: str, said: str
) -> None:
    bench.open(shot)
    client_of("")

    def person(gui: Gui) -> None:
        gui.widgets["Dub"].Text, gui.widgets["Offset"].Text = dub, offset
        gui.click("Start")
        assert said in gui.widgets["Said"].Text
        assert not gui.ticking

    menu.run(script_globals(bench, Gui(person)))


def test_external_scripting_that_does_not_answer_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RESOLVE_SCRIPT_API", raising=False)
    with pytest.raises(HostProblem, match="set RESOLVE_SCRIPT_API"):
        menu.connect()
    monkeypatch.setitem(sys.modules, "DaVinciResolveScript", SimpleNamespace(scriptapp=lambda name: None))  # type: ignore[arg-type]
    with pytest.raises(HostProblem, match="the free edition runs scripts from its own menu only"):
        menu.connect()


def test_a_marker_s_custom_data_is_json_that_names_its_frames(
    bench: ResolveBench, shot: Any, make_take: MakeTake
) -> None:
    session = bench.open(shot)
    (clip,) = session.selection()
    session.mark(clip, make_take(shot).spans)
    markers = bench.app.open.timelines[0].tracks[0].items[0].markers  # type: ignore[union-attr]
    assert sorted(markers) == [1, 7], "frames of the item, not of the medium"
    assert json.loads(markers[1]["customData"])["start"] == 3


def test_the_record_range_that_is_rendered_is_the_one_asked_for(bench: ResolveBench, shot: Any, tmp_path: Path) -> None:
    session = bench.open(shot)
    got = pictures_of(session.render(RecordRange.of(6, 9), str(tmp_path)))
    assert (got == pictures_of(str(shot.plate))[3:6]).all()
