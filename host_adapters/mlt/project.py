"""What an MLT project says: its tracks, the clips on them, and the takes that we added.

Convention: a record frame is a frame of the timeline from 0. MLT counts everything at the timeline's rate, media of
another rate too; `source_of_position` says which frame of the medium it shows there.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction

from host_adapters.base import ClipRef, HostRefused, RecordRange, SourceRange, media_exists
from host_adapters.mlt.xmltext import Node, parse

TAKE = "julnet:take"  #: property of a take's producer: the take, as JSON
ROLE = "julnet:role"  #: property of everything else that is ours
_PICTURES = ("pixbuf", "qimage")
_NO_MEDIA = (
    "color",
    "colour",
    "count",
    "kdenlivetitle",
    "qtext",
    "pango",
    "noise",
    "tone",
    "frei0r",
    "consumer",
    "xml",
)


@dataclass(frozen=True)
class MediaFacts:
    """What is known of a medium."""

    rate: Fraction
    frames: int
    timecode: str | None = None
    reel: str | None = None
    first_number: int = 0
    sound: bool = False  #: whether it has any


Probe = Callable[[str, Fraction], "MediaFacts | None"]  #: path and rate (for sequences) to facts; None = unreadable


@dataclass(eq=False)
class Entry:
    """One clip in a playlist."""

    node: Node
    producer: Node
    position: int  #: on the timeline
    first: int  #: of the producer, at the timeline's rate
    length: int
    track: int  #: of the timeline's tractor


@dataclass(eq=False)
class Project:
    """A document, read."""

    data: bytes
    root: Node
    path: str
    rate: Fraction
    tractor: Node  #: the timeline
    tracks: list[list[Node]]  #: playlists of each of its tracks; none where the track shows no clips
    by_id: dict[str, Node] = field(default_factory=dict)

    @property
    def kdenlive(self) -> bool:
        """Whether Kdenlive wrote it."""
        bin_ = self.by_id.get("main_bin")
        return bin_ is not None and any(
            str(child.attributes.get("name", "")).startswith("kdenlive:") for child in bin_.children
        )

    @property
    def shotcut(self) -> bool:
        """Whether Shotcut wrote it."""
        return self.tractor.property("shotcut") is not None

    def frames(self, text: str | None, default: int) -> int:
        """A time as MLT writes it: frames, "00:00:01.040" or "00:00:01:05"."""
        return default if text is None else parse_time(text, self.rate)

    def time(self, frames: int) -> str:
        """Frames as this project writes times."""
        sample = next(
            (n.attributes["out"] for n in self.root.walk() if n.name == "entry" and "out" in n.attributes), ""
        )
        return clock(frames, self.rate) if ":" in sample else str(frames)

    def entries(self) -> Iterator[Entry]:
        """Every clip of every video track, in order; ours too."""
        for index, playlists in enumerate(self.tracks):
            for playlist in playlists:
                yield from self._of_playlist(playlist, index)

    def sounding(self) -> Iterator[Entry]:
        """Every clip of every track that is heard; ours too."""
        for index, track in enumerate(_tracks_of(self.tractor)):
            for playlist in _playlists(track, self.by_id, "audio"):
                yield from self._of_playlist(playlist, index)

    def playlists(self, index: int) -> list[Node]:
        """Those of a track, whether it is seen or heard."""
        heard = _playlists(_tracks_of(self.tractor)[index], self.by_id, "audio")
        return self.tracks[index] or heard

    def _of_playlist(self, playlist: Node, track: int) -> Iterator[Entry]:
        position = 0
        for node in playlist.children:
            if node.name == "blank":
                position += self.frames(node.attributes.get("length"), 0)
            elif node.name == "entry":
                producer = self.by_id.get(node.attributes.get("producer", ""))
                length_of = self._length(producer)
                first = self.frames(node.attributes.get("in"), 0)
                last = self.frames(node.attributes.get("out"), first + length_of - 1 if length_of else first)
                length = max(last + 1 - first, 0) * int(node.attributes.get("repeat", "1") or 1)
                if producer is not None:
                    yield Entry(node, producer, position, first, length, track)
                position += length

    def _length(self, producer: Node | None) -> int:
        if producer is None:
            return 0
        out = producer.attributes.get("out")
        return self.frames(out, -1) + 1 if out else self.frames(producer.property("length"), 0)

    def path_of(self, producer: Node) -> str | None:
        """The file that a producer shows; a pattern for a sequence; None for what shows no file."""
        service = producer.property("mlt_service") or "avformat"
        resource = producer.property("resource")
        if producer.name not in ("producer", "chain") or not resource or service.startswith(_NO_MEDIA):
            return None
        if service == "timewarp":
            resource = producer.property("warp_resource") or resource.partition(":")[2]
        if service in _PICTURES:
            resource = re.sub(r"\?begin[:=]\d+$", "", resource)
            if ".all." in resource:
                return None
        head = re.match(r"(avformat(?:-novalidate)?|pixbuf|qimage|file)(?:://|:)", resource)
        resource = resource[head.end() :] if head else resource
        base = self.root.attributes.get("root") or os.path.dirname(os.path.abspath(self.path))
        return os.path.normpath(os.path.join(base, resource))

    def clips(self, probe: Probe) -> list[tuple[Entry, ClipRef]]:
        """Every clip that shows a medium, in order of track and time; takes are not clips."""
        found: list[tuple[Entry, ClipRef]] = []
        seen: dict[str, int] = {}
        for entry in self.entries():
            path = self.path_of(entry.producer)
            if path is None or entry.producer.property(TAKE) is not None or not entry.length:
                continue
            clip = self._clip(entry, path, probe)
            seen[clip.id] = seen.get(clip.id, 0) + 1
            if seen[clip.id] > 1:
                clip = ClipRef(**{**vars(clip), "id": f"{clip.id}#{seen[clip.id]}"})
            found.append((entry, clip))
        return sorted(found, key=lambda item: (item[1].track, item[1].record.start.index))

    def _clip(self, entry: Entry, path: str, probe: Probe) -> ClipRef:
        name = os.path.basename(path)
        facts = probe(path, self.rate) if media_exists(path) else None
        facts = facts or MediaFacts(self.rate, max(self._length(entry.producer), entry.first + entry.length))
        speed = _speed_of(entry.producer)
        step = facts.rate / self.rate * (abs(speed) if speed else 1)
        start = source_of_position(entry.first, step)
        stop = source_of_position(entry.first + entry.length - 1, step) + 1
        return ClipRef(
            id=f"{entry.track}:{name}@{start}",
            name=entry.producer.property("kdenlive:clipname") or entry.producer.property("shotcut:caption") or name,
            path=path,
            source=SourceRange.of(start, stop),
            record=RecordRange.of(entry.position, entry.position + entry.length),
            source_rate=facts.rate,
            record_rate=self.rate,
            media=SourceRange.of(0, max(facts.frames, stop)),
            start_timecode=facts.timecode,
            reel=facts.reel,
            first_number=facts.first_number,
            speed=speed,
            track=entry.track,
        )


def source_of_position(position: int, step: Fraction) -> int:
    """The frame that MLT shows of a medium at a position: the nearest one.

    Args:
        position: at the timeline's rate.
        step: frames of the medium for a frame of the timeline.
    """
    return math.floor(position * step + Fraction(1, 2))


def read_project(data: bytes, path: str) -> Project:
    """Find the timeline in a document.

    Raises:
        HostRefused: it has none, or is no project.
    """
    root = parse(data, path)
    if root.name not in ("mlt", "westley"):
        raise HostRefused(f"{path} is a {root.name} document and an MLT project is needed")
    by_id = {node.attributes["id"]: node for node in root.walk() if "id" in node.attributes}
    profile = next((node for node in root.children if node.name == "profile"), None)
    rate = _rate_of(profile)
    if rate is None:
        raise HostRefused(f"{path} does not say its frame rate: save it with a profile")
    tractors = root.all("tractor")
    if not tractors:
        raise HostRefused(f"{path} holds no timeline (no tractor): save a project, not a clip")
    tractor = tractors[-1]
    while len(inner := _tracks_of(tractor)) == 1 and _is_timeline(by_id.get(inner[0].attributes.get("producer", ""))):
        tractor = by_id[inner[0].attributes["producer"]]
    tracks = [_playlists(node, by_id) for node in _tracks_of(tractor)]
    return Project(data=data, root=root, path=path, rate=rate, tractor=tractor, tracks=tracks, by_id=by_id)


def parse_time(text: str, rate: Fraction) -> int:
    """Frames of a time.

    Raises:
        HostRefused: it is none.
    """
    clean = text.strip()
    if re.fullmatch(r"-?\d+", clean):
        return int(clean)
    if match := re.fullmatch(r"(?:(\d+):)?(?:(\d+):)?(\d+(?:[.,]\d+)?)", clean):
        hours, minutes = (match[1], match[2]) if match[2] is not None else (None, match[1])
        seconds = Fraction(match[3].replace(",", ".")) + 60 * int(minutes or 0) + 3600 * int(hours or 0)
        return math.floor(seconds * rate + Fraction(1, 2))
    if match := re.fullmatch(r"(\d+):(\d+):(\d+)[:;](\d+)", clean):
        hours, minutes, whole, frames = (int(part) for part in match.groups())
        return ((hours * 60 + minutes) * 60 + whole) * math.ceil(rate) + frames
    raise HostRefused(f"the project says {text!r} where a time is needed")


def clock(frames: int, rate: Fraction) -> str:
    """Frames as "00:00:01.040"."""
    milliseconds = round(frames * 1000 / rate)
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{rest:03d}"


def _rate_of(profile: Node | None) -> Fraction | None:
    if profile is None:
        return None
    try:
        rate = Fraction(int(profile.attributes["frame_rate_num"]), int(profile.attributes["frame_rate_den"]))
    except (KeyError, ValueError, ZeroDivisionError):
        return None
    return rate if rate > 0 else None


def _tracks_of(tractor: Node) -> list[Node]:
    holders = [tractor, *tractor.all("multitrack")]
    return [node for holder in holders for node in holder.all("track")]


def _is_timeline(node: Node | None) -> bool:
    return node is not None and node.name == "tractor" and bool(_tracks_of(node))


def _playlists(track: Node, by_id: dict[str, Node], kind: str = "video") -> list[Node]:
    """The playlists of a track that are seen ("video") or heard ("audio"): one, or Kdenlive's pair."""
    shown = by_id.get(track.attributes.get("producer", ""))
    if shown is None or track.attributes.get("hide") in (kind, "both"):
        return []
    if shown.name == "playlist":
        return [shown]
    if shown.name != "tractor" or (kind == "video" and shown.property("kdenlive:audio_track") == "1"):
        return []
    inner = [by_id.get(node.attributes.get("producer", "")) for node in _tracks_of(shown)]
    hidden = [node.attributes.get("hide") in (kind, "both") for node in _tracks_of(shown)]
    return [
        node
        for node, off in zip(inner, hidden, strict=True)
        if node is not None and node.name == "playlist" and not off
    ]


def _speed_of(producer: Node) -> Fraction | None:
    for link in producer.all("link"):
        if link.property("mlt_service") == "timeremap":
            return Fraction(0)
    if producer.property("mlt_service") == "timewarp":
        text = producer.property("warp_speed") or (producer.property("resource") or "").partition(":")[0]
        try:
            return Fraction(text).limit_denominator(1000)
        except ValueError:
            return Fraction(0)
    return None
