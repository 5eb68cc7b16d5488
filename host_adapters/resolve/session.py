"""An open project of DaVinci Resolve as a `HostSession`.

Resolve answers with False, None or nothing at all where it refuses, sometimes with True where it did nothing: every
call that changes something is read back, and what came of it is undone where it is not what was asked for. Names of
methods are never probed with `hasattr`, which is always true here.

Convention:
    Resolve counts tracks, takes and render jobs from 1. `startFrame` is in, `endFrame` is out, both in source frames.
    The first take of a take selector is the original.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import time
from fractions import Fraction
from typing import Any, Callable, Iterator, Sequence

from host_adapters.base import (
    ClipRef,
    FinishedTake,
    HostGone,
    HostRefused,
    HostSession,
    MatteFile,
    MatteRef,
    RecordRange,
    SourceRange,
    Span,
    TakeRef,
    percent_pattern,
    refuse_missing,
    refuse_short_take,
    sequence_files,
)
from host_adapters.resolve.comp import attached_matte, edited_matte, write_comp
from host_adapters.resolve.sound import lay_line, switch_sound
from host_adapters.resolve.tracks import lay, new_track, record_start
from host_adapters.resolve.values import BIN, pattern_of, rate_of, rate_text, whole

TAKE_KEY = "julnet.take"  #: third-party metadata of a take's media pool item: the take's folder
MARK = "julnet.span"  #: schema of a marker's custom data
COMP = "JULNet matte"
KEPT = "JULNet: settings before"  #: render preset, while JULNet renders
_RENDER_S = 3600.0
_TRIES = 3


class ResolveSession(HostSession):
    """The current project and timeline of a running Resolve.

    Args:
        resolve: the object that `scriptapp("Resolve")` or a menu script's globals give.

    Raises:
        HostGone: no project or no timeline is open.
    """

    name = "resolve"
    plays_sound = True

    def __init__(self, resolve: Any) -> None:
        self._resolve = resolve
        self._undo: list[Callable[[], None]] = []
        self._appended: list[str] = []  #: ids of items on tracks of our own: Resolve may lose such a one when it saves
        project = _current_project(resolve)
        timeline = project.GetCurrentTimeline() if project else None
        if not timeline:
            raise HostGone("no timeline is open in Resolve: open one and try again")
        self._project_id, self._timeline_id = project.GetUniqueId(), timeline.GetUniqueId()

    @property
    def current(self) -> bool:
        """Whether the timeline that this session is of is still the open one."""
        project = _current_project(self._resolve)
        timeline = project.GetCurrentTimeline() if project else None
        if not project or not timeline:
            return False
        return bool(project.GetUniqueId() == self._project_id and timeline.GetUniqueId() == self._timeline_id)

    def list_clips(self) -> list[ClipRef]:
        timeline = self._timeline()
        tracks = range(1, whole(timeline.GetTrackCount("video")) + 1)
        own = [index for index in tracks if timeline.GetTrackName("video", index) != BIN]
        items = [(index, item) for index in own for item in timeline.GetItemListInTrack("video", index) or []]
        clips = [self._clip(timeline, item, index) for index, item in items]
        return [clip for clip in clips if clip is not None]

    def selection(self) -> list[ClipRef]:
        timeline = self._timeline()
        item = timeline.GetCurrentVideoItem()
        if not item:
            return []
        clips = self.list_clips()
        ours = [clip for clip in clips if clip.id == item.GetUniqueId()]
        if ours:
            return ours
        at = whole(item.GetStart()) - whole(
            timeline.GetStartFrame()
        )  # a take on a track of its own is under the playhead
        below = [clip for clip in clips if clip.record.start.index <= at < clip.record.stop.index]
        return below[-1:]

    def place_take(self, clip: ClipRef, take: FinishedTake) -> TakeRef:
        refuse_short_take(clip, take)
        refuse_missing(take.picture, "the take's picture")
        timeline = self._timeline()
        item = self._item(clip.id)
        media = self._import(take)
        start = clip.source.start - take.frames.start
        ref = self._add_take(item, clip, take, media, start)
        if ref is None:
            ref = self._add_above(timeline, clip, take, media, start)
        sound = self._add_sound(timeline, clip, take, media, start)
        self._switch_sound(clip)
        back = self._undo.pop()
        self._undo.append(lambda: self._take_back(clip, back, sound))
        return ref

    def takes(self, clip: ClipRef) -> list[TakeRef]:
        item = self._item(clip.id)
        shown = whole(item.GetSelectedTakeIndex())
        found = []
        for index, media, _ in _selector(item):
            folder = _take_folder(media)
            if folder:
                found.append(_ref(f"take:{media.GetUniqueId()}", clip, folder, index == shown))
        for above in self._above(clip):
            folder = _take_folder(above.GetMediaPoolItem())
            found.append(_ref(f"track:{above.GetUniqueId()}", clip, folder, bool(above.GetClipEnabled())))
        return found

    def select_take(self, clip: ClipRef, take: TakeRef | None) -> None:
        item = self._item(clip.id)
        wanted = "" if take is None else take.id
        for above in self._above(clip):
            above.SetClipEnabled(f"track:{above.GetUniqueId()}" == wanted)
        index = next((i for i, media, _ in _selector(item) if f"take:{media.GetUniqueId()}" == wanted), None)
        if index is None and wanted.startswith("take:"):
            raise HostGone(f"the take {take.name if take else ''} is not beside the clip any more: place it again")
        index = _original_index(item) if index is None else index
        if index and whole(item.GetSelectedTakeIndex()) != index:
            item.SelectTakeByIndex(index)
            if whole(item.GetSelectedTakeIndex()) != index:
                raise HostRefused("Resolve did not show the take: unlock the track and try again")
        self._switch_sound(clip)

    def attach_matte(self, take: TakeRef, matte: MatteFile) -> MatteRef:
        clip = self._find(take.clip_id)
        media = self._media_of(take, clip)
        refuse_missing(matte.path, "the matte")
        self._clip_matte(media, matte)
        before = _take_start(self._item(clip.id), media, clip)
        path = write_comp(clip, take, matte, whole(media.GetClipProperty("Frames")), before)
        item = self._shown_item(take, clip)
        if COMP in (item.GetFusionCompNameList() or []):
            item.DeleteFusionCompByName(COMP)
        before = whole(item.GetFusionCompCount())
        item.ImportFusionComp(path)
        names = item.GetFusionCompNameList() or []
        if len(names) != before + 1:
            raise HostRefused(f"Resolve did not take the Fusion composition {path}: import it in the Fusion page")
        item.RenameFusionCompByName(names[-1], COMP)
        item.LoadFusionCompByName(COMP)
        self._undo.append(lambda: item.DeleteFusionCompByName(COMP))
        return MatteRef(id=COMP, clip_id=clip.id, take_id=take.id, path=matte.path)

    def matte(self, take: TakeRef) -> MatteRef | None:
        """The composition shows the matte that was attached last; which take's that is, its file names."""
        clip = self._find(take.clip_id)
        item = self._shown_item(take, clip)
        if COMP not in (item.GetFusionCompNameList() or []):
            return None
        path = attached_matte(take.folder)
        return MatteRef(id=COMP, clip_id=clip.id, take_id=take.id, path=path) if path else None

    def read_matte(self, matte: MatteRef) -> str:
        take = next((ref for ref in self.takes(self._find(matte.clip_id)) if ref.id == matte.take_id), None)
        if take is None:
            raise HostGone("the take of this matte is not beside the clip any more: place it again")
        return edited_matte(take.folder, matte.path) or matte.path

    def mark(self, clip: ClipRef, spans: Sequence[Span]) -> None:
        item = self._item(clip.id)
        for frame, _ in _our_marks(item):
            item.DeleteMarkerAtFrame(frame)
        taken = set(item.GetMarkers() or {})
        for span in spans:
            inside = span.frames.clipped(clip.source)
            where = clip.record_of(inside)
            if not len(where):
                continue
            first = where.start - clip.record.start
            frame = next((f for f in range(first, first + len(where)) if f not in taken), None)
            if frame is None:  # a person's own markers lie on every frame of it
                continue
            data = {"schema": MARK, "start": inside.start.index, "stop": inside.stop.index, "cv": span.expected_cv}
            title = f"JULNet: expect ±{span.expected_cv:.0f} of 255"
            note = json.dumps({**data, "note": span.note}, sort_keys=True)
            item.AddMarker(frame, "Red", title, span.note or " ", first + len(where) - frame, note)
            taken.add(frame)

    def marks(self, clip: ClipRef) -> list[Span]:
        found = [data for _, data in _our_marks(self._item(clip.id))]
        spans = [Span(SourceRange.of(d["start"], d["stop"]), float(d["cv"]), str(d["note"])) for d in found]
        return sorted(spans, key=lambda span: span.frames.start.index)

    def render(self, frames: RecordRange, out: str) -> str:
        project, timeline = self._project(), self._timeline()
        os.makedirs(out, exist_ok=True)
        project.SetCurrentTimeline(timeline)
        kept = project.SaveAsNewRenderPreset(KEPT)  # what is set here is added to what a person has set there
        try:
            return self._render(project, timeline, frames, out)
        finally:
            if kept:
                project.LoadRenderPreset(KEPT)
                project.DeleteRenderPreset(KEPT)

    def _render(self, project: Any, timeline: Any, frames: RecordRange, out: str) -> str:
        kind, codec = _lossless(project)
        if not project.SetCurrentRenderFormatAndCodec(kind, codec):
            raise HostRefused(f"Resolve does not render {kind} {codec}: choose another format in the Deliver page")
        first = whole(timeline.GetStartFrame())
        project.SetCurrentRenderMode(1)
        project.SetRenderSettings(
            {
                "SelectAllFrames": False,
                "MarkIn": first + frames.start.index,
                "MarkOut": first + frames.stop.index - 1,
                "TargetDir": out,
                "CustomName": "julnet",
                "ExportVideo": True,
                "ExportAudio": False,
                "ExportAlpha": False,
                "FormatWidth": whole(timeline.GetSetting("timelineResolutionWidth")),
                "FormatHeight": whole(timeline.GetSetting("timelineResolutionHeight")),
            }
        )
        job = project.AddRenderJob()
        if not job:
            raise HostRefused(f"Resolve did not queue the render into {out}: is the folder writable?")
        try:
            project.StartRendering([job])
            deadline = time.monotonic() + _RENDER_S
            while project.IsRenderingInProgress() and time.monotonic() < deadline:
                time.sleep(0.2)
            status = project.GetRenderJobStatus(job) or {}
        finally:
            project.DeleteRenderJob(job)
        written = sorted(name for name in os.listdir(out) if name.startswith("julnet"))
        if status.get("JobStatus") != "Complete" or not written:
            raise HostRefused(f"Resolve did not finish the render into {out} ({status.get('JobStatus', 'no status')})")
        return os.path.join(out, _numbered(written[0]) if len(written) > 1 else written[0])

    def undo(self) -> None:
        if self._undo:
            with contextlib.suppress(HostGone):  # the person was quicker with Ctrl-Z
                self._undo.pop()()

    def save(self) -> None:
        manager = self._resolve.GetProjectManager()
        name = self._project().GetName()
        if name == "Untitled Project":  # without a window, Resolve would wait for an answer for ever
            raise HostRefused("the project has no name yet: save it once in Resolve and try again")
        if not manager.SaveProject():
            raise HostRefused(f"Resolve did not save the project {name}: save it by hand")
        there = {item.GetUniqueId() for item in self._items()}
        if not there.issuperset(self._appended):
            self._appended = [item_id for item_id in self._appended if item_id in there]
            raise HostRefused(
                f"Resolve dropped a take from the track {BIN} while saving: place it again from its folder"
            )

    def _project(self) -> Any:
        project = _current_project(self._resolve)
        if not project or project.GetUniqueId() != self._project_id:
            raise HostGone("the project was closed in Resolve: open it again, and place the take from its folder")
        return project

    def _timeline(self) -> Any:
        project = self._project()
        for index in range(1, whole(project.GetTimelineCount()) + 1):
            timeline = project.GetTimelineByIndex(index)
            if timeline and timeline.GetUniqueId() == self._timeline_id:
                return timeline
        raise HostGone("the timeline is not in the project any more: open it again, and place the take from its folder")

    def _items(self) -> Iterator[Any]:
        timeline = self._timeline()
        for kind in ("video", "audio"):
            for index in range(1, whole(timeline.GetTrackCount(kind)) + 1):
                yield from timeline.GetItemListInTrack(kind, index) or []

    def _item(self, item_id: str) -> Any:
        item = next((item for item in self._items() if item.GetUniqueId() == item_id), None)
        if item is None:
            raise HostGone("the clip is not on the timeline any more: place the take from its folder on another clip")
        return item

    def _find(self, clip_id: str) -> ClipRef:
        self._item(clip_id)
        return next(clip for clip in self.list_clips() if clip.id == clip_id)

    def _clip(self, timeline: Any, item: Any, track: int) -> ClipRef | None:
        """A timeline item as a clip; None for generators, titles and compound clips."""
        media, start = _original(item)
        props = media.GetClipProperty() if media else None
        if not props or not props.get("File Path") or props.get("Type") in ("Timeline", "Compound", "Fusion Title"):
            return None
        path, number = pattern_of(props["File Path"])
        rate = rate_of(props.get("FPS"), item.GetName())
        record_rate = rate_of(timeline.GetSetting("timelineFrameRate"), "the timeline")
        first = whole(item.GetStart()) - whole(timeline.GetStartFrame())
        length = whole(item.GetDuration())
        count = whole(props.get("Frames"))
        speed = _speed(item, rate, Fraction(length) / record_rate)
        shown = math.ceil(length * (speed or 1) * rate / record_rate)
        return ClipRef(
            id=item.GetUniqueId(),
            name=item.GetName(),
            path=path,
            source=SourceRange.of(start, min(start + shown, count)),
            record=RecordRange.of(first, first + length),
            source_rate=rate,
            record_rate=record_rate,
            media=SourceRange.of(0, count),
            start_timecode=props.get("Start TC") or None,
            reel=props.get("Reel Name") or None,
            first_number=number,
            speed=speed,
            track=track - 1,
            hints={"colour_space": props.get("Input Color Space") or ""},
        )

    def _import(self, take: FinishedTake) -> Any:
        """The take's media pool item, in JULNet's own folder; the person's current folder stays current."""
        pool = self._project().GetMediaPool()
        before, root = pool.GetCurrentFolder(), pool.GetRootFolder()
        folder = next((f for f in root.GetSubFolderList() or [] if f.GetName() == BIN), None)
        folder = folder or pool.AddSubFolder(root, BIN)
        if not folder:
            raise HostRefused(f"Resolve did not make the folder {BIN} in the media pool: is the project read-only?")
        known = next((m for m in folder.GetClipList() or [] if _take_folder(m) == take.folder), None)
        if known is not None:
            return known
        pool.SetCurrentFolder(folder)  # ImportMedia takes no folder
        try:
            media = (pool.ImportMedia(_import_request(take)) or [None])[0]
        finally:
            pool.SetCurrentFolder(before)
        if media is None:
            raise HostRefused(f"Resolve did not import {take.picture}: open it in the media page to see why")
        if rate_of(media.GetClipProperty("FPS"), take.name) != take.rate:  # sequences get the project's rate
            media.SetClipProperty("FPS", rate_text(take.rate))
        media.SetThirdPartyMetadata(TAKE_KEY, take.folder)
        media.SetName(take.name)
        return media

    def _add_take(self, item: Any, clip: ClipRef, take: FinishedTake, media: Any, start: int) -> TakeRef | None:
        """Into the clip's take selector; None where Resolve does not do that."""
        length, before = whole(item.GetDuration()), whole(item.GetTakesCount())
        shown = whole(item.GetSelectedTakeIndex())
        item.AddTake(media, start, start + len(clip.source))
        count = whole(item.GetTakesCount())
        if count <= before:
            return None
        info = item.GetTakeByIndex(count) or {}
        added = info.get("mediaPoolItem")
        item.SelectTakeByIndex(count)
        placed = (
            added is not None
            and added.GetUniqueId() == media.GetUniqueId()
            and whole(info.get("startFrame"), -1) == start
            and whole(item.GetSelectedTakeIndex()) == count
            and whole(item.GetDuration()) == length
        )
        ref = _ref(f"take:{media.GetUniqueId()}", clip, take.folder, active=True)
        if not placed:
            self._remove_take(clip.id, ref.id, shown)
            return None
        self._undo.append(lambda: self._remove_take(clip.id, ref.id, shown))
        return ref

    def _remove_take(self, clip_id: str, take_id: str, shown: int) -> None:
        item = self._item(clip_id)
        index = next((i for i, media, _ in _selector(item) if f"take:{media.GetUniqueId()}" == take_id), None)
        if index is not None:
            item.SelectTakeByIndex(shown or _original_index(item))  # a take that is shown cannot be deleted
            item.DeleteTakeByIndex(index)

    def _add_above(self, timeline: Any, clip: ClipRef, take: FinishedTake, media: Any, start: int) -> TakeRef:
        """On a track of its own above everything, where no take selector is to be had."""
        self._resolve.OpenPage("edit")
        index = new_track(timeline, "video")
        placed = lay(self._project().GetMediaPool(), timeline, clip, media, start, "video", index)
        fits = len(placed) == 1 and whole(placed[0].GetDuration()) == len(clip.record)
        if not fits or whole(placed[0].GetStart()) != record_start(timeline, clip):
            shown = whole(placed[0].GetDuration()) if placed else 0
            timeline.DeleteTrack("video", index)
            if shown and shown != len(clip.record):  # it floors lengths between rates
                rates = f"{float(clip.source_rate):g} in {float(clip.record_rate):g}"
                raise HostRefused(
                    f"Resolve shows {shown} frames of the take {take.name} where the clip has {len(clip.record)}, "
                    f"since their rates differ ({rates}): trim the clip by a frame and place the take again"
                )
            raise HostRefused(
                f"Resolve took the take {take.name} neither as a take nor on a track: unlock the timeline and try again"
            )
        item_id = placed[0].GetUniqueId()
        self._appended.append(item_id)
        self._undo.append(lambda: self._remove_above(item_id))
        return _ref(f"track:{item_id}", clip, take.folder, active=True)

    def _add_sound(self, timeline: Any, clip: ClipRef, take: FinishedTake, media: Any, start: int) -> str:
        """The new line on an audio track of ours; its item's id, "" where the take has none or Resolve takes none."""
        if take.sound is None or take.sound != take.picture:
            return ""
        item = lay_line(self._project().GetMediaPool(), timeline, clip, media, start)
        if item is None:
            return ""
        self._appended.append(item.GetUniqueId())
        return str(item.GetUniqueId())

    def _switch_sound(self, clip: ClipRef) -> None:
        """Let the shown take's line be heard, or the clip's own sound."""
        item = self._item(clip.id)
        shown = next((take.folder for take in self.takes(clip) if take.active), "")
        lines = [(line, _take_folder(line.GetMediaPoolItem()) == shown) for line in self._above(clip, "audio")]
        switch_sound(self._timeline(), clip, item, _original(item)[0], lines)

    def _take_back(self, clip: ClipRef, picture: Callable[[], None], sound: str) -> None:
        """Undo `place_take`: its sound, its picture, and what is heard then."""
        try:
            if sound:
                with contextlib.suppress(HostGone):  # the person was quicker with Ctrl-Z
                    self._remove_above(sound)
        finally:
            picture()
            self._switch_sound(clip)

    def _remove_above(self, item_id: str) -> None:
        self._appended = [other for other in self._appended if other != item_id]
        timeline, item = self._timeline(), self._item(item_id)
        kind, index = str(item.GetTrackTypeAndIndex()[0]), whole(item.GetTrackTypeAndIndex()[1])
        if timeline.GetTrackName(kind, index) == BIN and len(timeline.GetItemListInTrack(kind, index) or []) == 1:
            timeline.DeleteTrack(kind, index)
            return
        self._resolve.OpenPage("edit")  # DeleteClips works there alone, and not always the first time
        for _ in range(_TRIES):
            timeline.DeleteClips([item])
            if all(other.GetUniqueId() != item_id for other in self._items()):
                return
        raise HostRefused(f"Resolve did not delete the take from the track {BIN}: delete it by hand")

    def _above(self, clip: ClipRef, kind: str = "video") -> list[Any]:
        """Items on tracks of our own that begin where a clip begins."""
        timeline = self._timeline()
        first = record_start(timeline, clip)
        tracks = range(1, whole(timeline.GetTrackCount(kind)) + 1)
        ours = [index for index in tracks if timeline.GetTrackName(kind, index) == BIN]
        items = [item for index in ours for item in timeline.GetItemListInTrack(kind, index) or []]
        return [item for item in items if whole(item.GetStart()) == first and _take_folder(item.GetMediaPoolItem())]

    def _shown_item(self, take: TakeRef, clip: ClipRef) -> Any:
        """The timeline item that shows a take."""
        return self._item(take.id[len("track:") :] if take.id.startswith("track:") else clip.id)

    def _media_of(self, take: TakeRef, clip: ClipRef) -> Any:
        if take.id.startswith("track:"):
            return self._shown_item(take, clip).GetMediaPoolItem()
        for _, media, _ in _selector(self._item(clip.id)):
            if f"take:{media.GetUniqueId()}" == take.id:
                return media
        raise HostGone(f"the take {take.name} is not beside the clip any more: place it again")

    def _clip_matte(self, media: Any, matte: MatteFile) -> None:
        """The matte for the Color page. It is an extra: the Fusion composition is what shows it."""
        pool = self._project().GetMediaPool()
        files = sequence_files(matte.path) if "#" in matte.path or "%" in matte.path else [matte.path]
        known = pool.GetClipMatteList(media) or []
        if files[0] not in known:
            if known:
                pool.DeleteClipMattes(media, known)
            self._resolve.GetMediaStorage().AddClipMattesToMediaPool(media, files[:1], "")


def _current_project(resolve: Any) -> Any:
    manager = resolve.GetProjectManager() if resolve else None
    return manager.GetCurrentProject() if manager else None


def _selector(item: Any) -> list[tuple[int, Any, int]]:
    """(index, media pool item, start frame) of every take of an item; none without a take selector."""
    found = []
    for index in range(1, whole(item.GetTakesCount()) + 1):
        info = item.GetTakeByIndex(index) or {}
        if info.get("mediaPoolItem"):
            found.append((index, info["mediaPoolItem"], whole(info.get("startFrame"))))
    return found


def _original(item: Any) -> tuple[Any, int]:
    """An item's own media and its first source frame, whichever take is shown."""
    for _, media, start in _selector(item):
        if not _take_folder(media):
            return media, start
    return item.GetMediaPoolItem(), whole(item.GetLeftOffset())


def _original_index(item: Any) -> int:
    return next((index for index, media, _ in _selector(item) if not _take_folder(media)), 0)


def _take_start(item: Any, media: Any, clip: ClipRef) -> int:
    for _, other, start in _selector(item):
        if other.GetUniqueId() == media.GetUniqueId():
            return start
    above = whole(media.GetClipProperty("Frames"))
    return min(clip.source.start.index, max(0, above - len(clip.source)))


def _take_folder(media: Any) -> str:
    """The take's folder, where a media pool item is a take's."""
    value = media.GetThirdPartyMetadata(TAKE_KEY) if media else ""
    return value if isinstance(value, str) else ""


def _ref(take_id: str, clip: ClipRef, folder: str, active: bool) -> TakeRef:
    return TakeRef(id=take_id, clip_id=clip.id, name=os.path.basename(folder), folder=folder, active=active)


def _speed(item: Any, rate: Fraction, record_s: Fraction) -> Fraction | None:
    """How fast an item runs, from how much of its source it shows; None where it is as shot.

    Resolve has no call for retimes. `GetSourceStartFrame` may be a frame off, so times are asked for.
    """
    start, end = item.GetSourceStartTime(), item.GetSourceEndTime()
    if not isinstance(start, (int, float)) or not isinstance(end, (int, float)):
        return None
    shown_s = Fraction(end - start)
    if abs(shown_s - record_s) < 2 / rate:
        return None
    return Fraction(round(shown_s / record_s * 100), 100)


def _our_marks(item: Any) -> list[tuple[Any, dict[str, Any]]]:
    found = []
    for frame, marker in sorted((item.GetMarkers() or {}).items()):
        try:
            data = json.loads(marker.get("customData") or "")
        except ValueError:
            continue
        if isinstance(data, dict) and data.get("schema") == MARK:
            found.append((frame, data))
    return found


def _import_request(take: FinishedTake) -> list[Any]:
    if "#" not in take.picture and "%" not in take.picture:
        return [take.picture]
    first = take.first_number
    return [{"FilePath": percent_pattern(take.picture), "StartIndex": first, "EndIndex": first + len(take.frames) - 1}]


def _lossless(project: Any) -> tuple[str, str]:
    """A format and codec that keep every value: TIFF where it is offered."""
    formats = project.GetRenderFormats() or {}
    for kind in ("tif", "tiff", "dpx", "exr"):
        if kind in formats.values():
            codecs = project.GetRenderCodecs(kind) or {}  # the description is the key, the id is the value
            plain = [codec for codec in codecs.values() if "8" in codec] + list(codecs.values())
            if plain:
                return kind, plain[0]
    raise HostRefused("Resolve offers neither TIFF nor DPX nor EXR: render by hand in the Deliver page")


def _numbered(name: str) -> str:
    """The pattern of a sequence's first file."""
    stem, suffix = os.path.splitext(name)
    digits = len(stem) - len(stem.rstrip("0123456789"))
    return stem[: len(stem) - digits] + "#" * digits + suffix
