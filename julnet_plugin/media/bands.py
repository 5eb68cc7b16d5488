"""ProRes frames that are blank but for a few rows: only those rows are encoded.

A ProRes frame is a list of slices, 16 rows high, none of which knows of another, and with a fixed quantiser none shares
bits with another either. So the slices of a frame's changed rows are encoded as a small picture of their own and put
among those of the blank frame, and the frame is the one that the encoder would have made of the whole picture.

Source:
    SMPTE RDD 36:2022, 5.1 to 5.3: frame header, picture header with the table of slice sizes, slices.
"""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    import av

    from julnet_plugin.media.packets import Codec

_ROWS = 16  #: pixels of a row of slices
_STEP = 4  #: bands are whole multiples of this many rows of slices, so that a few encoders do for all
_FRAME = struct.Struct(">I4sH")  #: size, "icpf", size of the header that follows
_PICTURE = struct.Struct(">BIHB")  #: size of this header times 8, size of the picture, count of slices, slice shape


class BandEncoder:
    """Encodes pictures of which all but a band of rows is blank.

    Args:
        codec: of the whole picture: 4:2:2 ProRes, progressive, with a fixed quantiser.
        blank: makes a blank picture of a number of rows.
    """

    def __init__(self, codec: Codec, blank: Callable[[int], av.VideoFrame]) -> None:
        self._codec, self._blank = codec, blank
        self._encoders: dict[int, av.VideoCodecContext] = {}
        self._whole = _Frame(self._encoded(blank(codec.height)))

    def encode(self, top: int, bottom: int, draw: Callable[[av.VideoFrame, int], None]) -> bytes:
        """One packet.

        Args:
            top: first row of pixels that is not blank.
            bottom: the row after the last; none is where it is not below `top`.
            draw: called with a blank band and its first row, to draw in it.
        """
        if bottom <= top:
            return self._whole.data
        rows = -(-self._codec.height // _ROWS)
        count = min(-(-(-(-bottom // _ROWS) - top // _ROWS) // _STEP) * _STEP, rows)
        first = min(top // _ROWS, rows - count)
        band = self._blank(min(count * _ROWS, self._codec.height - first * _ROWS))
        draw(band, first * _ROWS)
        return self._whole.with_rows(first, count, rows, _Frame(self._encoded(band)))

    def _encoded(self, picture: av.VideoFrame) -> bytes:
        """A picture of any height as a packet, by an encoder that is kept for the next of that height."""
        if picture.height not in self._encoders:
            self._encoders[picture.height] = replace(self._codec, height=picture.height, threads=1).encoder()
        self._codec.tag(picture)
        packets = self._encoders[picture.height].encode(picture)
        assert len(packets) == 1  # an intra codec on one thread holds nothing back
        return bytes(packets[0])


class _Frame:
    """A packet taken apart."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        _, magic, header = _FRAME.unpack_from(data)
        assert magic == b"icpf"
        self._picture = 8 + header
        size, _, count, self._shape = _PICTURE.unpack_from(data, self._picture)
        self._table = self._picture + size // 8
        self._sizes = np.frombuffer(data, ">u2", count, self._table)
        #: where each slice begins, and where the last one ends
        self._edges = np.concatenate([[0], np.cumsum(self._sizes, dtype=np.int64)]) + self._table + 2 * count

    def with_rows(self, first: int, count: int, rows: int, other: _Frame) -> bytes:
        """This frame with some rows of slices taken from another, whose rows they all are."""
        a_row = len(self._sizes) // rows
        assert (len(other._sizes), other._shape) == (count * a_row, self._shape)
        before, after = first * a_row, (first + count) * a_row
        sizes = self._sizes[:before].tobytes() + other._sizes.tobytes() + self._sizes[after:].tobytes()
        slices = (
            self.data[self._edges[0] : self._edges[before]]
            + other.data[other._edges[0] : other._edges[-1]]
            + self.data[self._edges[after] : self._edges[-1]]
        )
        fields = list(_PICTURE.unpack_from(self.data, self._picture))
        fields[1] = self._table - self._picture + len(sizes) + len(slices)
        body = self.data[8 : self._picture] + _PICTURE.pack(*fields) + sizes + slices
        return struct.pack(">I", 8 + len(body)) + b"icpf" + body
