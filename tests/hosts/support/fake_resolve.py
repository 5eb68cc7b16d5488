"""A strict Resolve: only the methods of the published stubs, and it refuses what the real one refuses.

Its data is a plain value, so "saved" and "opened again" are copies; API objects only point into it, and answer None
once their project is closed, as Resolve's do. Quirks, as people measured them: `endFrame` is exclusive; an append over
something that lies there is dropped silently and returns a husk; ImportMedia goes to the current folder; indices count
from 1; any method name can be called; settings are text; SaveProject on "Untitled Project" never returns; a comp whose
MediaOut does not descend from MediaIn fails the render; codecs are id by description; record lengths of other rates
are floored; GetSourceStartFrame is a frame off; a take that is shown cannot be deleted.
"""

# ruff: noqa: N802, A002, PTH116 - names and arguments are Resolve's
from __future__ import annotations

import copy
import itertools
import json
import os
import re
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import av
import numpy as np
from fusion_eval import Fusion
from numpy.typing import NDArray

MARKER_COLOURS = {
    "Blue", "Cyan", "Green", "Yellow", "Red", "Pink", "Purple", "Fuchsia", "Rose", "Lavender", "Sky", "Mint", "Lemon",
    "Sand", "Cocoa", "Cream",
}  # fmt: skip
SIZE = (64, 48)  #: of every timeline
_ids = itertools.count(1)


def new_id(kind: str) -> str:
    return f"{kind}-{next(_ids):04d}"


@dataclass
class Media:
    props: dict[str, str]
    name: str
    id: str = field(default_factory=lambda: new_id("media"))
    third_party: dict[str, str] = field(default_factory=dict)
    mattes: list[str] = field(default_factory=list)


@dataclass
class Bin:
    name: str
    id: str = field(default_factory=lambda: new_id("folder"))
    media: list[str] = field(default_factory=list)
    folders: list[Bin] = field(default_factory=list)


@dataclass
class Item:
    media: str | None
    start: int  #: source frame
    record: int  #: with the timeline's start frame in it
    length: int
    name: str
    speed: Fraction = Fraction(1)
    id: str = field(default_factory=lambda: new_id("item"))
    enabled: bool = True
    takes: list[tuple[str, int, int]] = field(default_factory=list)
    selected: int = 0
    own_length: int = 0  #: of the first take, once there are several
    markers: dict[int, dict[str, Any]] = field(default_factory=dict)
    comps: dict[str, str] = field(default_factory=dict)
    comp: str = ""  #: name of the loaded one
    strokes: list[Any] = field(default_factory=list)
    links: list[str] = field(default_factory=list)  #: ids of the items that belong to it


@dataclass
class Track:
    name: str
    items: list[Item] = field(default_factory=list)
    locked: bool = False


@dataclass
class Line:
    name: str
    rate: str
    start: int
    tracks: list[Track]
    sounds: list[Track] = field(default_factory=list)
    id: str = field(default_factory=lambda: new_id("timeline"))

    def of(self, kind: str) -> list[Track]:
        return {"video": self.tracks, "audio": self.sounds}[kind]


@dataclass
class Data:
    name: str
    media: dict[str, Media] = field(default_factory=dict)
    root: Bin = field(default_factory=lambda: Bin("Master"))
    timelines: list[Line] = field(default_factory=list)
    id: str = field(default_factory=lambda: new_id("project"))


class App:
    """What a person sees: the running application, its one open project, and what is on its database."""

    def __init__(self) -> None:
        self.open: Data | None = None
        self.disk: dict[str, Data] = {}
        self.folder = ""  #: id of the current media pool folder
        self.page = "edit"
        self.playhead: str | None = None  #: id of the item under it
        self.takes_allowed = True
        self.folder_chosen = ""
        self.deletes = 0  #: how often Timeline.DeleteClips was asked
        self.past: list[Data] = []  #: for the person's Ctrl-Z

    @property
    def resolve(self) -> Resolve:
        return Resolve(self)

    def save(self) -> None:
        assert self.open
        self.disk[self.open.name] = copy.deepcopy(self.open)

    def load(self, name: str) -> None:
        self.open = copy.deepcopy(self.disk[name])
        self.folder = self.open.root.id

    def close(self) -> None:
        self.open = None

    def remember(self) -> None:
        self.past.append(copy.deepcopy(self.open))  # type: ignore[arg-type]

    def control_z(self) -> None:
        self.open = self.past.pop()


class Remote:
    """An object of the API: any name can be called, the ones that are not there fail when they are."""

    def __init__(self, app: App) -> None:
        self._app = app

    def __getattr__(self, name: str) -> Any:
        def call(*args: Any) -> Any:
            raise TypeError(f"'NoneType' object is not callable: {type(self).__name__} has no {name}")

        return call

    @property
    def _data(self) -> Data:
        assert self._app.open is not None
        return self._app.open


class Resolve(Remote):
    def GetProjectManager(self) -> Any:
        return ProjectManager(self._app)

    def GetMediaStorage(self) -> Any:
        return MediaStorage(self._app)

    def GetProductName(self) -> str:
        return "DaVinci Resolve"

    def Fusion(self) -> Any:
        """With the two file dialogs that its stubs lack; a person has chosen `folder_chosen`."""
        return SimpleNamespace(RequestDir=lambda start: self._app.folder_chosen)

    def GetVersionString(self) -> str:
        return "21.0.3"

    def OpenPage(self, pageName: str) -> bool:
        if pageName not in ("media", "cut", "edit", "fusion", "color", "fairlight", "deliver"):
            return False
        self._app.page = pageName
        return True

    def GetCurrentPage(self) -> str:
        return self._app.page


class ProjectManager(Remote):
    def GetCurrentProject(self) -> Any:
        return Project(self._app, self._app.open.id) if self._app.open else None

    def SaveProject(self) -> bool:
        if self._data.name == "Untitled Project":
            raise AssertionError("without a window this would hang for ever")
        self._app.save()
        return True


class Owned(Remote):
    """An object of a project; dead once that project is closed."""

    def __init__(self, app: App, id: str) -> None:
        super().__init__(app)
        self._id = id

    def GetUniqueId(self) -> Any:
        return self._id if self._alive() else None

    def _alive(self) -> bool:
        return self._app.open is not None


class Project(Owned):
    job: dict[str, Any] | None = None
    settings: ClassVar[dict[str, Any]] = {}  #: of the Deliver page; what is set is added to what is there
    presets: ClassVar[dict[str, dict[str, Any]]] = {}
    status = "Ready"
    format = ("", "")

    def GetName(self) -> str:
        return self._data.name

    def GetMediaPool(self) -> Any:
        return MediaPool(self._app)

    def GetTimelineCount(self) -> int:
        return len(self._data.timelines)

    def GetTimelineByIndex(self, idx: int) -> Any:
        lines = self._data.timelines
        return Timeline(self._app, lines[idx - 1].id) if 1 <= idx <= len(lines) else None

    def GetCurrentTimeline(self) -> Any:
        return self.GetTimelineByIndex(1)

    def SetCurrentTimeline(self, timeline: Any) -> bool:
        return isinstance(timeline, Timeline)

    def GetSetting(self, settingName: str) -> str:
        return self._data.timelines[0].rate if settingName == "timelineFrameRate" else ""

    def GetRenderFormats(self) -> dict[str, str]:
        return {"QuickTime": "mov", "TIFF": "tif", "DPX": "dpx"}

    def GetRenderCodecs(self, renderFormat: str) -> dict[str, str]:
        return {"RGB 16 bits": "RGB16LZW", "RGB 8 bits": "RGB8LZW"} if renderFormat == "tif" else {}

    def SetCurrentRenderFormatAndCodec(self, format: str, codec: str) -> bool:
        if codec not in self.GetRenderCodecs(format).values():
            return False
        Project.format = (format, codec)
        return True

    def SetCurrentRenderMode(self, renderMode: int) -> bool:
        return renderMode in (0, 1)

    def SetRenderSettings(self, settings: dict[str, Any]) -> bool:
        if not isinstance(settings.get("MarkIn"), int) or not Path(settings.get("TargetDir", "")).is_dir():
            return False
        Project.settings = {**Project.settings, **settings}
        return True

    def SaveAsNewRenderPreset(self, presetName: str) -> bool:
        if presetName in Project.presets:
            return False
        Project.presets[presetName] = dict(Project.settings)
        return True

    def LoadRenderPreset(self, presetName: str) -> bool:
        if presetName not in Project.presets:
            return False
        Project.settings = dict(Project.presets[presetName])
        return True

    def DeleteRenderPreset(self, presetName: str) -> bool:
        return Project.presets.pop(presetName, None) is not None

    def AddRenderJob(self) -> str:
        if Project.format[0] != "tif":
            return ""
        Project.job, Project.status = dict(Project.settings), "Ready"
        return "job-1"

    def StartRendering(self, jobIds: list[str], isInteractiveMode: bool = False) -> bool:
        assert jobIds == ["job-1"]
        assert Project.job is not None
        width, height = Project.job.get("FormatWidth"), Project.job.get("FormatHeight")
        if (width, height) != SIZE or Project.job.get("ExportAlpha"):
            Project.status = "Failed"  # it would come out scaled, or with an alpha that nobody asked for
            return True
        line = Timeline(self._app, self._data.timelines[0].id)
        try:
            for number in range(Project.job["MarkIn"], Project.job["MarkOut"] + 1):
                name = f"{Project.job['CustomName']}{number:08d}.tif"
                write_picture(Path(Project.job["TargetDir"]) / name, line._picture(number))
            Project.status = "Complete"
        except ValueError:
            Project.status = "Failed"
        return True

    def IsRenderingInProgress(self) -> bool:
        return False

    def GetRenderJobStatus(self, jobId: str) -> dict[str, Any]:
        return {"JobStatus": Project.status, "CompletionPercentage": 100}

    def DeleteRenderJob(self, jobId: str) -> bool:
        Project.job = None
        return jobId == "job-1"


class MediaStorage(Remote):
    def AddClipMattesToMediaPool(self, mediaPoolItem: Any, paths: list[str], stereoEye: str) -> bool:
        if not isinstance(mediaPoolItem, MediaPoolItem) or not all(Path(path).is_file() for path in paths):
            return False
        mediaPoolItem._media.mattes += paths
        return True


class MediaPool(Remote):
    def GetRootFolder(self) -> Any:
        return Folder(self._app, self._data.root.id)

    def GetCurrentFolder(self) -> Any:
        return Folder(self._app, self._app.folder)

    def SetCurrentFolder(self, folder: Any) -> bool:
        if not isinstance(folder, Folder):
            return False
        self._app.folder = folder._id
        return True

    def AddSubFolder(self, folder: Any, name: str) -> Any:
        if any(other.name == name for other in folder._bin.folders):
            return None
        made = Bin(name)
        folder._bin.folders.append(made)
        self._app.folder = made.id  # the new folder becomes the current one
        return Folder(self._app, made.id)

    def ImportMedia(self, items: list[Any]) -> list[Any]:
        found = []
        for item in items:
            media = media_of(item)
            if media is None:
                continue
            if isinstance(item, dict):  # files say nothing of their rate
                media.props["FPS"] = self._data.timelines[0].rate
            self._data.media[media.id] = media
            Folder(self._app, self._app.folder)._bin.media.append(media.id)
            found.append(MediaPoolItem(self._app, media.id))
        return found

    def AppendToTimeline(self, clipInfo: list[dict[str, Any]]) -> list[Any]:
        line, made = self._data.timelines[0], []
        for info in clipInfo:
            media = self._data.media[info["mediaPoolItem"]._id]
            tracks = line.of({1: "video", 2: "audio"}[info["mediaType"]])
            if not isinstance(info["trackIndex"], int) or not 1 <= info["trackIndex"] <= len(tracks):
                return []
            track = tracks[info["trackIndex"] - 1]
            if info["mediaType"] == 2 and media.props.get("Audio Ch", "0") == "0":
                return []
            length = record_length(info["endFrame"] - info["startFrame"], media, line)
            item = Item(media.id, info["startFrame"], info["recordFrame"], length, media.name)
            free = all(o.record + o.length <= item.record or item.record + length <= o.record for o in track.items)
            if free and not track.locked:
                track.items.append(item)
            made.append(TimelineItem(self._app, item.id))  # a husk where it was dropped
        return made

    def ImportTimelineFromFile(self, filePath: str, importOptions: dict[str, Any]) -> Any:
        """None, without a word, for a name that is taken and for an OTIO of another shape than Resolve's own."""
        name = importOptions["timelineName"]
        taken = any(line.name == name for line in self._data.timelines)
        try:
            document = json.loads(Path(filePath).read_text("utf-8"))
            line = _line_of(document, name, self._data)
        except (OSError, ValueError, KeyError, TypeError, IndexError):
            return None
        if taken:
            return None
        self._data.timelines.append(line)
        return Timeline(self._app, line.id)

    def GetClipMatteList(self, mediaPoolItem: Any) -> list[str]:
        return list(mediaPoolItem._media.mattes)

    def DeleteClipMattes(self, mediaPoolItem: Any, paths: list[str]) -> bool:
        mediaPoolItem._media.mattes = [path for path in mediaPoolItem._media.mattes if path not in paths]
        return True


class Folder(Owned):
    @property
    def _bin(self) -> Bin:
        def search(folder: Bin) -> Bin | None:
            return folder if folder.id == self._id else next(filter(None, map(search, folder.folders)), None)

        found = search(self._data.root)
        assert found
        return found

    def GetName(self) -> str:
        return self._bin.name

    def GetClipList(self) -> list[Any]:
        return [MediaPoolItem(self._app, media) for media in self._bin.media]

    def GetSubFolderList(self) -> list[Any]:
        return [Folder(self._app, folder.id) for folder in self._bin.folders]


class MediaPoolItem(Owned):
    @property
    def _media(self) -> Media:
        return self._data.media[self._id]

    def GetName(self) -> str:
        return self._media.name

    def SetName(self, name: str) -> bool:
        self._media.name = name
        return True

    def GetClipProperty(self, propertyName: str | None = None) -> Any:
        return dict(self._media.props) if propertyName is None else self._media.props.get(propertyName, "")

    def SetClipProperty(self, propertyName: str, propertyValue: str) -> bool:
        if propertyName not in ("FPS", "Reel Name", "Start TC") or not isinstance(propertyValue, str):
            return False
        self._media.props[propertyName] = propertyValue
        return True

    def GetThirdPartyMetadata(self, metadataType: str | None = None) -> Any:
        if metadataType is None:
            return dict(self._media.third_party)
        return self._media.third_party.get(metadataType)

    def SetThirdPartyMetadata(self, metadataType: str, metadataValue: str) -> bool:
        if not isinstance(metadataValue, str):
            return False
        self._media.third_party[metadataType] = metadataValue
        return True


class Timeline(Owned):
    @property
    def _line(self) -> Line:
        return next(line for line in self._data.timelines if line.id == self._id)

    def _track(self, index: int, kind: str = "video") -> Track | None:
        tracks = self._line.of(kind)
        return tracks[index - 1] if 1 <= index <= len(tracks) else None

    def GetStartFrame(self) -> int:
        return self._line.start

    def GetSetting(self, settingName: str) -> str:
        known = {"timelineFrameRate": self._line.rate}
        sizes = {"timelineResolutionWidth": str(SIZE[0]), "timelineResolutionHeight": str(SIZE[1])}
        return {**known, **sizes}.get(settingName, "")

    def DeleteClips(self, timelineItems: list[Any], Bool: bool = False) -> bool:
        """Does nothing off the Edit page, nor the first time."""
        self._app.deletes += 1
        if self._app.page != "edit" or self._app.deletes == 1:
            return True
        gone = {item._id for item in timelineItems}
        for track in (*self._line.tracks, *self._line.sounds):
            track.items = [item for item in track.items if item.id not in gone]
        return True

    def GetTrackCount(self, trackType: str) -> int:
        return len(self._line.of(trackType))

    def GetTrackName(self, trackType: str, trackIndex: int) -> Any:
        track = self._track(trackIndex, trackType)
        return track.name if track else None

    def SetTrackName(self, trackType: str, trackIndex: int, name: str) -> bool:
        track = self._track(trackIndex, trackType)
        if track is None:
            return False
        track.name = name
        return True

    def AddTrack(self, trackType: str, newTrackOptions: Any = None) -> bool:
        if trackType == "audio" and newTrackOptions not in ("mono", "stereo", "5.1"):
            return False  # it must be told how many channels
        tracks = self._line.of(trackType)
        tracks.append(Track(f"{trackType.capitalize()} {len(tracks) + 1}"))
        return True

    def DeleteTrack(self, trackType: str, trackIndex: int) -> bool:
        if self._track(trackIndex, trackType) is None:
            return False
        del self._line.of(trackType)[trackIndex - 1]
        return True

    def GetItemListInTrack(self, trackType: str, index: int) -> Any:
        track = self._track(index, trackType)
        return None if track is None else [TimelineItem(self._app, item.id) for item in track.items]

    def GetCurrentVideoItem(self) -> Any:
        return TimelineItem(self._app, self._app.playhead) if self._app.playhead else None

    def _sound(self, first: int, count: int) -> NDArray[np.float32]:
        """(n, 1) samples of what is heard on these frames."""
        per_frame = SOUND_HZ / Fraction(self._line.rate)
        heard = np.zeros((int(count * per_frame), 1), np.float32)
        for item in (item for track in self._line.sounds for item in track.items if item.enabled):
            start, stop = max(item.record, first), min(item.record + item.length, first + count)
            samples = media_sound(self._data.media[str(item.media)])
            begin = int((item.start + start - item.record) * per_frame)
            part = samples[begin : begin + int(max(stop - start, 0) * per_frame)]
            place = int((start - first) * per_frame)
            heard[place : place + len(part)] += part
        return heard

    def _picture(self, record: int) -> NDArray[np.uint8]:
        for track in reversed(self._line.tracks):
            for item in track.items:
                if item.enabled and item.record <= record < item.record + item.length:
                    return TimelineItem(self._app, item.id)._picture(record - item.record)
        return np.zeros((*SIZE[::-1], 3), np.uint8)


class TimelineItem(Owned):
    def _found(self) -> Item | None:
        if self._app.open is None:
            return None
        tracks = (t for line in self._data.timelines for t in (*line.tracks, *line.sounds))
        items = (item for track in tracks for item in track.items)
        return next((item for item in items if item.id == self._id), None)

    @property
    def _item(self) -> Item:
        item = self._found()
        assert item
        return item

    @property
    def _line(self) -> Line:
        lines = self._data.timelines
        return next(line for line in lines for t in (*line.tracks, *line.sounds) if self._item in t.items)

    def GetUniqueId(self) -> Any:
        return self._id if self._found() else None

    def GetName(self) -> str:
        return self._item.name

    def GetDuration(self, subframe_precision: bool = False) -> Any:
        return self._item.length if self._found() else None

    def GetStart(self, subframe_precision: bool = False) -> Any:
        return self._item.record

    def GetLeftOffset(self, subframe_precision: bool = False) -> Any:
        return self._shown()[1]

    def GetSourceStartFrame(self) -> int:
        return self._shown()[1] + 1  # a frame off

    def GetSourceStartTime(self) -> float:
        return float(self._shown()[1] / rate_of(self._media(self._shown()[0])))

    def GetSourceEndTime(self) -> float:
        shown_s = self._item.length * self._item.speed / Fraction(self._line.rate)
        return self.GetSourceStartTime() + float(shown_s)

    def GetMediaPoolItem(self) -> Any:
        media = self._shown()[0]
        return MediaPoolItem(self._app, media) if media else None

    def GetTrackTypeAndIndex(self) -> Any:
        kind = "video" if any(self._item in track.items for track in self._line.tracks) else "audio"
        return [kind, next(i for i, track in enumerate(self._line.of(kind), 1) if self._item in track.items)]

    def GetLinkedItems(self) -> list[Any]:
        return [TimelineItem(self._app, other) for other in self._item.links]

    def SetClipEnabled(self, Bool: bool) -> bool:
        self._item.enabled = bool(Bool)
        return True

    def GetClipEnabled(self) -> bool:
        return self._item.enabled

    def AddTake(self, mediaPoolItem: Any, startFrame: int, endFrame: int) -> bool:
        media = self._data.media.get(getattr(mediaPoolItem, "_id", ""))
        frames = int(media.props["Frames"]) if media else 0
        if not self._app.takes_allowed or media is None or not 0 <= startFrame < endFrame <= frames:
            return False
        self._app.remember()
        item = self._item
        if not item.takes:
            assert item.media
            item.takes, item.selected = [(item.media, item.start, item.start + item.length)], 1
            item.own_length = item.length
        item.takes.append((media.id, startFrame, endFrame))
        return True

    def GetTakesCount(self) -> int:
        return len(self._item.takes)

    def GetSelectedTakeIndex(self) -> int:
        return self._item.selected

    def GetTakeByIndex(self, idx: int) -> Any:
        takes = self._item.takes
        if not isinstance(idx, int) or not 1 <= idx <= len(takes):
            return None
        media, start, end = takes[idx - 1]
        return {"mediaPoolItem": MediaPoolItem(self._app, media), "startFrame": start, "endFrame": end}

    def SelectTakeByIndex(self, idx: int) -> bool:
        item = self._item
        if not isinstance(idx, int) or not 1 <= idx <= len(item.takes):
            return False
        item.selected = idx
        media, start, end = item.takes[idx - 1]  # another take may be of another length
        own = item.own_length
        item.length = own if idx == 1 else record_length(end - start, self._data.media[media], self._line)
        return True

    def DeleteTakeByIndex(self, idx: int) -> bool:
        item = self._item
        if not 1 <= idx <= len(item.takes) or idx == item.selected:
            return False
        del item.takes[idx - 1]
        item.selected -= item.selected > idx
        return True

    def AddMarker(self, frameId: int, color: str, name: str, note: str, duration: int, customData: str = "") -> bool:
        item = self._item
        whole = isinstance(frameId, (int, float)) and isinstance(duration, (int, float)) and duration >= 1
        if not whole or color not in MARKER_COLOURS or not name or not isinstance(customData, str):
            return False
        if not 0 <= frameId < item.length or frameId in item.markers:
            return False
        marker = {"color": color, "name": name, "note": note, "duration": float(duration), "customData": customData}
        item.markers[int(frameId)] = marker
        return True

    def GetMarkers(self) -> dict[float, dict[str, Any]]:
        return {float(frame): dict(marker) for frame, marker in self._item.markers.items()}

    def DeleteMarkerAtFrame(self, frameNum: float) -> bool:
        return self._item.markers.pop(int(frameNum), None) is not None

    def GetFusionCompCount(self) -> int:
        return len(self._item.comps)

    def GetFusionCompNameList(self) -> list[str]:
        return list(self._item.comps)

    def ImportFusionComp(self, path: str) -> Any:
        try:
            text = Path(path).read_text("utf-8")
            Fusion(text, read_picture, lambda _: np.zeros((*SIZE[::-1], 3), np.uint8), [])
        except (OSError, ValueError):
            return None
        name = f"Composition {len(self._item.comps) + 1}"
        self._item.comps[name], self._item.comp = text, name
        return object()

    def RenameFusionCompByName(self, oldName: str, newName: str) -> bool:
        item = self._item
        if oldName not in item.comps or newName in item.comps:
            return False
        item.comps = {newName if name == oldName else name: text for name, text in item.comps.items()}
        item.comp = newName if item.comp == oldName else item.comp
        return True

    def LoadFusionCompByName(self, compName: str) -> Any:
        if compName not in self._item.comps:
            return None
        self._item.comp = compName
        return object()

    def DeleteFusionCompByName(self, compName: str) -> bool:
        item = self._item
        if item.comps.pop(compName, None) is None:
            return False
        item.comp = next(iter(item.comps), "")
        return True

    def _media(self, id: str | None) -> Media:
        assert id
        return self._data.media[id]

    def _shown(self) -> tuple[str | None, int]:
        item = self._item
        return item.takes[item.selected - 1][:2] if item.selected else (item.media, item.start)

    def _clip_picture(self, frame: int) -> NDArray[np.uint8]:
        """What the selected take shows on a record frame of the item."""
        media, start = self._shown()
        ratio = rate_of(self._media(media)) / Fraction(self._line.rate)
        return media_picture(self._media(media), start + int((frame + Fraction(1, 2)) * ratio * self._item.speed))

    def _fusion(self) -> Fusion | None:
        text = self._item.comps.get(self._item.comp)
        return None if text is None else Fusion(text, read_picture, self._clip_picture, self._item.strokes)

    def _picture(self, frame: int) -> NDArray[np.uint8]:
        fusion = self._fusion()
        if fusion is None:
            return self._clip_picture(frame)
        if not fusion.rooted:
            raise ValueError("MediaOut does not descend from MediaIn")
        return fusion.output(frame)


def rate_of(media: Media) -> Fraction:
    value = Fraction(media.props["FPS"])
    return Fraction(24000, 1001) if value == Fraction("23.976") else value


def record_length(frames: int, media: Media, line: Line) -> int:
    return int(frames * Fraction(line.rate) / rate_of(media))


SOUND_HZ = 48_000


def media_sound(media: Media) -> NDArray[np.float32]:
    """(n, 1) samples of a movie."""
    with av.open(media.props["File Path"]) as container:
        resampler = av.AudioResampler(format="flt", layout="mono", rate=SOUND_HZ)
        blocks = [block for frame in container.decode(audio=0) for block in resampler.resample(frame)]
    return np.concatenate([block.to_ndarray()[0] for block in blocks])[:, None]


_films: dict[tuple[str, float], list[NDArray[np.uint8]]] = {}


def film(path: str) -> list[NDArray[np.uint8]]:
    key = (path, os.stat(path).st_mtime_ns)
    if key not in _films:
        with av.open(path) as container:
            _films[key] = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return _films[key]


def read_picture(path: str, position: int) -> NDArray[np.uint8]:
    try:
        return film(path)[position]
    except (OSError, IndexError) as exc:
        raise ValueError(f"media offline: {path}") from exc


def media_picture(media: Media, frame: int) -> NDArray[np.uint8]:
    path = media.props["File Path"]
    match = re.search(r"\[(\d+)-(\d+)\]", path)
    if match is None:
        return read_picture(path, frame)
    number = f"{int(match[1]) + frame:0{len(match[1])}d}"
    return read_picture(path[: match.start()] + number + path[match.end() :], 0)


def write_picture(path: Path, picture: NDArray[np.uint8]) -> None:
    codec = {".tif": "tiff", ".png": "png"}[path.suffix]
    encoder = av.CodecContext.create(codec, "w")
    encoder.height, encoder.width, encoder.pix_fmt = *picture.shape[:2], "rgb24"
    encoder.time_base = Fraction(1, 25)
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24")
    frame.pts = 0
    path.write_bytes(b"".join(bytes(p) for p in [*encoder.encode(frame), *encoder.encode(None)]))


def media_of(item: Any) -> Media | None:
    """What Resolve makes of a file or of a sequence that it is asked to import; None where it cannot."""
    if isinstance(item, dict):
        first, last = item["StartIndex"], item["EndIndex"]
        files = [item["FilePath"] % number for number in range(first, last + 1)]
        digits = re.search(r"%0(\d+)d", item["FilePath"])
        assert digits
        span = f"[{first:0{int(digits[1])}d}-{last:0{int(digits[1])}d}]"
        path = item["FilePath"].replace(digits[0], span)
        if not all(Path(file).is_file() for file in files):
            return None
        props = {"File Path": path, "Frames": str(len(files)), "FPS": "25", "Start TC": "00:00:00:00"}
        return Media({**props, "Type": "Video"}, Path(path).name)
    if not isinstance(item, str) or not Path(item).is_file():
        return None
    with av.open(item) as container:
        stream = container.streams.video[0]
        rate = stream.average_rate
        timecode = stream.metadata.get("timecode") or container.metadata.get("timecode") or "00:00:00:00"
        frames = sum(1 for _ in container.decode(video=0))
        channels = str(sum(s.channels for s in container.streams.audio))
        reel = next((s.metadata["reel_name"] for s in container.streams if "reel_name" in s.metadata), "")
    fps = "23.976" if rate == Fraction(24000, 1001) else str(rate)
    props = {"File Path": item, "Frames": str(frames), "FPS": fps, "Start TC": timecode, "Type": "Video"}
    return Media({**props, "Reel Name": reel, "Audio Ch": channels}, Path(item).name)


def _line_of(document: dict[str, Any], name: str, data: Data) -> Line:
    """A timeline from an OTIO of the shape that Resolve accepts."""
    start = document["global_start_time"]["value"]
    tracks = []
    for number, track in enumerate(document["tracks"]["children"], 1):
        if track["name"] != f"Video {number}":
            raise ValueError("a track with a name that Resolve does not give")
        made, at = Track(track["name"]), int(start)
        for child in track["children"]:
            length = int(child["source_range"]["duration"]["value"])
            if child["OTIO_SCHEMA"] == "Clip.2":
                reference = child["media_references"][child["active_media_reference_key"]]
                available, source = reference["available_range"], child["source_range"]
                media = media_of(reference["target_url"])  # a bare path: a URL is no file
                first = source["start_time"]["value"] - available["start_time"]["value"]
                if media is None or not 0 <= first <= first + length <= available["duration"]["value"]:
                    raise ValueError("not on the media's own timecode")
                data.media[media.id] = media
                made.items.append(Item(media.id, int(first), at, length, child["name"]))
            elif child["OTIO_SCHEMA"] != "Gap.1":
                raise ValueError("no clip and no gap")
            at += length
        tracks.append(made)
    return Line(name, str(Fraction(document["global_start_time"]["rate"]).limit_denominator(1001)), int(start), tracks)
