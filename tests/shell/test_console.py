"""Progress for people, programs and log files."""

from __future__ import annotations

import io
import json
import sys
from typing import Any

import pytest

from julnet_plugin.console import Console, Throttle, clock, private_stdout
from julnet_plugin.errors import RedubCancelled


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Gone(io.StringIO):
    """A pipe whose reader has left."""

    def write(self, text: str) -> int:
        raise BrokenPipeError


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that the test turns: `now[0]`."""
    time = [100.0]
    monkeypatch.setattr("julnet_plugin.console.time.monotonic", lambda: time[0])
    return time


def test_a_log_file_gets_a_line_for_each_stage_and_then_one_every_ten_seconds(now: list[float]) -> None:
    err = io.StringIO()
    console = Console(stderr=err)
    for second in range(31):
        now[0] = 100.0 + second
        console.progress("render", 201 + second, 261)  # the first 200 are from an earlier run
    console.progress("deliver", 1, 61)
    assert err.getvalue().splitlines() == [
        "rendering …",
        "rendering 211/261, about 0:50 left",
        "rendering 221/261, about 0:40 left",
        "rendering 231/261, about 0:30 left",
        "writing …",
    ]


def test_a_terminal_gets_a_bar_and_notes_stand_above_it() -> None:
    err = Terminal()
    console = Console(stderr=err)
    with console.cancellable():
        console.progress("render", 3, 10)
        console.note("a note")
        console.progress("render", 10, 10)
    assert "rendering" in err.getvalue()
    assert "10/10" in err.getvalue()
    assert "a note\n" in err.getvalue()


def test_programs_get_the_ends_of_a_stage_and_ten_events_a_second(now: list[float]) -> None:
    out = io.StringIO()
    console = Console(as_json=True, stdout=out)
    for done in range(1, 101):
        now[0] += 0.02
        console.progress("render", done, 100)
    events: list[dict[str, Any]] = [json.loads(line) for line in out.getvalue().splitlines()]
    assert (events[0]["done"], events[-1]["done"]) == (1, 100)
    assert 15 <= len(events) <= 22


def test_the_throttle_never_holds_back_a_new_stage_or_an_end(now: list[float]) -> None:
    throttle = Throttle()
    assert [throttle.passes("a", 1, 9), throttle.passes("a", 2, 9)] == [True, False]
    assert [throttle.passes("b", 1, 9), throttle.passes("b", 9, 9)] == [True, True]


def test_a_reader_that_left_stops_the_job() -> None:
    with pytest.raises(RedubCancelled, match="nobody reads"):
        Console(as_json=True, stdout=Gone()).progress("render", 1, 2)


def test_a_terminal_that_left_stops_nothing() -> None:
    console = Console(stdout=io.StringIO(), stderr=Gone())
    console.note("unheard")
    console.progress("render", 1, 2)


def test_results_are_text_for_people_and_events_for_programs() -> None:
    people, programs = io.StringIO(), io.StringIO()
    Console(stdout=people).result({"frames": 3}, "3 frames")
    Console(as_json=True, stdout=programs).result({"frames": 3}, "3 frames")
    assert people.getvalue() == "3 frames\n"
    assert json.loads(programs.getvalue()) == {"event": "result", "frames": 3}


def test_prints_of_others_go_to_stderr_while_stdout_is_private(capfd: pytest.CaptureFixture[str]) -> None:
    with private_stdout() as own:
        sys.stdout.write("a library\n")
        own.write("ours\n")
    sys.stdout.write("afterwards\n")
    out, err = capfd.readouterr()
    assert out == "ours\nafterwards\n"
    assert err == "a library\n"


def test_a_stdout_that_is_no_file_can_be_private_too(monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    with private_stdout() as own:
        sys.stdout.write("a library\n")
        own.write("ours")
    assert (out.getvalue(), err.getvalue()) == ("ours", "a library\n")


@pytest.mark.parametrize(("seconds", "text"), [(0.2, "0:00"), (75, "1:15"), (3661, "1:01:01")])
def test_times_left_read_like_a_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text
