"""What other people's exceptions mean: the one table that turns them into JULNet's own, with a sentence and advice.

Rooms map what they can name better themselves (a codec's error at the file that has it). This is the net under them, so
that a caller of `redub` sees no other exception than those of `errors`.
"""

from __future__ import annotations

import errno
import os
import re
import sys
from typing import TYPE_CHECKING

from julnet_plugin.errors import (
    CheckpointError,
    DeviceError,
    JulnetError,
    MediaError,
    ModelError,
    SettingsError,
    TakeError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_PERMISSION = "you may not read or write it: change its permissions or choose another place"
_GONE = "the storage it lies on went away: when it is back, repeat with --resume"
_ADVICE = {
    "ENOSPC": "the disk is full: free some space, then repeat with --resume",
    "EDQUOT": "your disk quota is used up: free some space, then repeat with --resume",
    "EROFS": "the disk is read-only: choose another output",
    "EACCES": _PERMISSION,
    "EPERM": _PERMISSION,
    "EFBIG": "the file system cannot hold a file that large: choose another output",
    "ENAMETOOLONG": "the name is too long for this file system: choose a shorter output",
    "EIO": "the disk reports an error: check it, then repeat with --resume",
    "ESTALE": _GONE,
    "ETIMEDOUT": _GONE,
    "EHOSTDOWN": _GONE,
    "ENOTCONN": _GONE,
    "ENODEV": _GONE,
    "EMFILE": "too many files are open: close other programs or raise the limit (ulimit -n)",
}
#: By errno, as far as this system knows them: what went wrong, in words, and what to do.
_OS_ADVICE = {getattr(errno, name): advice for name, advice in _ADVICE.items() if hasattr(errno, name)}


def translated(exc: BaseException) -> JulnetError | None:
    """The JULNet error that a foreign exception means; None where nobody can say.

    `JulnetError` comes back as it is. The caller raises the answer `from` the original.
    """
    if isinstance(exc, JulnetError):
        return exc
    for kind, translate in _table(exc):
        if isinstance(exc, kind):
            return translate(exc)
    return None


def _table(exc: BaseException) -> list[tuple[type[BaseException], Callable[[BaseException], JulnetError]]]:
    """Exceptions in the order they are tried. A library that was never imported cannot have raised anything."""
    rows: list[tuple[type[BaseException], Callable[[BaseException], JulnetError]]] = []
    for module, name, translate in _LIBRARIES:
        kind = getattr(sys.modules.get(module), name, None)
        if isinstance(kind, type) and issubclass(kind, BaseException):
            rows.append((kind, translate))
    if type(exc).__module__.partition(".")[0] == "onnxruntime":  # its exceptions share no base
        rows.append((Exception, _runtime_engine))
    return [*rows, (MemoryError, _memory), (UnicodeError, _text), (ImportError, _library), (OSError, _system)]


def _system(exc: BaseException) -> JulnetError:
    where = str(getattr(exc, "filename", None) or "") or None
    advice = _OS_ADVICE.get(getattr(exc, "errno", None) or 0)
    reason = advice or f"{getattr(exc, 'strerror', None) or exc}: check that it exists and may be read and written"
    return TakeError(f"{where}: {reason}" if where else reason, where)


def _memory(exc: BaseException) -> JulnetError:
    return ModelError("the machine ran out of memory: close other programs, or repeat with --set render.batch=1")


def _device_memory(exc: BaseException) -> JulnetError:
    return DeviceError(
        "the GPU ran out of memory: close other programs on it, repeat with --set render.batch=1, or with --device cpu",
        "cuda",
    )


def _codec(exc: BaseException) -> JulnetError:
    if getattr(exc, "errno", None) in _OS_ADVICE:
        return _system(exc)
    path = getattr(exc, "filename", None)
    what = getattr(exc, "strerror", None) or str(exc)
    return MediaError(f"{path or 'a media file'} could not be read or written ({what}): convert it and try again", path)


def _sound(exc: BaseException) -> JulnetError:
    return MediaError(f"the dub could not be read ({exc}): convert it to WAV and try again")


def _runtime_engine(exc: BaseException) -> JulnetError:
    return ModelError(f"ONNX Runtime refused the model ({exc}): use the torch engine, or export the model again")


#: How safetensors, which is written in Rust, tells what the system told it.
_SYSTEM = re.compile(r"\(os error (?P<errno>\d+)\)(?: at path \"(?P<path>[^\"]+)\")?")


def _weights(exc: BaseException) -> JulnetError:
    if (told := _SYSTEM.search(str(exc))) is not None:  # a full disk does not damage what is on it
        number = int(told["errno"])
        return _system(OSError(number, os.strerror(number), told["path"]))
    return CheckpointError(f"a weights file is damaged ({exc}): get it again")


def _library(exc: BaseException) -> JulnetError:
    return ModelError(f"a library that JULNet needs does not load ({exc}): julnet doctor says which and what to do")


def _text(exc: BaseException) -> JulnetError:
    return SettingsError(f"a text file is not UTF-8 ({exc}): save it as UTF-8")


#: (module, exception, translation), most special first.
_LIBRARIES: tuple[tuple[str, str, Callable[[BaseException], JulnetError]], ...] = (
    ("torch", "OutOfMemoryError", _device_memory),
    ("av.error", "FFmpegError", _codec),
    ("soundfile", "SoundFileError", _sound),
    ("safetensors", "SafetensorError", _weights),
)
