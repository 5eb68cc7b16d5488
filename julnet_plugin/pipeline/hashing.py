"""Content hashes of inputs: two jobs are the same when their bytes are, wherever the files lie."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from julnet_plugin.errors import MediaError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from julnet_plugin.types import MediaInfo


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal; the file is streamed.

    Raises:
        MediaError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as exc:
        raise MediaError(f"{path} cannot be read ({exc.strerror or exc}): check the file and try again", path) from exc


def files_hash(paths: Iterable[Path]) -> str:
    """SHA-256 over the hashes of several files, in order."""
    total = hashlib.sha256()
    for path in paths:
        total.update(file_hash(path).encode("ascii") + b"\n")
    return total.hexdigest()


def plate_hash(info: MediaInfo) -> str:
    """Content hash of a plate: of the movie, or over all files of the sequence."""
    if info.kind == "movie":
        return file_hash(info.path)
    from julnet_plugin.media.sequence import frame_path

    return files_hash(frame_path(info, index) for index in range(info.frame_count))
