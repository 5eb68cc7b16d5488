"""Memory of processes that live long and work now and then."""

from __future__ import annotations

import contextlib
import ctypes
import sys


def give_back_memory() -> None:
    """Hand what was freed back to the system, where the C library keeps it: about 100 MiB after a render with threads.

    A worker waits for hours between renders, and an editor sees many projects, beside programs that need the memory.
    """
    if sys.platform != "linux":
        return
    with contextlib.suppress(OSError, AttributeError):  # another C library than glibc
        ctypes.CDLL(None).malloc_trim(0)
