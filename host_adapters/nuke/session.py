"""An open Nuke script as a `HostSession`: a clip is a Read, its takes hang on a Switch behind it.

::

    Read (plate) ---------------------------------------- 0 \
    Read (dub) - Copy uncertainty.sigma - Keymix B ------ 1  Switch "which" - what hung on the Read before
    Read (plate) ------------------------ Keymix A
    Read (matte) - Copy to alpha - RotoPaint (touch-up) - Keymix mask

Keymix shows its B, the take, and A, the plate, where the mask lets it; disabled it shows B. Reads of the take have the
plate's colour space, the matte is read raw. An EXR plate holds values that no movie can: there the take is its EXR
layers, merged over the plate. A take of a part of the clip has a Switch of its own that shows the plate elsewhere.

Convention:
    A `RecordFrame` counts from the script's first frame. Nuke counts the frames of a movie from 1.
"""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Callable, Iterator, Sequence

from host_adapters.base import (
    ClipRef,
    ClipRefused,
    FinishedTake,
    HostGone,
    HostRefused,
    HostSession,
    MatteFile,
    MatteRef,
    MediaMissing,
    RecordFrame,
    RecordRange,
    SourceRange,
    Span,
    TakeRef,
    percent_pattern,
    refuse_missing,
    refuse_short_take,
    sequence_files,
)
from host_adapters.nuke.values import (
    KNOB,
    file_of,
    frames_of,
    is_float,
    is_movie,
    is_movie_path,
    note_on,
    rate_of,
    source_of,
    speed_of,
    tcl_path,
    whole,
    write_note,
)
from host_adapters.values import replace

if TYPE_CHECKING:
    from types import ModuleType

COLOUR = ("colorspace", "raw", "premultiplied")  #: knobs of a Read that say what its numbers mean
EDITED = "edited"


class NukeSession(HostSession):
    """The script that is open in this Nuke, with a window or without.

    Args:
        nuke: the module.
    """

    name = "nuke"
    lays_patches = True

    def __init__(self, nuke: ModuleType) -> None:
        self._nuke: Any = nuke
        self._script = str(self._nuke.root().name())
        self._undo: list[Callable[[], None]] = []

    def list_clips(self) -> list[ClipRef]:
        return [self._clip(node) for node in self._reads() if not note_on(node)]

    def selection(self) -> list[ClipRef]:
        """The selected Reads, or the Reads above what is selected."""
        found: list[Any] = []
        for node in self._nuke.selectedNodes():
            read = source_of(node)
            if read is not None and read not in found and not note_on(read):
                found.append(read)
        return [self._clip(node) for node in found]

    def place_take(self, clip: ClipRef, take: FinishedTake) -> TakeRef:
        read = self._node(clip.id)
        refuse_short_take(clip, take)
        refuse_missing(take.picture, "the take's picture")
        layers = _layers_of(take.folder)
        over = is_float(clip.path) or is_float(take.picture)
        if over and not layers:
            raise HostRefused(
                f"the take {take.name} holds movies, and a plate in EXR needs the take's EXR layers: deliver exr"
            )
        made: list[Any] = []
        switch, rewired = self._switch(read), []  # type: Any, list[tuple[Any, int]]
        shown = switch["which"].value() if switch is not None else 0
        try:
            with self._one_undo("place a take"):
                return self._place(read, clip, take, layers if over else "", made, rewired, int(shown))
        except (RuntimeError, ValueError, TypeError, NameError) as exc:
            self._remove(made, rewired, read)
            raise HostRefused(f"Nuke did not build the take's nodes ({exc}): the script is as it was") from exc
        except HostRefused:
            self._remove(made, rewired, read)
            raise

    def _place(
        self, read: Any, clip: ClipRef, take: FinishedTake, patch: str, made: list[Any],
        rewired: list[tuple[Any, int]], shown: int,
    ) -> TakeRef:  # fmt: skip
        """Build a take's nodes.

        Args:
            read: of the plate.
            clip: the plate's frames that are to show the take.
            take: finished.
            patch: pattern of EXR layers to merge over the plate; empty = the take's picture is whole.
            made: filled with the nodes that were made.
            rewired: filled with (node, input) of what hung on the plate.
            shown: input of the Switch that was shown before.
        """
        switch = self._switch(read)
        if switch is None:
            rewired += [(node, i) for node in self._all() for i in range(node.inputs()) if node.input(i) is read]
            switch = self._make("Switch", read.name() + "_takes", {"read": clip.id}, inputs=[read])
            made.append(switch)
            for node, index in rewired:
                node.setInput(index, switch)
        told = {"take": take.folder}
        dub = self._read_like(read, patch or take.picture, take, clip, _free_name(self._nuke, read.name() + "_take"))
        made.append(dub)
        top, layers = dub, _layers_of(take.folder)
        if patch:
            dub["premultiplied"].setValue(True)
            knobs = {"operation": "over", "output": "rgb"}
            top = self._make("Merge2", f"{dub.name()}_over", told, inputs=[read, dub], knobs=knobs)
            made.append(top)
        if layers:
            top = self._with_sigma(top, dub, "" if patch else layers, take, made)
        if clip.source != self._clip(read).source:
            top = self._make("Switch", f"{dub.name()}_range", told, inputs=[top, read])
            made.append(top)
            first = self._first() + clip.record.start.index
            top["which"].setExpression(f"frame < {first} || frame > {first + len(clip.record) - 1}")
        index = switch.inputs()
        switch.setInput(index, top)
        _check_connected(switch, index, top, take)
        listed = note_on(switch)
        listed.setdefault("takes", []).append({"id": dub.name(), "name": take.name, "folder": take.folder})
        write_note(switch, listed)
        switch["which"].setValue(index)
        name = dub.name()
        self._undo.append(lambda: self._remove_take(clip.id, name, rewired, shown))
        return TakeRef(name, clip.id, take.name, take.folder, active=True)

    def takes(self, clip: ClipRef) -> list[TakeRef]:
        switch = self._switch(self._node(clip.id))
        if switch is None:
            return []
        rows = [row for row in note_on(switch).get("takes", []) if self._nuke.toNode(row["id"]) is not None]
        shown = int(switch["which"].value())
        return [
            TakeRef(row["id"], clip.id, row["name"], row["folder"], active=self._input_of(switch, row["id"]) == shown)
            for row in rows
        ]

    def select_take(self, clip: ClipRef, take: TakeRef | None) -> None:
        switch = self._switch(self._node(clip.id))
        if switch is None:
            if take is not None:
                raise HostGone(f"the take {take.name} is not in the script any more: place it again")
            return
        index = 0 if take is None else self._input_of(switch, take.id)
        if index is None:
            raise HostGone(f"the take {take.name if take else ''} is not in the script any more: place it again")
        switch["which"].setValue(index)

    def attach_matte(self, take: TakeRef, matte: MatteFile) -> MatteRef:
        read = self._node(take.clip_id)
        switch = self._switch(read)
        index = None if switch is None else self._input_of(switch, take.id)
        if switch is None or index is None:
            raise HostGone(f"the take {take.name} is not in the script any more: place it again")
        refuse_missing(matte.path, "the matte")
        with self._one_undo("attach a matte"):
            return self._attach(take, matte, read, switch, index)

    def _attach(self, take: TakeRef, matte: MatteFile, read: Any, switch: Any, index: int) -> MatteRef:
        self._drop_matte(switch, index)
        top, dub = switch.input(index), self._node(take.id)
        told = {"take": take.id}
        mask = self._make("Read", f"{take.id}_matte", told, knobs=self._timing(dub, matte))
        channel = "uncertainty.matte" if matte.path.lower().endswith(".exr") else "rgba.red"
        copy = self._make(
            "Copy", f"{take.id}_mask", told, inputs=[mask, mask], knobs={"from0": channel, "to0": "rgba.alpha"}
        )
        paint = self._make("RotoPaint", f"{take.id}_touchup", told, inputs=[copy])
        keymix = self._make(
            "Keymix",
            f"{take.id}_keymix",
            {**told, "keymix": True},
            inputs=[top, read, paint],
            knobs={
                "channels": "rgb",
                "maskChannel": "rgba.alpha",
                "invertMask": matte.white_shows == "dub",
                "disable": not matte.enabled,
            },
        )
        switch.setInput(index, keymix)
        self._undo.append(lambda: self._undo_matte(take.clip_id, take.id))
        return MatteRef(id=paint.name(), clip_id=take.clip_id, take_id=take.id, path=matte.path)

    def matte(self, take: TakeRef) -> MatteRef | None:
        self._node(take.clip_id)
        paint = next((n for n in self._all() if n.Class() == "RotoPaint" and note_on(n).get("take") == take.id), None)
        read = self._nuke.toNode(f"{take.id}_matte")
        if paint is None or read is None:
            return None
        return MatteRef(id=paint.name(), clip_id=take.clip_id, take_id=take.id, path=file_of(read))

    def read_matte(self, matte: MatteRef) -> str:
        """Renders the touched-up matte beside the take, where there are strokes."""
        paint, dub = self._node(matte.id), self._node(matte.take_id)
        if not _painted(paint):
            return matte.path
        take = next((t for t in self.takes(self._clip(self._node(matte.clip_id))) if t.id == matte.take_id), None)
        if take is None:
            raise HostGone("the take of this matte is not in the script any more: place it again")
        kind = ".png" if matte.path.lower().endswith(".png") else ".exr"
        folder = os.path.join(take.folder, EDITED)
        first, last = frames_of(dub)
        self._write(paint, os.path.join(folder, f"script.%06d{kind}"), first, last)
        number = whole(self._node(f"{matte.take_id}_matte"), "first")
        for frame in range(first, last + 1):  # numbered as the matte itself is
            numbered = os.path.join(folder, f"matte.{number + frame - first:06d}{kind}")
            os.replace(os.path.join(folder, f"script.{frame:06d}{kind}"), numbered)
        return os.path.join(folder, f"matte.######{kind}")

    def mark(self, clip: ClipRef, spans: Sequence[Span]) -> None:
        read = self._node(clip.id)
        rows, lines = [], []
        first = self._first()
        for span in spans:
            inside = span.frames.clipped(clip.source)
            where = clip.record_of(inside)
            if len(where):
                rows.append([inside.start.index, inside.stop.index, span.expected_cv, span.note])
                shown = f"{first + where.start.index}-{first + where.stop.index - 1}"
                lines.append(f"{shown}: ±{span.expected_cv:.0f} of 255 {span.note}")
        name = f"{read.name()}_review"
        note = self._nuke.toNode(name)
        if note is None:
            note = self._make("StickyNote", name, {"spans": []})
        write_note(note, {"spans": rows})
        note["label"].setValue("JULNet: worth a look\n" + "\n".join(lines))

    def marks(self, clip: ClipRef) -> list[Span]:
        note = self._nuke.toNode(f"{self._node(clip.id).name()}_review")
        rows = [] if note is None else note_on(note).get("spans", [])
        spans = [Span(SourceRange.of(start, stop), float(cv), str(text)) for start, stop, cv, text in rows]
        return sorted(spans, key=lambda span: span.frames.start.index)

    def render(self, frames: RecordRange, out: str) -> str:
        """Renders the clip that lies there, as its Switch shows it."""
        clip = next((c for c in self.list_clips() if _meets(c.record, frames)), None)
        if clip is None:
            raise HostGone("no Read covers these frames: check the script's frame range")
        read = self._node(clip.id)
        first = self._first()
        top = self._switch(read) or read
        path = os.path.join(out, "julnet.%06d.png")
        self._write(top, path, first + frames.start.index, first + frames.stop.index - 1)
        return os.path.join(out, "julnet.######.png")

    def undo(self) -> None:
        if self._undo:
            try:
                self._undo.pop()()
            except HostGone:  # the person was quicker with Ctrl-Z
                return

    def save(self) -> None:
        self._check()
        if self._script in ("", "Root"):
            raise HostRefused("the script has no name yet: save it once in Nuke and try again")
        self._nuke.scriptSave()

    def narrowed(self, clip: ClipRef, first: int, last: int) -> ClipRef:
        """The frames of a clip between two frames of the script, both in.

        Raises:
            ClipRefused: the clip lies elsewhere.
        """
        offset = self._first() + clip.record.start.index - clip.source.start.index  # script frame of the medium's first
        source = SourceRange.of(first - offset, max(first, last + 1) - offset).clipped(clip.source)
        if not len(source):
            lies = f"{offset + clip.source.start.index} to {offset + clip.source.stop.index - 1}"
            raise ClipRefused(
                f"{clip.name} lies on frames {lies} and {first} to {last} are asked for: choose frames of the clip"
            )
        return replace(clip, source=source, record=clip.record_of(source))

    def _first(self) -> int:
        return int(self._nuke.root()["first_frame"].value())

    @property
    def script_range(self) -> tuple[int, int]:
        """First and last frame of the script, both in."""
        return self._first(), int(self._nuke.root()["last_frame"].value())

    @contextmanager
    def _one_undo(self, what: str) -> Iterator[None]:
        """One Ctrl-Z takes back all that is done inside."""
        self._nuke.Undo.begin(f"JULNet: {what}")
        try:
            yield
        finally:
            self._nuke.Undo.end()

    def _check(self) -> None:
        if str(self._nuke.root().name()) != self._script:
            raise HostGone("the script was closed in Nuke: open it again, and place the take from its folder")

    def _all(self) -> list[Any]:
        return list(self._nuke.allNodes())

    def _reads(self) -> list[Any]:
        self._check()
        reads = [node for node in self._all() if node.Class() == "Read"]
        return sorted(reads, key=lambda node: (frames_of(node)[0], node.name()))

    def _node(self, name: str) -> Any:
        self._check()
        node = self._nuke.toNode(name)
        if node is None:
            raise HostGone(f"the node {name} is not in the script any more: place the take from its folder")
        return node

    def _clip(self, node: Any) -> ClipRef:
        """A Read as a clip."""
        path, movie, first, last = file_of(node), is_movie(node), whole(node, "first"), whole(node, "last")
        orig_first, orig_last = whole(node, "origfirst"), whole(node, "origlast")
        if not path:
            raise ClipRefused(f"{node.name()} reads no file: give it one and try again")
        root_first = self._first()
        start, _ = frames_of(node)
        zero = 1 if movie else orig_first
        speed = speed_of(node)
        length = last - first + 1
        shown = length if speed is None else max(1, int(length / abs(speed)))
        record_rate = rate_of(self._nuke.root()["fps"].value())
        said = node.metadata() or {}
        return ClipRef(
            id=node.name(),
            name=node.name(),
            path=path,
            source=SourceRange.of(first - zero, last + 1 - zero),
            record=RecordRange(RecordFrame(start - root_first), RecordFrame(start - root_first + shown)),
            source_rate=rate_of(said.get("input/frame_rate") or record_rate),
            record_rate=record_rate,
            media=SourceRange.of(orig_first - zero, orig_last + 1 - zero),
            start_timecode=said.get("input/timecode") or None,
            reel=said.get("quicktime/reel") or said.get("exr/reelName") or None,
            first_number=0 if movie else orig_first,
            speed=speed,
            hints={"colour_space": str(node["colorspace"].value())},
        )

    def _switch(self, read: Any) -> Any:
        """The Switch behind a Read, or None."""
        for node in self._all():
            if node.Class() == "Switch" and note_on(node).get("read") == read.name() and node.input(0) is read:
                return node
        return None

    def _input_of(self, switch: Any, take_id: str) -> int | None:
        """The Switch's input on which a take hangs, whatever lies between."""
        for index in range(1, switch.inputs()):
            if any(node.name() == take_id for node in _upstream(switch.input(index), switch.input(0))):
                return index
        return None

    def _make(
        self,
        kind: str,
        name: str,
        told: dict[str, Any],
        inputs: Sequence[Any] = (),
        knobs: dict[str, Any] | None = None,
    ) -> Any:
        """A node of ours, connected and set."""
        node = getattr(self._nuke.nodes, kind)()
        node.setName(_free_name(self._nuke, name))
        for index, other in enumerate(inputs):
            node.setInput(index, other)
        for knob, value in (knobs or {}).items():
            node[knob].setValue(value)
        knob = self._nuke.String_Knob(KNOB, KNOB)
        knob.setVisible(False)
        node.addKnob(knob)
        write_note(node, told)
        return node

    def _read_like(self, read: Any, path: str, take: FinishedTake, clip: ClipRef, name: str) -> Any:
        """A Read of the take that lies where the clip lies, in the clip's colour space."""
        movie = is_movie_path(path)
        first = 1 if movie else take.first_number
        start = self._first() + clip.record.start.index
        ahead = clip.source.start - take.frames.start  # frames of the take before the clip's first
        knobs = {
            "file": tcl_path(percent_pattern(path)),
            "first": first,
            "last": first + len(take.frames) - 1,
            "origfirst": first,
            "origlast": first + len(take.frames) - 1,
            "frame_mode": "start at",
            "frame": str(start - ahead),
            "before": "black",
            "after": "black",
        }
        knobs.update({knob: read[knob].value() for knob in COLOUR})
        return self._make("Read", name, {"take": take.folder}, knobs=knobs)

    def _with_sigma(self, top: Any, dub: Any, layers: str, take: FinishedTake, made: list[Any]) -> Any:
        """A picture with `uncertainty.sigma` and `uncertainty.matte` in its stream, from the EXR delivery.

        Args:
            top: the picture.
            dub: the take's Read, which has them where `layers` is empty.
            layers: pattern to read them from.
            take: finished.
            made: filled with the nodes that were made.
        """
        self._nuke.Layer("uncertainty", ["uncertainty.sigma", "uncertainty.error", "uncertainty.matte"])
        told, source = {"take": take.folder}, dub
        if layers:
            reads = self._timing(dub, MatteFile(layers, first_number=take.first_number))
            source = self._make("Read", f"{dub.name()}_layers", told, knobs=reads)
            made.append(source)
        channels = ("uncertainty.sigma", "uncertainty.matte")
        knobs = {f"{way}{n}": name for n, name in enumerate(channels) for way in ("from", "to")}
        made.append(self._make("Copy", f"{dub.name()}_sigma", told, inputs=[top, source], knobs=knobs))
        return made[-1]

    def _timing(self, dub: Any, matte: MatteFile) -> dict[str, Any]:
        """Knobs of a Read of data that runs with a take: raw, frame for frame."""
        first = 1 if is_movie_path(matte.path) else matte.first_number
        last = first + whole(dub, "last") - whole(dub, "first")
        return {
            "file": tcl_path(percent_pattern(matte.path)),
            "first": first,
            "last": last,
            "origfirst": first,
            "origlast": last,
            "frame_mode": "start at",
            "frame": str(frames_of(dub)[0]),
            "before": "black",
            "after": "black",
            "raw": True,
        }

    def _drop_matte(self, switch: Any, index: int) -> None:
        """Take away the matte that a take has."""
        keymix = switch.input(index)
        told = note_on(keymix)
        if not told.get("keymix"):
            return
        switch.setInput(index, keymix.input(0))
        self._nuke.delete(keymix)
        for node in self._all():
            if note_on(node).get("take") == told["take"] and node.Class() in ("Read", "Copy", "RotoPaint"):
                self._nuke.delete(node)

    def _undo_matte(self, clip_id: str, take_id: str) -> None:
        switch = self._switch(self._node(clip_id))
        index = None if switch is None else self._input_of(switch, take_id)
        if index is not None:
            self._drop_matte(switch, index)

    def _remove_take(self, clip_id: str, take_id: str, rewired: list[tuple[Any, int]], shown: int) -> None:
        """Take a take's nodes away; with the last one the Switch goes too."""
        read = self._node(clip_id)
        switch = self._switch(read)
        index = None if switch is None else self._input_of(switch, take_id)
        if switch is None or index is None:
            return
        self._drop_matte(switch, index)
        told = note_on(switch)
        told["takes"] = [row for row in told["takes"] if row["id"] != take_id]
        write_note(switch, told)
        top = switch.input(index)
        switch.setInput(index, None)
        for node in _upstream(top, read):
            if note_on(node):
                self._nuke.delete(node)
        if told["takes"]:
            switch["which"].setValue(shown)
        else:
            self._remove([switch], rewired, read)

    def _remove(self, nodes: Sequence[Any], rewired: Sequence[tuple[Any, int]], read: Any) -> None:
        for node, index in rewired:
            node.setInput(index, read)
        for node in reversed(nodes):
            self._nuke.delete(node)

    def _write(self, node: Any, path: str, first: int, last: int) -> None:
        """Render a node raw, by a Write that goes again."""
        folder = os.path.dirname(path)
        os.makedirs(folder, exist_ok=True)
        write = self._nuke.nodes.Write()
        try:
            write.setInput(0, node)
            kind = os.path.splitext(path)[1][1:]
            knobs = {"file": tcl_path(path), "file_type": kind, "channels": "rgb", "raw": True}
            for knob, value in knobs.items():
                write[knob].setValue(value)
            self._nuke.execute(write, first, last)
        except RuntimeError as exc:
            raise HostRefused(f"Nuke did not render {path} ({exc}): try it with a Write of your own") from exc
        finally:
            self._nuke.delete(write)


def _check_connected(switch: Any, index: int, top: Any, take: FinishedTake) -> None:
    if switch.input(index) is not top:
        raise HostRefused(f"Nuke did not connect the take {take.name}: unlock {switch.name()} and try again")


def _upstream(node: Any, stop: Any) -> list[Any]:
    """A node and everything that it gets pictures from, but for what lies behind one of them."""
    found: list[Any] = []
    open_ends = [node]
    while open_ends:
        at = open_ends.pop()
        if at is not None and at is not stop and at not in found:
            found.append(at)
            open_ends += [at.input(i) for i in range(at.inputs())]
    return found


def _painted(paint: Any) -> bool:
    """Whether a person painted into a RotoPaint."""
    return any(True for _ in paint["curves"].rootLayer)


def _layers_of(folder: str) -> str:
    """The pattern of a take's EXR layers, or ""."""
    try:
        with open(os.path.join(folder, "take.json"), encoding="utf-8") as file:
            pattern = json.load(file)["files"].get("exr")
    except (OSError, ValueError, KeyError) as exc:
        raise MediaMissing(f"{folder} holds no take that can be read ({exc}): re-dub the clip again") from None
    path = os.path.join(folder, *pattern.split("/")) if pattern else ""
    return path if path and sequence_files(path) else ""


def _free_name(nuke: Any, name: str) -> str:
    """A node name that is free: the second "shot_take" is "shot_take2"."""
    number = 1
    free = name
    while nuke.toNode(free) is not None:
        number += 1
        free = f"{name}{number}"
    return free


def _meets(one: RecordRange, other: RecordRange) -> bool:
    return one.start < other.stop and other.start < one.stop
