"""Writing so that what has its final name is whole, and so that a full disk becomes one sentence."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

import av

from julnet_plugin.errors import MediaError
from julnet_plugin.media.container import reason

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn whatever goes wrong while a file is written into a `MediaError`.

    Raises:
        MediaError: the disk is full, the folder is not writable, or an encoder refuses.
    """
    try:
        yield
    except (OSError, av.FFmpegError) as exc:
        raise _explained(path, exc, exc.errno) from exc
    except RuntimeError as exc:  # OpenEXR says everything this way
        full = os.strerror(errno.ENOSPC) in str(exc)
        raise _explained(path, exc, errno.ENOSPC if full else None) from exc


def _explained(path: Path, exc: BaseException, code: int | None) -> MediaError:
    if code in _FULL:
        msg = f"the disk is full: {path.name} could not be written; free space in {path.parent} and resume"
    elif code in _FORBIDDEN:
        msg = f"{path.name} cannot be written ({reason(exc)}); check the permissions of {path.parent}"
    else:
        msg = f"{path.name} could not be written: {reason(exc)}"
    return MediaError(msg, path)


@contextlib.contextmanager
def replacing(path: Path, *, flushed: bool = True) -> Iterator[Path]:
    """Give a temporary name beside `path`; when the block ends well, rename it to `path`, else remove it.

    Args:
        path: the final name.
        flushed: have the bytes on the disk before the rename, so that a crash cannot leave an empty file.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    with writing(path):
        try:
            yield temporary
            if flushed:
                flush(temporary)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Have the file's bytes on the disk before anything is said about it."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())
