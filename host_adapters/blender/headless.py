"""A Blender project without a window, from any Python: Blender runs as a child and keeps its licence and its NumPy.

Example::

    with HeadlessBlender(find_blender()) as blender:
        session = blender.open("cut.blend")
        print(session.list_clips())
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from host_adapters.base import (
    ClipRef,
    FinishedTake,
    HostGone,
    HostProblem,
    HostSession,
    MatteFile,
    MatteRef,
    RecordRange,
    Span,
    TakeRef,
)
from host_adapters.blender.wire import PROBLEMS, from_plain, to_plain

PYTHON_VARIABLE = "JULNET_BPY_PYTHON"  #: a Python that has `bpy`
ROOT = Path(__file__).parents[2]
DEFAULT = ROOT / ".venv-blender" / "bin" / "python"  #: where `make blender` puts it
_SERVER = ("-m", "host_adapters.blender.addon.serve")


def find_blender() -> Path | None:
    """The Python that has Blender as a module; None where there is none.

    It is named by the variable JULNET_BPY_PYTHON, or lies where `make blender` makes it.
    """
    named = os.environ.get(PYTHON_VARIABLE)
    candidates = [Path(named)] if named else [DEFAULT]
    return next((path for path in candidates if path.is_file()), None)


class HeadlessBlender:
    """One Blender process.

    Args:
        python: a Python that has `bpy`.
    """

    def __init__(self, python: Path) -> None:
        self._log = tempfile.TemporaryFile(mode="w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - see close
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}
        self._process = subprocess.Popen(
            [str(python), *_SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            encoding="utf-8",
            env=environment,
        )

    def __enter__(self) -> HeadlessBlender:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()

    def ask(self, method: str, *values: Any) -> Any:
        """Ask Blender to do something.

        Raises:
            HostProblem: it will not; the class says why.
            HostGone: Blender is not there any more.
        """
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        line = ""
        with contextlib.suppress(OSError, ValueError):
            process.stdin.write(json.dumps({"method": method, "values": [to_plain(value) for value in values]}) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        if not line:
            raise HostGone(f"Blender ended while it was asked to {method}; start it again ({self.log[-300:].strip()})")
        answer = json.loads(line)
        if "problem" in answer:
            raise PROBLEMS.get(answer["problem"], HostProblem)(answer["message"])
        return from_plain(answer["result"])

    def open(self, path: str, scene: str | None = None) -> HeadlessSession:
        """Open a project."""
        self.ask("open", path, scene)
        return HeadlessSession(self)

    @property
    def log(self) -> str:
        """What Blender has printed."""
        place = self._log.tell()
        self._log.seek(0)
        text = self._log.read()
        self._log.seek(place)
        return text

    def close(self) -> None:
        """End the process."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()


class HeadlessSession(HostSession):
    """The contract, answered by the session inside Blender."""

    name = "blender"
    plays_sound = True

    def __init__(self, blender: HeadlessBlender) -> None:
        self._blender = blender

    def list_clips(self) -> list[ClipRef]:
        """See `HostSession`."""
        return cast("list[ClipRef]", self._blender.ask("list_clips"))

    def selection(self) -> list[ClipRef]:
        """See `HostSession`."""
        return cast("list[ClipRef]", self._blender.ask("selection"))

    def place_take(self, clip: ClipRef, take: FinishedTake) -> TakeRef:
        """See `HostSession`."""
        return cast("TakeRef", self._blender.ask("place_take", clip, take))

    def takes(self, clip: ClipRef) -> list[TakeRef]:
        """See `HostSession`."""
        return cast("list[TakeRef]", self._blender.ask("takes", clip))

    def select_take(self, clip: ClipRef, take: TakeRef | None) -> None:
        """See `HostSession`."""
        self._blender.ask("select_take", clip, take)

    def attach_matte(self, take: TakeRef, matte: MatteFile) -> MatteRef:
        """See `HostSession`."""
        return cast("MatteRef", self._blender.ask("attach_matte", take, matte))

    def matte(self, take: TakeRef) -> MatteRef | None:
        """See `HostSession`."""
        return cast("MatteRef | None", self._blender.ask("matte", take))

    def read_matte(self, matte: MatteRef) -> str:
        """See `HostSession`."""
        return str(self._blender.ask("read_matte", matte))

    def mark(self, clip: ClipRef, spans: Sequence[Span]) -> None:
        """See `HostSession`."""
        self._blender.ask("mark", clip, list(spans))

    def marks(self, clip: ClipRef) -> list[Span]:
        """See `HostSession`."""
        return cast("list[Span]", self._blender.ask("marks", clip))

    def render(self, frames: RecordRange, out: str) -> str:
        """See `HostSession`."""
        return str(self._blender.ask("render", frames, out))

    def undo(self) -> None:
        """See `HostSession`."""
        self._blender.ask("undo")

    def save(self) -> None:
        """See `HostSession`."""
        self._blender.ask("save")
