"""The client of the worker: against a real `julnet worker` where it matters, against small scripts for its deaths."""

from __future__ import annotations

import ast
import os
import queue
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from host_adapters import worker_client
from host_adapters.worker_client import WorkerClient

ROOT = Path(__file__).parents[2]
READY = "import json, os, sys, time\nprint(json.dumps({'event': 'ready', 'protocol': 1}), flush=True)\n"

Make = Callable[[str], WorkerClient]


@pytest.fixture
def scripted(tmp_path: Path) -> Iterator[Make]:
    """A client whose worker is a script."""
    clients: list[WorkerClient] = []

    def make(script: str) -> WorkerClient:
        path = tmp_path / f"worker{len(clients)}.py"
        path.write_text(READY + script)
        clients.append(WorkerClient([sys.executable, "-S", "-E", str(path)]))
        return clients[-1]

    yield make
    for client in clients:
        client.close(5)


class Answers:
    """Events of one request, as the reader thread brings them."""

    def __init__(self) -> None:
        self._events: queue.Queue[dict[str, Any]] = queue.Queue()

    def __call__(self, event: dict[str, Any]) -> None:
        self._events.put(event)

    def last(self) -> dict[str, Any]:
        while (event := self._events.get(timeout=60))["event"] not in worker_client.LAST:
            pass
        return event

    def next(self) -> dict[str, Any]:
        return self._events.get(timeout=60)


def test_the_real_worker_answers_refuses_and_leaves() -> None:
    client = WorkerClient(environment={**os.environ, "PYTHONPATH": str(ROOT)})
    pong, refused = Answers(), Answers()
    client.request("ping", pong)
    client.request("probe", refused, media="nowhere.mov")
    assert pong.last()["pong"]
    assert "nowhere.mov" in refused.last()["message"]
    assert not client.busy
    client.close()
    with pytest.raises(RuntimeError, match="closed"):
        client.request("ping", pong)


def test_events_go_to_the_request_that_they_belong_to(scripted: Make) -> None:
    client = scripted(
        "a, b = (json.loads(sys.stdin.readline())['id'] for _ in 'ab')\n"
        "print('a library that prints')\n"
        "for event in ({'event': 'progress', 'id': b}, {'event': 'result', 'id': b, 'n': 2},\n"
        "              {'event': 'result', 'id': 99}, {'event': 'result', 'id': a, 'n': 1}):\n"
        "    print(json.dumps(event), flush=True)\n"
        "sys.stdin.read()\n"
    )
    first, second = Answers(), Answers()
    client.request("redub", first)
    client.request("redub", second)
    assert [first.next()["n"], second.next()["event"], second.next()["n"]] == [1, "progress", 2]
    assert "a library that prints" in client.log


def test_a_worker_that_dies_ends_every_job_with_one_sentence_and_the_next_request_gets_a_new_one(
    scripted: Make,
) -> None:
    client = scripted(
        "job = json.loads(sys.stdin.readline())\n"
        "if job['verb'] == 'die':\n"
        "    sys.stdin.readline(), print('out of memory', file=sys.stderr, flush=True), os._exit(9)\n"
        "print(json.dumps({'event': 'result', 'id': job['id']}), flush=True)\n"
        "sys.stdin.read()\n"
    )
    first, second, third = Answers(), Answers(), Answers()
    client.request("die", first)
    client.request("die", second)
    died = [first.last(), second.last()]
    assert {event["type"] for event in died} == {worker_client.WORKER_DIED}
    assert "ended with code 9" in died[0]["message"]
    assert "out of memory" in client.log
    client.request("ping", third)
    assert third.last()["event"] == "result"


def test_a_cancel_names_its_job_and_one_for_a_finished_job_is_not_sent(scripted: Make) -> None:
    client = scripted(
        "job = json.loads(sys.stdin.readline())['id']\n"
        "said = json.loads(sys.stdin.readline())\n"
        "print(json.dumps({'event': 'error', 'id': job, 'type': 'RedubCancelled', 'said': said}), flush=True)\n"
        "more = json.loads(sys.stdin.readline())\n"
        "print(json.dumps({'event': 'result', 'id': more['id'], 'verb': more['verb']}), flush=True)\n"
        "sys.stdin.read()\n"
    )
    answers, next_answers = Answers(), Answers()
    job = client.request("redub", answers)
    client.cancel(job)
    assert (answers.last()["said"]["verb"], job) == ("cancel", 1)
    client.cancel(job)
    client.request("ping", next_answers)
    assert next_answers.last()["verb"] == "ping"


def test_a_program_that_is_not_there_is_said_in_one_sentence(tmp_path: Path) -> None:
    client, answers = WorkerClient([str(tmp_path / "no-python")]), Answers()
    client.request("ping", answers)
    assert "cannot be started" in answers.last()["message"]
    client.close()


def test_a_worker_of_another_protocol_is_not_talked_to(tmp_path: Path) -> None:
    script = tmp_path / "worker.py"
    script.write_text('import sys\nprint(\'{"event": "ready", "protocol": 2}\', flush=True)\nsys.stdin.read()\n')
    client, answers = WorkerClient([sys.executable, "-S", "-E", str(script)]), Answers()
    client.request("ping", answers)
    assert answers.last()["type"] == worker_client.WORKER_DIED
    assert "protocol 2" in client.log
    client.close()


def test_closing_ends_a_worker_that_does_not_listen(scripted: Make) -> None:
    client, answers = scripted("time.sleep(600)\n"), Answers()
    client.request("redub", answers)
    client.close(0.2)
    assert answers.last()["type"] == worker_client.WORKER_DIED


def test_old_python_understands_the_client() -> None:
    ast.parse(Path(worker_client.__file__).read_text("utf-8"), feature_version=(3, 7))


def test_asking_never_waits_for_the_worker(scripted: Make) -> None:
    client, answers = scripted("time.sleep(600)\n"), Answers()
    began = time.monotonic()
    for _ in range(3):
        client.request("redub", answers, padding="x" * 100_000)  # more than a pipe holds
    client.cancel(1)
    assert time.monotonic() - began < 0.2
    client.close(0.2)
    assert [answers.last()["type"] for _ in range(3)] == [worker_client.WORKER_DIED] * 3


def test_a_worker_that_does_not_get_ready_is_ended(tmp_path: Path) -> None:
    script = tmp_path / "worker.py"
    script.write_text("import time\ntime.sleep(600)\n")
    client, answers = WorkerClient([sys.executable, "-S", "-E", str(script)], start_s=0.3), Answers()
    client.request("ping", answers)
    assert "did not get ready for 0 s and was ended" in answers.last()["message"]
    client.close()


def test_a_silent_worker_that_answers_is_left_alone_and_one_that_does_not_is_ended(tmp_path: Path) -> None:
    script = tmp_path / "worker.py"
    script.write_text(
        READY + "job = json.loads(sys.stdin.readline())['id']\n"
        "for _ in range(4):\n"  # longer than it may be silent
        "    asked = json.loads(sys.stdin.readline())\n"
        "    print(json.dumps({'event': 'result', 'id': asked['id'], 'pong': True}), flush=True)\n"
        "print(json.dumps({'event': 'progress', 'id': job}), flush=True)\n"
        "time.sleep(600)\n"
    )
    client = WorkerClient([sys.executable, "-S", "-E", str(script)], silence_s=1.5)
    answers = Answers()
    client.request("redub", answers)
    assert answers.next()["event"] == "progress"
    assert "said nothing for 2 s and was ended" in answers.last()["message"]
    client.close()
