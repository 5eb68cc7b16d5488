"""Whether an EXR file is all there, from its offset table alone.

The library finds out, too, but prints what it finds to stdout, which belongs to `--json`, before it raises.

Source:
    OpenEXR File Layout, openexr.com: header attributes, line offset table, scan-line chunks.
"""

from __future__ import annotations

import math
import struct
from pathlib import Path

from julnet_plugin.errors import MediaError

_MAGIC = 20000630
_NOT_PLAIN = 0x200 | 0x800 | 0x1000  #: tiled, deep and multi-part files are laid out in other ways
_LINES_PER_CHUNK = {0: 1, 1: 1, 2: 1, 3: 16, 4: 32, 5: 16, 6: 32, 7: 32, 8: 32, 9: 256}  #: by compression number
_HEADER_LIMIT = 1 << 20


def refuse_cut_exr(path: Path) -> None:
    """Refuse a single-part scan-line file that ends before its last chunk, or whose writing was interrupted.

    Other layouts pass: the library judges them.

    Raises:
        MediaError: the file is no EXR, or pixels are missing.
    """
    with path.open("rb") as file:
        head = file.read(_HEADER_LIMIT)
    if len(head) < 8 or struct.unpack_from("<I", head)[0] != _MAGIC:
        msg = f"{path.name} is not an OpenEXR file; render or copy it again"
        raise MediaError(msg, path)
    if struct.unpack_from("<I", head, 4)[0] & _NOT_PLAIN:
        return
    try:
        attributes, table_at = _attributes(head)
        compression = attributes["compression"][0]
        _, top, _, bottom = struct.unpack("<4i", attributes["dataWindow"])
        lines = _LINES_PER_CHUNK.get(compression)
        if lines is None:
            return
        count = math.ceil((bottom - top + 1) / lines)
        whole = _chunks_are_there(path, head, table_at, count)
    except (struct.error, ValueError, IndexError, KeyError):
        whole = False
    if not whole:
        msg = f"{path.name} is cut off or was never finished; render or copy it again"
        raise MediaError(msg, path)


def _attributes(head: bytes) -> tuple[dict[str, bytes], int]:
    """The header's attributes by name, and where the offset table begins."""
    found, at = {}, 8
    while head[at]:
        name_end = head.index(b"\0", at)
        type_end = head.index(b"\0", name_end + 1)
        (size,) = struct.unpack_from("<i", head, type_end + 1)
        value_at = type_end + 5
        found[head[at:name_end].decode("latin-1")] = head[value_at : value_at + size]
        at = value_at + size
    return found, at + 1


def _chunks_are_there(path: Path, head: bytes, table_at: int, count: int) -> bool:
    """Whether every chunk has a place and the last one ends inside the file."""
    size = path.stat().st_size
    if table_at + 8 * count > min(size, len(head)):
        return size > len(head)  # a header beyond our limit: for the library to judge
    offsets: tuple[int, ...] = struct.unpack_from(f"<{count}Q", head, table_at)
    last = max(offsets)
    if min(offsets) < table_at or last + 8 > size:
        return False
    with path.open("rb") as file:
        file.seek(last)
        length = int(struct.unpack("<ii", file.read(8))[1])
    return 0 <= length <= size - last - 8
