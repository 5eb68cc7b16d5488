"""Frames of one medium in any order: recent ones from memory, neighbours from a decoder that stays open."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from julnet_plugin.errors import TimeRangeError
from julnet_plugin.types import FrameRange

if TYPE_CHECKING:
    from collections.abc import Iterator

    from julnet_plugin.media.reader import PlateFrame
    from julnet_plugin.types import MediaInfo

Pixels = NDArray[np.uint8]

#: A jump forward of at most this many frames goes on decoding; a longer one seeks.
_AHEAD = 8
#: Stepping backward decodes this many frames before the wanted one too: the next steps find them in memory.
_BEHIND = 8


class FrameCache:
    """The frames that were used last, up to a number of bytes; always at least one."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._bytes = 0
        self._frames: OrderedDict[int, Pixels] = OrderedDict()

    def __len__(self) -> int:
        return len(self._frames)

    def get(self, index: int) -> Pixels | None:
        """A frame, if it is in memory."""
        if index not in self._frames:
            return None
        self._frames.move_to_end(index)
        return self._frames[index]

    def put(self, index: int, pixels: Pixels) -> None:
        """Keep a frame, and forget the ones that were not used for longest."""
        old = self._frames.pop(index, None)
        self._bytes += pixels.nbytes - (0 if old is None else old.nbytes)
        self._frames[index] = pixels
        while self._bytes > self._most and len(self._frames) > 1:
            _, dropped = self._frames.popitem(last=False)
            self._bytes -= dropped.nbytes


class RandomAccess:
    """Any frame of a medium as a display shows it. Used by one thread at a time.

    Args:
        info: the medium.
        space: OpenColorIO name of its colour space, where its tags cannot say.
        most_bytes: memory for frames.
    """

    def __init__(self, info: MediaInfo, space: str | None = None, most_bytes: int = 256 << 20) -> None:
        from julnet_plugin.media.colour import DisplayTransform

        self.info = info
        self._transform = DisplayTransform(info, space)
        self._cache = FrameCache(most_bytes)
        self._running: Iterator[PlateFrame] | None = None
        self._next = -1  # the frame that `_running` gives next

    def frame(self, index: int) -> Pixels:
        """One frame.

        Shape:
            return: (H, W, 3) display-referred RGB. Do not write to it.

        Raises:
            MediaError: it cannot be decoded.
            TimeRangeError: there is no such frame.
        """
        if not 0 <= index < self.info.frame_count:
            message = f"there is no frame {index} in {self.info.path.name}, which has {self.info.frame_count}"
            raise TimeRangeError(message, requested=index, available=self.info.frame_count)
        found = self._cache.get(index)
        if found is not None:
            return found
        if self._running is None or not self._next <= index < self._next + _AHEAD:
            stepped_back = self._running is not None and self._next - _AHEAD <= index < self._next
            self._seek(max(0, index - _BEHIND) if stepped_back else index)
        return self._run_to(index)

    def close(self) -> None:
        """Close the file."""
        running, self._running = self._running, None
        if running is not None:
            with contextlib.suppress(AttributeError):
                running.close()  # type: ignore[attr-defined]

    def _seek(self, start: int) -> None:
        from julnet_plugin.media.reader import PlateReader

        self.close()
        self._running = PlateReader(self.info).frames(FrameRange(start=start, stop=self.info.frame_count))
        self._next = start

    def _run_to(self, index: int) -> Pixels:
        assert self._running is not None
        try:
            for frame in self._running:
                pixels = np.ascontiguousarray(self._transform.to_preview(frame.rgb))
                self._cache.put(frame.index, pixels)
                self._next = frame.index + 1
                if frame.index == index:
                    return pixels
        except BaseException:
            self.close()  # a decoder that failed cannot go on
            raise
        raise IndexError(index)
