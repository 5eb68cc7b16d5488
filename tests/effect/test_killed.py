"""A render that is killed without warning."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from julnet_plugin.types import Take

SCRIPT = textwrap.dedent("""
    import os, signal, sys
    from pathlib import Path
    from julnet_plugin import RedubRequest, redub

    plate, dub, take, model, stage, calls = sys.argv[1:]
    left = int(calls)

    def progress(name, done, total):
        global left
        left -= name == stage
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    settings = {"render.chunk_frames": 7, "render.threads": 1}
    redub(RedubRequest(plate=Path(plate), dub=Path(dub), take_dir=Path(take), model=model, device="cpu",
                       deliver=("h264", "png"), settings=settings, resume=True), progress)
""")


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_a_killed_render_resumes_to_the_same_bytes(
    render: Callable[..., Take],
    tmp_path: Path,
    plate: Path,
    line: Path,
    tiny_model: Path,
    contents: Callable[[Path], dict[str, str]],
) -> None:
    for stage, calls in (("render", 10), ("deliver", 16)):
        command = [str(x) for x in (plate, line, tmp_path / "take", tiny_model, stage, calls)]
        killed = subprocess.run([sys.executable, "-c", SCRIPT, *command], check=False, capture_output=True)
        assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
        assert not (tmp_path / "take").exists()
    made = render(tmp_path / "take", deliver=("h264", "png"), resume=True)
    assert contents(made.path) == contents(render(tmp_path / "whole", deliver=("h264", "png")).path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["take", "whole"]
