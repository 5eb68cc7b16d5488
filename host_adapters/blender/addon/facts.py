# SPDX-License-Identifier: GPL-3.0-or-later
"""What Blender does not say of a QuickTime or MP4 file: frames, start timecode, reel; and paths for Blender.

Only the sample tables are read; anything that is not as expected gives None, never an error.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import BinaryIO

from host_adapters.values import dataclass

_CONTAINERS = (b"moov", b"trak", b"mdia", b"minf", b"stbl")
_MOST_INDEX = 64 * 1024 * 1024  #: bytes of a `moov` that is worth reading
_DROP_FRAME = 1
_TIMECODE_ENTRY = 34  #: bytes of a timecode's sample description before its boxes


@dataclass(frozen=True)
class MovieFacts:
    """What a file says of itself; None = it does not."""

    frames: int | None = None
    timecode: str | None = None
    reel: str | None = None


def movie_facts(path: str) -> MovieFacts:
    """Read a file's own account of its frames, its start timecode and its reel."""
    try:
        with open(path, "rb") as file:
            moov = _index(file)
            tracks = [dict(_leaves(body)) for name, body in _boxes(moov) if name == b"trak"]
            kinds = {track[b"hdlr"][8:12]: track for track in reversed(tracks) if b"hdlr" in track}
            frames = _sample_count(kinds[b"vide"]) if b"vide" in kinds else None
            if b"tmcd" not in kinds:
                return MovieFacts(frames)
            return MovieFacts(frames, _timecode(kinds[b"tmcd"], file), _reel(kinds[b"tmcd"]))
    except (OSError, struct.error, IndexError, KeyError, ValueError, ZeroDivisionError):
        return MovieFacts()


def outside_path(path: str, windows: bool = os.name == "nt") -> str:
    """A path of the system as Blender takes it: there "//" means the project's folder, not a network share."""
    if not path.startswith("//"):
        return path
    return path.replace("/", "\\") if windows else "/" + path.lstrip("/")


def label(number: int, base: int, drop_frame: bool) -> str:
    """The timecode of a frame number: base frames a second; drop-frame skips labels, not frames."""
    if drop_frame:
        skipped = base // 15
        tens, rest = divmod(number, base * 600 - 9 * skipped)
        number += 9 * skipped * tens + skipped * max((rest - skipped) // (base * 60 - skipped), 0)
    seconds, frames = divmod(number, base)
    separator = ";" if drop_frame else ":"
    return f"{seconds // 3600 % 24:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{separator}{frames:02d}"


def _index(file: BinaryIO) -> bytes:
    """The body of the `moov` box."""
    file.seek(0)
    while header := file.read(8):
        size, name = struct.unpack(">I4s", header)
        passed = 8
        if size == 1:
            size, passed = struct.unpack(">Q", file.read(8))[0], 16
        if name == b"moov":
            if size > _MOST_INDEX:
                raise ValueError("too large")
            return file.read(size - passed)
        if size < passed:
            raise ValueError("no index")
        file.seek(size - passed, 1)
    raise ValueError("no index")


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = 0
    while place + 8 <= len(data):
        size, name = struct.unpack_from(">I4s", data, place)
        if size < 8:
            return
        yield name, data[place + 8 : place + size]
        place += size


def _leaves(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    for name, body in _boxes(data):
        if name in _CONTAINERS:
            found = list(_leaves(body))
            # `minf` has a handler of its own, which is not the track's
            yield from (leaf for leaf in found if not (name == b"minf" and leaf[0] == b"hdlr"))
        else:
            yield name, body


def _sample_count(track: dict[bytes, bytes]) -> int:
    return int(struct.unpack_from(">I", track[b"stsz"], 8)[0])


def _timecode(track: dict[bytes, bytes], file: BinaryIO) -> str:
    """The label in the first sample of a timecode track."""
    entry = track[b"stsd"][8:]
    flags, _scale, _duration, base = struct.unpack_from(">IIIB", entry, 20)
    table, layout = (b"co64", ">Q") if b"co64" in track else (b"stco", ">I")
    file.seek(struct.unpack_from(layout, track[table], 8)[0])
    (number,) = struct.unpack(">I", file.read(4))
    return label(number, base, bool(flags & _DROP_FRAME))


def _reel(track: dict[bytes, bytes]) -> str | None:
    """The name in a timecode track's sample description; QuickTime writes a text's length and language before it."""
    entry = track[b"stsd"][8:]
    name = dict(_boxes(entry[_TIMECODE_ENTRY : struct.unpack_from(">I", entry)[0]])).get(b"name", b"")
    return name[4 : 4 + int.from_bytes(name[:2], "big")].decode("utf-8", "replace").strip("\0 ") or None
