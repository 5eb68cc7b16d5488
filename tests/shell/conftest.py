"""A manager of its own for every test, and effects that need no media."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from julnet_plugin import hookimpl
from julnet_plugin.cli import main
from julnet_plugin.manager import BUILT_INS, Manager
from julnet_plugin.types import ProgressFn, RedubRequest, Take

FAKE_EFFECT = """
import time
from pathlib import Path
from julnet_plugin import Take, hookimpl

@hookimpl
def julnet_redub_clip(request, progress):
    print("a library that prints")
    frames = int(request.refs) if request.refs.isdigit() else 3
    for done in range(1, frames + 1):
        progress("render", done, frames)
        time.sleep(0.01)
    request.take_dir.mkdir()
    return Take(path=request.take_dir, manifest={"files": {"prores": "dub.mov"}, "warnings": []})
"""


class FakeEffect:
    """An effect that renders nothing: remembers requests, or raises what it is told to."""

    def __init__(self) -> None:
        self.requests: list[RedubRequest] = []
        self.error: BaseException | None = None

    @hookimpl
    def julnet_redub_clip(self, request: RedubRequest, progress: ProgressFn | None) -> Take:
        self.requests.append(request)
        if progress is not None:
            progress("render", 1, 2)
            progress("render", 2, 2)
        if self.error is not None:
            raise self.error
        return Take(path=request.take_dir, manifest={"files": {"prores": "dub.mov"}, "warnings": ["small face"]})


@dataclass
class Run:
    """What one `main` gave."""

    code: int
    out: str
    err: str

    @property
    def events(self) -> list[dict[str, Any]]:
        """Standard output, which must be JSON lines and nothing else."""
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture
def effect() -> FakeEffect:
    return FakeEffect()


@pytest.fixture
def manager(effect: FakeEffect) -> Manager:
    manager = Manager(BUILT_INS)
    assert manager.register(effect, "fake")
    return manager


@pytest.fixture
def julnet(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Run]:
    """`julnet ARGUMENT…` in this process, with the fake effect in the built-in one's place."""

    def run(*arguments: object) -> Run:
        out, err = io.StringIO(), io.StringIO()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", err)
            code = main([str(argument) for argument in arguments], manager)
        return Run(code, out.getvalue(), err.getvalue())

    return run


@pytest.fixture
def plugin_path(tmp_path: Path) -> Path:
    """A folder for PYTHONPATH with an installed distribution whose plugin is a fake effect."""
    folder = tmp_path / "site"
    info = folder / "julnet_fake-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "julnet_fake.py").write_text(FAKE_EFFECT)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: julnet-fake\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[julnet]\nfake = julnet_fake\n")
    return folder


@pytest.fixture
def environment(plugin_path: Path) -> dict[str, str]:
    """Environment of a child process that has the fake effect installed."""
    root = Path(__file__).parents[2]
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(plugin_path), str(root)]), "OMP_NUM_THREADS": "1"}


@dataclass
class WorkerProcess:
    """A running `julnet worker`."""

    process: subprocess.Popen[str]

    def send(self, *lines: object) -> None:
        assert self.process.stdin is not None
        for line in lines:
            self.process.stdin.write((line if isinstance(line, str) else json.dumps(line)) + "\n")
        self.process.stdin.flush()

    def event(self) -> dict[str, Any]:
        """The next line."""
        assert self.process.stdout is not None
        values = json.loads(self.process.stdout.readline())
        assert isinstance(values, dict)
        return values

    def until(self, request_id: object) -> list[dict[str, Any]]:
        """All events of one request up to its last one; those of others are passed over."""
        events: list[dict[str, Any]] = []
        while not events or events[-1]["event"] not in ("result", "error"):
            event = self.event()
            events += [event] if event.get("id") == request_id else []
        return events


@pytest.fixture
def worker(environment: dict[str, str], tmp_path: Path) -> Iterator[WorkerProcess]:
    with (
        (tmp_path / "worker.log").open("w") as log,
        subprocess.Popen(
            [sys.executable, "-m", "julnet_plugin", "worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            encoding="utf-8",
            env=environment,
            cwd=tmp_path,
        ) as process,
    ):
        running = WorkerProcess(process)
        assert running.event()["event"] == "ready"
        yield running
        process.kill()
