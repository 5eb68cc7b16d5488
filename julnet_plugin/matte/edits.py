"""Edits of a matte document: pure functions from value to value, and the history that undoes them.

Undo never computes backwards: it puts the old value back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from julnet_plugin.errors import SettingsError
from julnet_plugin.matte.document import MatteDocument
from julnet_plugin.matte.keyframes import Key
from julnet_plugin.matte.settings import DriveMode, DriveRange, FrameHold, Levels
from julnet_plugin.matte.strokes import Shape, Stroke


def next_stroke_id(document: MatteDocument) -> str:
    """An id that no stroke of the document has: "s" and a number."""
    numbers = [int(s.id[1:]) for s in document.strokes if s.id[:1] == "s" and s.id[1:].isdecimal()]
    return f"s{max(numbers, default=0) + 1}"


def stroke_named(document: MatteDocument, stroke_id: str) -> Stroke:
    """The stroke with an id; `SettingsError` where there is none."""
    for stroke in document.strokes:
        if stroke.id == stroke_id:
            return stroke
    msg = f"there is no stroke {stroke_id!r} in this matte; it has {len(document.strokes)} strokes"
    raise SettingsError(msg, key=stroke_id)


def add_stroke(document: MatteDocument, stroke: Stroke) -> MatteDocument:
    """Paint a stroke over all others; an id that is taken or empty is replaced by a free one."""
    taken = {s.id for s in document.strokes}
    if not stroke.id or stroke.id in taken:
        stroke = replace(stroke, id=next_stroke_id(document))
    return replace(document, strokes=(*document.strokes, stroke))


def replace_stroke(document: MatteDocument, stroke: Stroke) -> MatteDocument:
    """Put an edited stroke in the place of the one with its id."""
    stroke_named(document, stroke.id)
    return replace(document, strokes=tuple(stroke if s.id == stroke.id else s for s in document.strokes))


def remove_stroke(document: MatteDocument, stroke_id: str) -> MatteDocument:
    """Take a stroke away."""
    stroke_named(document, stroke_id)
    return replace(document, strokes=tuple(s for s in document.strokes if s.id != stroke_id))


def copy_to_next(document: MatteDocument, frame: int, count: int = 1) -> MatteDocument:
    """Copy what is painted on a frame to the `count` frames after it, where each copy can be edited alone.

    Strokes that reach those frames by themselves are not copied.
    """
    for stroke in [s for s in document.strokes if s.weight_at(frame) > 0 and s.stop == frame + 1]:
        shape = tuple((x, y, p) for x, y, p in stroke.points_at(frame).tolist())
        for target in range(frame + 1, frame + 1 + count):
            copy = replace(
                stroke,
                id=next_stroke_id(document),
                start=target,
                stop=target + 1,
                fade_in=0,
                fade_out=0,
                shapes=(Shape(frame=target, points=shape),),
            )
            document = add_stroke(document, copy)
    return document


def interpolate(document: MatteDocument, first_id: str, second_id: str) -> MatteDocument:
    """Join two strokes painted on different frames into one that travels from the first to the second.

    The joined stroke has the first one's brush and place in the order, and spans both ranges.
    """
    a, b = stroke_named(document, first_id), stroke_named(document, second_id)
    shapes = {s.frame: s for s in (*a.shapes, *b.shapes)}
    if first_id == second_id or len(shapes) < len(a.shapes) + len(b.shapes):
        msg = f"strokes {first_id!r} and {second_id!r} lie on the same frame; interpolation needs two different frames"
        raise SettingsError(msg, key=second_id)
    joined = replace(
        a,
        shapes=tuple(shapes[frame] for frame in sorted(shapes)),
        start=min(a.start, b.start),
        stop=max(a.stop, b.stop),
    )
    return remove_stroke(replace_stroke(document, joined), second_id)


def set_value(document: MatteDocument, name: str, value: float) -> MatteDocument:
    """Give a parameter one value for the whole take."""
    return replace(document, settings=document.settings.with_value(name, value))


def set_key(document: MatteDocument, name: str, key: Key) -> MatteDocument:
    """Give a parameter a keyframe."""
    return replace(document, settings=document.settings.with_key(name, key))


def remove_key(document: MatteDocument, name: str, frame: int) -> MatteDocument:
    """Take a parameter's keyframe away."""
    return replace(document, settings=document.settings.without_key(name, frame))


def hold_frame(document: MatteDocument, source: int, start: int, stop: int) -> MatteDocument:
    """Hold the automatic matte of one frame over start ≤ f < stop."""
    return replace(document, holds=(*document.holds, FrameHold(start=start, stop=stop, source=source)))


def set_levels(document: MatteDocument, levels: Levels) -> MatteDocument:
    """Take low and high from the parameters, or from each shot's own σ."""
    return replace(document, settings=replace(document.settings, levels=levels))


def move_key(document: MatteDocument, name: str, frame: int, key: Key) -> MatteDocument:
    """Put a keyframe elsewhere: another frame, value or interpolation; one that is there already goes."""
    return set_key(remove_key(document, name, frame) if frame != key.frame else document, name, key)


def decide(
    document: MatteDocument, start: int, stop: int, mode: DriveMode, reference_frame: int | None = None
) -> MatteDocument:
    """Say what happens on a stretch: "flag" accepts the picture as it is, the others hold the plate or a reference."""
    document = undecide(document, start, stop)
    chosen = DriveRange(start=start, stop=stop, mode=mode, reference_frame=reference_frame)
    return replace(document, drive=replace(document.drive, ranges=(*document.drive.ranges, chosen)))


def undecide(document: MatteDocument, start: int, stop: int) -> MatteDocument:
    """Take back what was said of exactly this stretch."""
    kept = tuple(r for r in document.drive.ranges if (r.start, r.stop) != (start, stop))
    return replace(document, drive=replace(document.drive, ranges=kept))


def decision_of(document: MatteDocument, start: int, stop: int) -> DriveRange | None:
    """What was said of exactly this stretch; None where nothing was."""
    return next((r for r in reversed(document.drive.ranges) if (r.start, r.stop) == (start, stop)), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """A document with what it was before and what was undone."""

    document: MatteDocument
    past: tuple[MatteDocument, ...] = ()
    future: tuple[MatteDocument, ...] = ()

    def do(self, document: MatteDocument) -> History:
        """Take over an edited document; what was undone before is forgotten."""
        return History(document=document, past=(*self.past, self.document))

    def undo(self) -> History:
        """One step back; the same history where there is none."""
        if not self.past:
            return self
        return History(document=self.past[-1], past=self.past[:-1], future=(self.document, *self.future))

    def redo(self) -> History:
        """One step forward again."""
        if not self.future:
            return self
        return History(document=self.future[0], past=(*self.past, self.document), future=self.future[1:])
