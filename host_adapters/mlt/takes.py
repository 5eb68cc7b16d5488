"""The takes that a project holds, as values, and the XML that they are written as.

Each take is a producer that carries its own story as JSON. For each track with takes there is a playlist of ours with
those that are shown, as a track above, composited onto the clip's, and one with their sound. All of it can be taken
away and written again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from host_adapters.base import ClipRef
from host_adapters.mlt.marks import NAMES as MARKS
from host_adapters.mlt.mattes import resource_of
from host_adapters.mlt.project import ROLE, TAKE, Entry, Project
from host_adapters.mlt.sound import HUSH, hush, mix, own_sounds, unhush
from host_adapters.mlt.xmltext import Edits, Node, element, prop

_KEPT = re.compile(
    r"(set\.)?(force_(colorspace|full_luma|fps|progressive|aspect_ratio)|color_(range|space)|rotate|autorotate)$"
)
TRACK = "JULNet"
_INTERNAL = "237"  #: Kdenlive's number for what it made itself


@dataclass(frozen=True, kw_only=True)
class HeldMatte:
    """A take's matte in a project."""

    alpha: str  #: pictures whose alpha is the matte
    source: str  #: what they were made from
    first_number: int
    white_shows: str
    enabled: bool


@dataclass(frozen=True, kw_only=True)
class HeldTake:
    """A take in a project."""

    order: int
    clip_id: str
    name: str
    folder: str
    picture: str
    first: int  #: plate frame of its first picture
    frames: int
    active: bool
    matte: HeldMatte | None = None
    sound: str = ""  #: the movie that the new line is in, from the picture's first frame on

    @property
    def id(self) -> str:
        """One of its kind in the project."""
        return f"julnet_take_{self.order}"


def is_sequence(take: HeldTake) -> bool:
    """Whether a take's picture is a pattern."""
    return "?begin:" in take.picture


def read_takes(project: Project) -> list[HeldTake]:
    """Every take in a project, oldest first."""
    found: dict[int, HeldTake] = {}
    for node in project.root.walk():
        told = node.property(TAKE) if node.name in ("producer", "chain") else None
        if told is None:
            continue
        try:
            values = json.loads(told)
            matte = values.pop("matte")
            held = HeldTake(**values, matte=None if matte is None else HeldMatte(**matte))
        except (ValueError, TypeError, KeyError):
            continue  # of a newer version: left alone
        found[held.order] = held
    return [found[order] for order in sorted(found)]


def rebound(project: Project, takes: Sequence[HeldTake], clips: Sequence[tuple[Entry, ClipRef]]) -> dict[str, str]:
    """Clips of takes that go by another name now: trimmed, moved, or on another track since the take was placed.

    Args:
        project: as it is.
        takes: in it.
        clips: in it.

    Returns:
        The clip's present id by the one that a take knows it by. A clip is found below the take's place on the
        timeline, else as the only one of that medium that has no take.
    """
    present = {clip.id for _, clip in clips}
    known = {take.clip_id for take in takes}
    places = {e.producer.attributes.get("id"): e for e in project.entries() if e.producer.property(TAKE) is not None}
    found: dict[str, str] = {}
    for take in sorted(takes, key=lambda take: not take.active):
        if take.clip_id in present or take.clip_id in found:
            continue
        medium = take.clip_id.partition(":")[2].rpartition("@")[0]
        free = [
            (entry, clip)
            for entry, clip in clips
            if clip.id.partition(":")[2].rpartition("@")[0] == medium
            and clip.id not in known
            and clip.id not in found.values()
            and take.first <= clip.source.start.index
            and clip.source.stop.index <= take.first + take.frames * clip.source_rate / clip.record_rate
        ]
        place = places.get(take.id)
        under = [c for e, c in free if place is not None and _overlap(e, place) > 0]
        chosen = under[:1] or ([free[0][1]] if len(free) == 1 else [])
        for clip in chosen:
            found[take.clip_id] = clip.id
    return found


def with_clips(takes: Sequence[HeldTake], found: dict[str, str]) -> list[HeldTake]:
    """The same takes, each with its clip's present id."""
    return [replace(take, clip_id=found.get(take.clip_id, take.clip_id)) for take in takes]


def _overlap(one: Entry, other: Entry) -> int:
    return min(one.position + one.length, other.position + other.length) - max(one.position, other.position)


def remove_ours(project: Project, edits: Edits) -> None:
    """Take everything of ours out of a document."""
    adopted = _adopted(project)
    mine = [node for node in project.root.walk() if is_ours(node) or node in adopted]
    ours = {node.attributes.get("id") for node in mine}
    for node in project.root.walk():
        if node.name == "filter" and node.property(ROLE) == HUSH:
            unhush(edits, node)
        elif node in mine or (node.name in ("track", "entry") and node.attributes.get("producer") in ours):
            edits.remove(node)


def is_ours(node: Node) -> bool:
    """Whether an element was written by us, and says so."""
    if node.name in ("producer", "chain"):
        return node.property(TAKE) is not None or node.property(ROLE) is not None
    if node.name == "property":
        return node.attributes.get("name") in MARKS
    return node.name in ("playlist", "tractor", "transition") and node.property(ROLE) is not None


def _adopted(project: Project) -> list[Node]:
    """Tracks of ours that an editor has saved, and made its own: the topmost ones, with nothing but takes on them."""
    holders = [project.tractor, *project.tractor.all("multitrack")]
    slots = [node for holder in holders for node in holder.all("track")]
    found: list[Node] = []
    for index in range(len(slots) - 1, 0, -1):
        shown = project.by_id.get(slots[index].attributes.get("producer", ""))
        playlists = project.playlists(index)
        named = shown is not None and TRACK in (shown.property("kdenlive:track_name"), shown.property("shotcut:name"))
        producers = [project.by_id.get(e.attributes.get("producer", "")) for p in playlists for e in p.all("entry")]
        if not named or shown is None or not playlists or not all(p is not None and is_ours(p) for p in producers):
            break
        joins = project.tractor.all("transition")
        found += [shown, *playlists, *(node for node in joins if node.property("b_track") == str(index))]
    return found


def write_ours(
    project: Project, edits: Edits, takes: Sequence[HeldTake], clips: dict[str, Entry], firsts: dict[str, int]
) -> None:
    """Write takes into a document that holds none.

    Args:
        project: without anything of ours.
        edits: of its text.
        takes: to write.
        clips: the entry of each clip by its id; takes of clips that are gone stay in the bin.
        firsts: position of each take's in point, by take id.
    """
    if not takes:
        return
    root, tractor = project.root, project.tractor
    edits.insert(_head(root), "\n".join(_producer(project, take, clips) for take in takes), 1)
    _into_bin(project, edits, takes)
    tracks = sorted({clips[take.clip_id].track for take in takes if take.clip_id in clips})
    before = root.children[root.children.index(_top(tractor)) - 1]
    lists: list[str] = []
    slots: list[str] = []
    joins: list[str] = []
    for track in tracks:
        shown = [take for take in takes if take.active and take.clip_id in clips and clips[take.clip_id].track == track]
        shown.sort(key=lambda take: clips[take.clip_id].position)
        lists += _track_of(project, f"julnet_takes_{track}", _laid(project, shown, clips, firsts), "audio")
        joins.append(_transition(project, _base_of(project, track), len(project.tracks) + len(slots)))
        slots.append(_slot(project, f"julnet_takes_{track}", "audio"))
        heard = [take for take in shown if take.sound]
        if not heard:
            continue
        lists += _track_of(project, f"julnet_sound_{track}", _laid(project, heard, clips, firsts, sound=True), "video")
        joins.append(mix(project, track, len(project.tracks) + len(slots)))
        slots.append(_slot(project, f"julnet_sound_{track}", "video"))
        hush(project, edits, [own for take in heard for own in own_sounds(project, clips[take.clip_id])])
    edits.insert(before.stop, "\n".join(lists), 1)
    holder = tractor.all("multitrack")[-1] if tractor.all("multitrack") else tractor
    depth = 2 if holder is tractor else 3
    edits.insert(holder.all("track")[-1].stop, "\n".join(slots), depth)
    edits.insert(tractor.children[-1].stop, "\n".join(joins), 2)


def _producer(project: Project, take: HeldTake, clips: dict[str, Entry]) -> str:
    inner = [
        prop("length", take.frames),
        prop("eof", "pause"),
        prop("resource", take.picture),
        *([prop("mlt_service", "pixbuf"), prop("ttl", 1)] if is_sequence(take) else [prop("mlt_service", "avformat")]),
        *([] if take.sound == take.picture and project.kdenlive else [prop("audio_index", -1)]),
        prop(TAKE, json.dumps(asdict(take), ensure_ascii=False)),
    ]
    if take.clip_id in clips:
        kept = [
            n for n in clips[take.clip_id].producer.all("property") if _KEPT.fullmatch(n.attributes.get("name", ""))
        ]
        inner += [prop(node.attributes["name"], node.text) for node in kept]
    used = [int(n.text) for n in project.root.walk() if n.attributes.get("name") == "kdenlive:id" and n.text.isdigit()]
    number = max(used, default=1) + take.order
    if project.kdenlive:
        inner += [
            prop("kdenlive:clipname", f"JULNet {take.name}"),
            prop("kdenlive:id", number),
            prop("kdenlive:folderid", -1),
        ]
    if project.shotcut:
        inner.append(prop("shotcut:caption", f"JULNet {take.name}"))
    if take.matte is not None:
        inner.append(_shape(take, take.matte))
    span = {"in": 0, "out": project.time(take.frames - 1)}
    picture = element("producer", {"id": take.id, **span}, *inner)
    if not take.sound:
        return picture
    return f"{picture}\n{element('producer', {'id': f'{take.id}_sound', **span}, *_sounding(project, take, number))}"


def _sounding(project: Project, take: HeldTake, number: int) -> list[str]:
    """The sound of a take; to Kdenlive the same clip of the bin as its picture."""
    inner = [
        prop("length", take.frames),
        prop("eof", "pause"),
        prop("resource", take.sound),
        prop("mlt_service", "avformat"),
        prop("video_index", -1),
        prop(ROLE, "sound"),
    ]
    if project.kdenlive:
        inner += [prop("kdenlive:id", number), prop("kdenlive:clipname", f"JULNet {take.name}")]
    return inner


def _shape(take: HeldTake, matte: HeldMatte) -> str:
    inner = [
        prop("mlt_service", "shape"),
        prop("resource", resource_of(matte.alpha)),  # with a service or a query, melt would look beside the project
        prop("producer.ttl", 1),
        prop("producer.length", take.frames),
        prop("use_luminance", 0),
        prop("use_mix", 0),
        prop("invert", int(matte.white_shows == "plate")),
        prop(ROLE, "matte"),
        *([] if matte.enabled else [prop("disable", 1)]),
    ]
    return element("filter", {"id": f"{take.id}_matte"}, *inner)


def _laid(
    project: Project,
    takes: Sequence[HeldTake],
    clips: dict[str, Entry],
    firsts: dict[str, int],
    *,
    sound: bool = False,
) -> list[str]:
    """Takes, or their sound, each where its clip lies."""
    inner, position = [], 0
    for take in takes:
        entry = clips[take.clip_id]
        if entry.position > position:
            inner.append(element("blank", {"length": project.time(entry.position - position)}))
        first = firsts[take.id]
        cut: dict[str, object] = {
            "producer": f"{take.id}_sound" if sound else take.id,
            "in": project.time(first),
            "out": project.time(first + entry.length - 1),
        }
        inner.append(element("entry", cut, *([] if sound else _filters_of(project, entry))))
        position = entry.position + entry.length
    return inner


def _track_of(project: Project, name: str, laid: Sequence[str], hide: str) -> list[str]:
    """What a track of ours is made of: a playlist; in Kdenlive a pair of them, in a tractor."""
    ours, sound = prop(ROLE, "takes"), hide == "video"
    if project.kdenlive:
        kind = [prop("kdenlive:audio_track", 1)] if sound else []
        known = [prop("kdenlive:track_name", TRACK), prop("kdenlive:timeline_active", 1)]
        slots = [element("track", {"hide": hide, "producer": each}) for each in (name, f"{name}_b")]
        return [
            element("playlist", {"id": name}, ours, *kind, *laid),
            element("playlist", {"id": f"{name}_b"}, ours, *kind),
            element("tractor", {"id": f"{name}_track"}, ours, *kind, *known, *slots),
        ]
    known = [prop("shotcut:audio" if sound else "shotcut:video", 1), prop("shotcut:name", TRACK)]
    return [element("playlist", {"id": name}, ours, *(known if project.shotcut else []), *laid)]


def _slot(project: Project, name: str, hide: str) -> str:
    """A track of ours in the timeline."""
    return element("track", {"producer": f"{name}_track"} if project.kdenlive else {"producer": name, "hide": hide})


def _filters_of(project: Project, entry: Entry) -> list[str]:
    """The filters of a clip as text, so that a take looks as the clip does; ids are left out, each may be used once."""
    found = []
    for holder in (entry.producer, entry.node):
        for node in holder.all("filter"):
            text = project.data[node.start : node.stop].decode()
            found.append(re.sub(r'^(<filter[^>]*?) id=("[^"]*"|\'[^\']*\')', r"\1", text))
    return found


def _transition(project: Project, base: int, track: int) -> str:
    inner = [
        prop("a_track", base), prop("b_track", track), prop("mlt_service", "composite"), prop("always_active", 1),
        prop(ROLE, "takes"),
    ]  # fmt: skip
    if project.kdenlive:
        inner += [prop("kdenlive_id", "composite"), prop("internal_added", _INTERNAL)]
    return element("transition", {}, *inner)


def _base_of(project: Project, track: int) -> int:
    """The track that a clip's picture ends up on: where a transition already lays its track, else its own."""
    for node in project.tractor.all("transition"):
        at_work = node.property("mlt_service") != "mix" and node.property("disable") != "1"
        if node.property("b_track") == str(track) and at_work:  # Shotcut keeps one for its lowest track, switched off
            return int(node.property("a_track") or track)
    return track


def _into_bin(project: Project, edits: Edits, takes: Sequence[HeldTake]) -> None:
    """Editors forget a producer that is not in their bin."""
    bin_ = project.by_id.get("main_bin")
    if bin_ is None or not bin_.children:
        return
    lines = [
        element("entry", {"producer": t.id, "in": project.time(0), "out": project.time(t.frames - 1)}) for t in takes
    ]
    edits.insert(bin_.children[-1].stop, "\n".join(lines), 2)


def _head(root: Node) -> int:
    profile = next((node for node in root.children if node.name == "profile"), None)
    return root.inner if profile is None else profile.stop


def _top(node: Node) -> Node:
    """The element just below the root that holds one."""
    while node.parent is not None and node.parent.parent is not None:
        node = node.parent
    return node
