"""Memory of processes that live long and work now and then."""

from __future__ import annotations

import contextlib
import ctypes
import sys

_M_ARENA_MAX = -8  #: of glibc's <malloc.h>
_ARENAS = 2


def give_back_memory() -> None:
    """Hand what was freed back to the system, where the C library keeps it: about 100 MiB after a render with threads.

    A worker waits for hours between renders, and an editor sees many projects, beside programs that need the memory.
    """
    if sys.platform != "linux":
        return
    with contextlib.suppress(OSError, AttributeError):  # another C library than glibc
        ctypes.CDLL(None).malloc_trim(0)


def share_arenas() -> bool:
    """Have all threads take memory from the same two heaps. Call it when a process starts; whether it was done.

    glibc gives new threads heaps of their own, up to eight a core, and each keeps some of what its threads freed: an
    editor, whose windows and projects come with new threads, would grow by several MiB with each of them until all of
    those heaps are in use.
    """
    if sys.platform != "linux":
        return False
    try:
        return bool(ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS))
    except (OSError, AttributeError):  # another C library than glibc
        return False
