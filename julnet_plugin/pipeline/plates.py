"""Read a few frames of a plate without decoding all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from julnet_plugin.types import FrameRange

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from julnet_plugin.media.reader import PlateFrame, PlateReader

_NEAR = 48  #: frames closer than this are reached by decoding on: a seek goes back to a key frame


def frames_at(plate: PlateReader, indices: Iterable[int]) -> Iterator[PlateFrame]:
    """The frames with these plate numbers, ascending, each once."""
    groups: list[list[int]] = []
    for index in sorted(set(indices)):
        if groups and index - groups[-1][-1] <= _NEAR:
            groups[-1].append(index)
        else:
            groups.append([index])
    for group in groups:
        for frame in plate.frames(FrameRange(start=group[0], stop=group[-1] + 1)):
            if frame.index in group:
                yield frame
