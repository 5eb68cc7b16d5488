"""Memory of a process with many threads that come and go."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

HEAPS = """
import ctypes, sys, threading
from julnet_plugin.memory import share_arenas

if sys.argv[1] == "shared":
    assert share_arenas()
ready, kept = threading.Barrier(9), []

def hold() -> None:
    kept.append(bytearray(5000))
    ready.wait()

threads = [threading.Thread(target=hold) for _ in range(8)]
for thread in threads:
    thread.start()
ready.wait()
libc = ctypes.CDLL(None)
libc.fdopen.restype = ctypes.c_void_p
out = ctypes.c_void_p(libc.fdopen(1, b"w"))
libc.malloc_info(0, out)
libc.fflush(out)
"""


def heaps(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", HEAPS, how], check=True, capture_output=True, text=True)
    return done.stdout.count("<heap nr=")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library than glibc")
def test_threads_of_the_editor_take_memory_from_two_heaps_and_not_each_from_its_own() -> None:
    assert heaps("shared") <= 2
    assert heaps("each its own") > 2
