"""The worst spans in a project: what we know of them, and what the editor shows of them: guides or markers.

What we know is a property of ours, where each editor keeps it when it saves. Beside it lie Kdenlive's guides or
Shotcut's markers, which a person sees; theirs stay, ours are known by their text.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from host_adapters.mlt.project import Project, clock
from host_adapters.mlt.xmltext import Edits, Node, element, prop

Rows = dict[str, list[dict[str, Any]]]  #: by clip id; start, stop (frames of the medium), cv, note
Shown = tuple[int, int, str]  #: first frame of the timeline and the one after the last, and the text

NAMES = ("julnet:marks", "kdenlive:docproperties.julnetmarks", "shotcut:julnet:marks")
_PREFIX = "JULNet ±"
_SEQUENCE, _DOCUMENT = "kdenlive:sequenceproperties.", "kdenlive:docproperties."
_MARKERS, _COLOUR = "shotcut:markers", "#D03030"


def read_marks(project: Project) -> Rows:
    """What `write_marks` wrote; nothing where it cannot be read."""
    holder, name = _place(project)
    try:
        return dict(json.loads(holder.property(name) or holder.property(NAMES[0]) or "{}"))
    except ValueError:
        return {}


def write_marks(project: Project, edits: Edits, marks: Rows, shown: Sequence[Shown]) -> None:
    """Write marks into a document that holds none of our properties.

    Args:
        project: the document.
        edits: of its text.
        marks: what we know.
        shown: the same as the editor shall show it, in order of time.
    """
    if any(marks.values()):
        holder, name = _place(project)
        told = json.dumps({key: rows for key, rows in marks.items() if rows}, ensure_ascii=False)
        edits.insert(holder.inner, prop(name, told), 2)
    if project.kdenlive:
        _write_guides(project, edits, shown)
    elif project.shotcut:
        _write_markers(project, edits, shown)


def text_of(row: dict[str, Any]) -> str:
    """What a person reads at a mark."""
    return f"{_PREFIX}{row['cv']:.0f}" + (f": {row['note']}" if row["note"] else "")


def _place(project: Project) -> tuple[Node, str]:
    if project.kdenlive:
        return project.by_id["main_bin"], NAMES[1]
    return project.tractor, NAMES[2] if project.shotcut else NAMES[0]


def _write_guides(project: Project, edits: Edits, shown: Sequence[Shown]) -> None:
    """Kdenlive's guides: JSON on the document, since 23.08 on the sequence."""
    sequence = any(n.attributes.get("name", "").startswith(_SEQUENCE) for n in project.tractor.all("property"))
    holder = project.tractor if sequence else project.by_id["main_bin"]
    name = (_SEQUENCE if sequence else _DOCUMENT) + "guides"
    node = next((n for n in holder.all("property") if n.attributes.get("name") == name), None)
    try:
        before = json.loads(node.text) if node is not None and node.text.strip() else []
    except ValueError:
        return  # of a version that writes them otherwise: left alone
    if not isinstance(before, list):
        return
    theirs = [guide for guide in before if not str(guide.get("comment", "")).startswith(_PREFIX)]
    after = theirs + [
        {"comment": text, "duration": stop - start, "pos": start, "type": 0} for start, stop, text in shown
    ]
    if after == before:
        return
    text = json.dumps(after, indent=4, ensure_ascii=False, sort_keys=True) + "\n"
    if node is not None:
        edits.replace(node.start, node.stop, prop(name, text))
    else:
        edits.insert(holder.inner, prop(name, text), 2)


def _write_markers(project: Project, edits: Edits, shown: Sequence[Shown]) -> None:
    """Shotcut's markers: numbered properties of the timeline."""
    holder = next((n for n in project.tractor.all("properties") if n.attributes.get("name") == _MARKERS), None)
    before = [] if holder is None else holder.all("properties")
    theirs = [node for node in before if not (node.property("text") or "").startswith(_PREFIX)]
    if not shown and len(theirs) == len(before):
        return
    inner = [project.data[node.inner : node.inner_stop].decode() for node in theirs]
    for start, stop, text in shown:
        times = {"start": clock(start, project.rate), "end": clock(stop, project.rate)}
        inner.append("".join(prop(key, value) for key, value in {"text": text, **times, "color": _COLOUR}.items()))
    numbered = [element("properties", {"name": number}, body) for number, body in enumerate(inner)]
    if holder is None:
        edits.insert(project.tractor.inner, element("properties", {"name": _MARKERS}, *numbered), 2)
    elif numbered:
        edits.replace(holder.start, holder.stop, element("properties", {"name": _MARKERS}, *numbered))
    else:
        edits.remove(holder)
