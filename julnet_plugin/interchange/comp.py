"""What a compositing program must rebuild of a take, whatever the program: which files, on which frames, held how.

::

    plate ------------------------------------------- background
    layers.exr: the patch, premultiplied ------------ over it, less where held
    layers.exr: uncertainty.matte -> paint -> amount - hold: 1 gives the plate back

`nuke.py` and `fusion.py` write this graph down. Its result is the take's own comp: patch + plate · (1 − coverage), and
the plate's pixels exactly where coverage is 0.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

EDITED = "edited/matte.######.exr"  #: where a compositor writes the painted matte, for `julnet matte --override`

_NUMBERED = re.compile(r"(.*?)(\d+)(\.[^.\d]+[^.]*)", re.DOTALL)


@dataclass(frozen=True)
class Footage:
    """A movie or a sequence that the comp reads."""

    path: str  #: a sequence as a pattern: "exr/layers.######.exr"; relative to the take folder where it is the take's
    first: int  #: number of its first file; 0 for a movie
    count: int  #: frames that it has
    start: int  #: comp frame on which its first frame lies
    movie: bool = False

    @property
    def last(self) -> int:
        """Number of its last file."""
        return self.first + self.count - 1

    def printf(self) -> str:
        """The path with the number as "%06d"."""
        return re.sub(r"#+", lambda run: f"%0{len(run[0])}d", self.path)

    def file(self, number: int) -> str:
        """The path of one file."""
        return re.sub(r"#+", lambda run: f"{number:0{len(run[0])}d}", self.path)


@dataclass(frozen=True)
class CompSpec:
    """Everything that the comp of a take is made of. Comp frames are inclusive, as compositors count."""

    name: str
    width: int
    height: int
    rate: Fraction
    first: int  #: comp frame of the take's first frame
    last: int
    plate: Footage
    layers: Footage
    values: str  #: what R, G and B are, in words
    pixel_aspect: Fraction = Fraction(1)
    patch_layer: str = ""  #: EXR layer of the patch before the plate is held in it; "" = the plain R, G, B and A
    amount: tuple[tuple[int, float], ...] = ()  #: (comp frame, how strongly the matte holds the plate), linear between
    edited: str = EDITED

    def at(self, start: int) -> CompSpec:
        """The same comp with the take's first frame on another comp frame; file numbers stay."""
        by = start - self.first
        return replace(
            self,
            first=start,
            last=self.last + by,
            plate=replace(self.plate, start=self.plate.start + by),
            layers=replace(self.layers, start=self.layers.start + by),
            amount=tuple((frame + by, value) for frame, value in self.amount),
        )


def comp_of(manifest: Mapping[str, Any], name: str) -> CompSpec | None:
    """The comp of a take.

    Args:
        manifest: the contents of `take.json`.
        name: of the take, for people.

    Returns:
        None where the take has no `exr` delivery to rebuild it from.
    """
    pattern, plate = manifest["files"].get("exr"), manifest["plate"]
    if pattern is None:
        return None
    start, stop = plate["frame_range"]
    first = int(plate["first_number"])
    colour, held = plate["colour"], manifest.get("holds_plate", ())
    return CompSpec(
        name=name,
        width=int(plate["width"]),
        height=int(plate["height"]),
        rate=Fraction(plate["rate"]),
        first=first,
        last=first + (stop - start) - 1,
        plate=_plate(manifest, first - start),
        layers=Footage(path=str(pattern), first=first, count=stop - start, start=first),
        values=_values(colour),
        pixel_aspect=Fraction(plate.get("pixel_aspect", "1")),
        patch_layer="patch" if held else "",
        amount=tuple((first + int(frame) - start, float(value)) for frame, value in held),
    )


def _plate(manifest: Mapping[str, Any], first_number: int) -> Footage:
    """The plate as the reader of another program names it."""
    plate = manifest["plate"]
    path = str(plate.get("file") or manifest["inputs"]["plate"]["path"])
    count = int(plate.get("frame_count") or plate["frame_range"][1])
    if plate.get("kind", "movie") == "movie":
        return Footage(path=path, first=0, count=count, start=first_number, movie=True)
    return Footage(path=pattern_of(path), first=first_number, count=count, start=first_number)


def pattern_of(path: str) -> str:
    """One file of a sequence as the sequence's pattern: "shot.1001.exr" is "shot.####.exr"."""
    pure = PurePath(path)
    match = _NUMBERED.fullmatch(pure.name)
    return path if match is None else str(pure.with_name(match[1] + "#" * len(match[2]) + match[3]))


def _values(colour: Mapping[str, Any]) -> str:
    if colour.get("space"):
        return f"the plate's own values in {colour['space']}"
    if colour.get("transfer") == "linear":
        return "the plate's own scene-linear values"
    return "the plate's own code values, not linear"


def held_keys(held: Sequence[float], first: int) -> tuple[tuple[int, float], ...]:
    """How strongly the plate is held, as few keys as say every frame exactly with straight lines between them.

    Args:
        held: one value a frame, 0 to 1.
        first: number of the first of them.

    Returns:
        (frame, value) pairs; none where nothing is ever held.
    """
    keys: list[tuple[int, float]] = []
    for position, value in enumerate(held):
        before = held[position - 1] if position else None
        after = held[position + 1] if position + 1 < len(held) else None
        if before is None or after is None or not before == value == after:
            keys.append((first + position, float(value)))
    values = {value for _, value in keys}
    if values <= {0.0}:
        return ()
    return tuple(keys[:1]) if len(values) == 1 else tuple(keys)


def is_absolute(path: str) -> bool:
    """Whether a path needs no root, on any system."""
    return path.startswith(("/", "\\\\")) or re.match(r"[A-Za-z]:", path) is not None


def joined(root: str, path: str) -> str:
    """A path of the take under a root; absolute paths stay. Forward slashes, as Nuke and Fusion want them."""
    if is_absolute(path):
        return path.replace("\\", "/") if path[1:2] == ":" else path
    return f"{root.rstrip('/')}/{path}" if root else path
