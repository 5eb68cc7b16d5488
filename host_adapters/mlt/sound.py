"""The new line of a take on a sound track of ours, and the clip's own sound, hushed meanwhile.

A clip's own sound is what sounds of its medium, in sync with it, without reaching beyond it: in Kdenlive a clip on a
sound track, in Shotcut and for `melt` the clip itself. It is hushed by the editors' own "Mute", which a person can take
off; the entry is otherwise as it was, to the byte.
"""

from __future__ import annotations

from collections.abc import Iterable

from host_adapters.mlt.project import ROLE, Entry, Project
from host_adapters.mlt.xmltext import Edits, Node, element, prop

HUSH = "hush"  #: role of the filter in an entry
_OPENED = "julnet:opened"  #: property of that filter where the entry was `<entry …/>` before


def own_sounds(project: Project, clip: Entry) -> list[Entry]:
    """The entries that a clip is heard by."""
    path = project.path_of(clip.producer)
    return [
        entry
        for entry in project.sounding()
        if project.path_of(entry.producer) == path
        and entry.producer.property("audio_index") != "-1"
        and entry.position - entry.first == clip.position - clip.first
        and entry.position >= clip.position
        and entry.position + entry.length <= clip.position + clip.length
    ]


def hush(project: Project, edits: Edits, entries: Iterable[Entry]) -> None:
    """Mute entries with a filter of ours."""
    for node in {id(entry.node): entry.node for entry in entries}.values():
        closed = node.inner == node.stop
        text = element("filter", {}, *_mute(project), prop(ROLE, HUSH), *([prop(_OPENED, 1)] if closed else []))
        if closed:
            edits.replace(node.stop - 2, node.stop, f">{text}</entry>")
        else:
            edits.replace(node.inner, node.inner, text)


def unhush(edits: Edits, node: Node) -> None:
    """Take a filter of ours away from its entry, which is then as it was before."""
    entry = node.parent
    if entry is not None and node.property(_OPENED) == "1" and len(entry.children) == 1:
        edits.replace(entry.inner - 1, entry.stop, "/>")
    else:
        edits.replace(node.start, node.stop, "")


def mix(project: Project, over: int, track: int) -> str:
    """The transition by which a sound track is heard together with the others.

    Args:
        project: whose other tracks say what they are mixed into.
        over: track of the clip, which it is mixed into where none does.
        track: of the sound.
    """
    mixes = [n for n in project.tractor.all("transition") if n.property("mlt_service") == "mix"]
    base = next((node.property("a_track") for node in mixes), None) or over
    inner = [prop("a_track", base), prop("b_track", track), prop("mlt_service", "mix"), prop("always_active", 1)]
    inner += [prop("sum", 1), prop(ROLE, "takes")]
    if project.kdenlive:
        inner += [prop("kdenlive_id", "mix"), prop("internal_added", 237)]
    return element("transition", {}, *inner)


def _mute(project: Project) -> list[str]:
    """The filter as the editor knows it."""
    known = {"kdenlive_id": "mute"} if project.kdenlive else {"shotcut:filter": "muteVolume"} if project.shotcut else {}
    return [prop("mlt_service", "volume"), prop("gain", 0), *(prop(name, value) for name, value in known.items())]
