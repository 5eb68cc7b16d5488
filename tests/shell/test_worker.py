"""The worker answers, cancels, and survives whatever a host sends."""

from __future__ import annotations

import io
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from julnet_plugin import hookimpl
from julnet_plugin.jobs import JOBS, QUICK
from julnet_plugin.manager import Manager
from julnet_plugin.types import ProgressFn, RedubRequest, Take
from julnet_plugin.worker import MAX_LINE, Worker

WorkerProcess = Any


def redub(request_id: object, take: Path | str, frames: int = 3, **more: object) -> dict[str, Any]:
    """A render of so many frames of 10 ms by the fake effect."""
    request = {"plate": "p.mov", "dub": "d.wav", "take_dir": str(take), "refs": str(frames), **more}
    return {"id": request_id, "verb": "redub", "request": request}


def serve(manager: Manager, *lines: object, finish: bool = True) -> list[dict[str, Any]]:
    """Events of a worker in this process that is sent these lines and then the end."""
    sent = b"".join(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n" for line in lines)
    answers = io.StringIO()
    assert Worker(manager, io.BytesIO(sent), answers, finish=finish).serve()
    return [json.loads(line) for line in answers.getvalue().splitlines()]


def test_a_render_reports_progress_and_its_take(worker: WorkerProcess, tmp_path: Path) -> None:
    worker.send(redub(7, tmp_path / "take"))
    events = worker.until(7)
    assert events[0] == {"event": "progress", "id": 7, "stage": "render", "done": 1, "total": 3}
    assert events[-1]["event"] == "result"
    assert events[-1]["take"] == str(tmp_path / "take" / "take.json")
    assert events[-1]["files"] == {"prores": "dub.mov"}


def test_a_running_render_stops_when_it_is_cancelled(worker: WorkerProcess, tmp_path: Path) -> None:
    worker.send(redub("long", tmp_path / "take", frames=100000))
    assert worker.event()["event"] == "progress"
    worker.send({"id": 2, "verb": "cancel", "job": "long"})
    assert worker.until(2)[-1] == {"event": "result", "id": 2, "cancelled": True}
    last = worker.until("long")[-1]
    assert (last["type"], last["exit_code"]) == ("RedubCancelled", 130)
    worker.send(redub("next", tmp_path / "next"))
    assert worker.until("next")[-1]["event"] == "result"


def test_a_waiting_render_is_cancelled_at_once_and_never_starts(worker: WorkerProcess, tmp_path: Path) -> None:
    worker.send(redub("first", tmp_path / "first", frames=100000), redub("second", tmp_path / "second"))
    worker.send({"id": 3, "verb": "cancel", "job": "second"})
    assert worker.until("second")[-1]["type"] == "RedubCancelled"
    worker.send({"id": 4, "verb": "ping"})
    assert worker.until(4)[-1]["jobs"] == ["first"]
    assert not (tmp_path / "second").exists()


def test_the_worker_answers_while_it_renders(worker: WorkerProcess, tmp_path: Path) -> None:
    worker.send(redub("long", tmp_path / "take", frames=100000))
    worker.event()
    worker.send({"id": 5, "verb": "probe", "media": "none.mov"})
    assert "none.mov" in worker.until(5)[-1]["message"]
    worker.send({"id": 6, "verb": "ping"})
    assert worker.until(6)[-1]["jobs"] == ["long"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("this is no JSON", "not JSON"),
        ("[1, 2]", "no object"),
        ("null", "no object"),
        ("{}", "needs an id"),
        ('{"id": true, "verb": "ping"}', "needs an id"),
        ('{"id": 1}', "there is no verb None"),
        ('{"id": 1, "verb": "rm"}', "there is no verb 'rm'; the worker knows redub"),
        ('{"id": 1, "verb": ["redub"]}', "there is no verb"),
        ('{"id": 1, "verb": "redub"}', "request is None, but an object is needed"),
        ('{"id": 1, "verb": "redub", "request": {"plate": "p"}}', "lacks dub, take_dir"),
        ('{"id": 1, "verb": "redub", "request": {"plat": "p"}}', "did you mean plate?"),
        ('{"id": 1, "verb": "probe", "media": 3}', "a path is needed"),
        ('{"id": 1, "verb": "probe", "media": "none.mov"}', "none.mov"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_a_bad_line_is_an_error_event_and_nothing_more(manager: Manager, line: str, words: str) -> None:
    events = serve(manager, line.encode() + b"\n", {"id": 99, "verb": "ping"})
    (error,) = [event for event in events if event["event"] == "error"]
    assert words in error["message"]
    assert error["exit_code"] == 2
    assert any(event.get("id") == 99 and event["pong"] for event in events if event["event"] == "result")


def test_bytes_that_are_no_text_and_lines_without_end_are_survived(manager: Manager) -> None:
    long = b'{"id": 1, "verb": "' + b"x" * (2 * MAX_LINE) + b'"}\n'
    events = serve(manager, b"\xff\xfe\n", b"\n", long, {"id": 2, "verb": "ping"})
    assert [event["event"] for event in events] == ["ready", "error", "error", "result"]
    assert "UTF-8" in events[1]["message"]
    assert "MiB" in events[2]["message"]


@pytest.mark.parametrize("error", [RuntimeError("a bug"), SystemExit(1), KeyboardInterrupt(), MemoryError()])
def test_an_effect_that_breaks_costs_only_its_own_job(effect: Any, error: BaseException) -> None:
    manager = Manager()
    manager.register(effect, "fake", builtin=True)
    effect.error = error
    events = serve(manager, redub(1, "one"), redub(2, "two"))
    assert [event["id"] for event in events if event["event"] == "error"] == [1, 2]


@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
def test_memory_that_a_job_freed_goes_back_to_the_system(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    def held_mib() -> int:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") >> 20

    peak: list[int] = []

    def hungry(job: Any, manager: Manager) -> dict[str, Any]:
        pieces = [b"x" * (100_000 + k) for k in range(2000)]  # each too small to be mapped for itself
        keep = pieces[::200]
        peak.append(held_mib())
        job.values["kept"].append(keep)
        return {}

    kept: list[Any] = []
    monkeypatch.setitem(JOBS, "hungry", hungry)
    monkeypatch.setattr("julnet_plugin.worker._parse", lambda line: json.loads(line) | {"kept": kept})
    serve(manager, {"id": 1, "verb": "hungry"})
    assert held_mib() < peak[0] - 100


def test_an_id_in_use_is_refused(worker: WorkerProcess, tmp_path: Path) -> None:
    worker.send(redub(1, tmp_path / "a", frames=100000), redub(1, tmp_path / "b"))
    assert "use each id once" in worker.until(1)[-1]["message"]


def test_cancelling_what_is_not_there_says_so(manager: Manager) -> None:
    assert serve(manager, {"id": 1, "verb": "cancel", "job": 5})[-1]["cancelled"] is False
    assert serve(manager, {"id": 1, "verb": "cancel", "job": [5]})[-1]["cancelled"] is False


def test_shutdown_stops_what_runs_and_is_answered_last(worker: WorkerProcess, tmp_path: Path) -> None:
    worker.send(redub("long", tmp_path / "take", frames=100000))
    worker.event()
    worker.send({"id": 2, "verb": "shutdown"})
    assert worker.until("long")[-1]["type"] == "RedubCancelled"
    assert worker.event() == {"event": "result", "id": 2}
    assert worker.process.wait(timeout=20) == 0


def test_a_host_that_dies_takes_its_render_along(worker: WorkerProcess, tmp_path: Path) -> None:
    worker.send(redub("long", tmp_path / "take", frames=100000))
    worker.event()
    worker.process.stdin.close()
    assert worker.process.wait(timeout=20) == 0
    assert not (tmp_path / "take").exists()


def test_a_host_that_stops_reading_takes_its_render_along(worker: WorkerProcess, tmp_path: Path) -> None:
    worker.send(redub("long", tmp_path / "take", frames=100000))
    worker.event()
    worker.process.stdout.close()
    time.sleep(0.3)
    worker.process.stdin.close()
    assert worker.process.wait(timeout=20) == 0


def test_finish_renders_what_was_asked_for_after_the_end_of_input(manager: Manager, effect: Any) -> None:
    events = serve(manager, redub(1, "one"), redub(2, "two"), finish=True)
    assert [event["id"] for event in events if event["event"] == "result"] == [1, 2]
    assert [request.take_dir for request in effect.requests] == [Path("one"), Path("two")]


class Slow:
    """An effect that waits for a signal at every frame."""

    def __init__(self) -> None:
        self.running = threading.Event()

    @hookimpl
    def julnet_redub_clip(self, request: RedubRequest, progress: ProgressFn) -> Take:
        self.running.set()
        while True:
            progress("render", 0, 10)
            time.sleep(0.005)


def test_without_finish_the_end_of_input_cancels() -> None:
    manager = Manager()
    manager.register(Slow(), "slow")
    events = serve(manager, redub(1, "one"), redub(2, "two"), finish=False)
    errors = {event["id"]: event["type"] for event in events if event["event"] == "error"}
    assert errors == {1: "RedubCancelled", 2: "RedubCancelled"}


def test_progress_is_sent_at_most_ten_times_a_second(manager: Manager) -> None:
    class Quick:
        @hookimpl(tryfirst=True)
        def julnet_redub_clip(self, request: RedubRequest, progress: ProgressFn) -> Take:
            for done in range(1000):
                progress("render", done + 1, 1000)
            return Take(path=request.take_dir, manifest={"files": {}})

    manager.register(Quick(), "quick")
    progress = [event for event in serve(manager, redub(1, "take")) if event["event"] == "progress"]
    assert progress[0]["done"] == 1
    assert progress[-1]["done"] == 1000
    assert len(progress) < 20


def test_every_verb_of_the_worker_is_in_the_docs() -> None:
    page = (Path(__file__).parents[2] / "docs" / "pipeline.md").read_text("utf-8")
    for verb in (*JOBS, "ping", "cancel", "shutdown"):
        assert f'"verb": "{verb}"' in page, verb
    assert set(JOBS) >= QUICK


def test_a_library_that_prints_does_not_disturb_the_protocol(worker: WorkerProcess, tmp_path: Path) -> None:
    worker.send(redub(1, tmp_path / "take"))
    assert all("event" in event for event in worker.until(1))
    assert "a library that prints" in (tmp_path / "worker.log").read_text()
