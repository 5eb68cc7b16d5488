"""Exit codes, JSON lines, and one sentence for every end."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from julnet_plugin import __version__, errors, hookimpl
from julnet_plugin.manager import Manager

Julnet = Callable[..., Any]
REDUB = ("redub", "plate.mov", "--dub", "line.wav", "-o", "take")


def test_a_finished_redub_says_where_the_take_is(julnet: Julnet, effect: Any) -> None:
    run = julnet(*REDUB)
    assert run.code == 0
    assert "take" in run.out
    assert "dub.mov" in run.out
    assert "small face" in run.err
    assert effect.requests[0].plate == Path("plate.mov")


def test_every_option_of_redub_reaches_the_request(julnet: Julnet, effect: Any, tmp_path: Path) -> None:
    file = tmp_path / "s.toml"
    file.write_text("[render]\nbatch = 2\nchunk_frames = 9\n")
    run = julnet(
        *REDUB, "--in", "01:00:00:05", "--out", "2.5s", "--dub-offset", "-0.5", "--dub-track", 1, "--face", "10,20@3",
        "--model", "paper", "--refs", "1,2", "--device", "cpu", "--deliver", "exr", "--deliver", "png", "--seed", 7,
        "--colour-space", "ACEScct", "--resume", "--settings", file, "--set", "render.batch=4", "--set",
        "matte.gamma=2",
    )  # fmt: skip
    assert run.code == 0
    request = effect.requests[0]
    assert (request.in_point, request.out_point, request.dub_offset_s) == ("01:00:00:05", "2.5s", -0.5)
    assert (request.dub_track, request.face, request.model, request.refs) == (1, "10,20@3", "paper", "1,2")
    assert (request.device, request.deliver, request.seed, request.resume) == ("cpu", ("exr", "png"), 7, True)
    assert request.colour_space == "ACEScct"
    assert request.settings == {"render.batch": 4, "render.chunk_frames": 9, "matte.gamma": 2}


def test_json_is_one_object_a_line_and_nothing_else(julnet: Julnet) -> None:
    run = julnet(*REDUB, "--json")
    assert run.events == [
        {"event": "progress", "stage": "render", "done": 1, "total": 2},
        {"event": "progress", "stage": "render", "done": 2, "total": 2},
        {"event": "result", "take": "take/take.json", "files": {"prores": "dub.mov"}, "warnings": ["small face"]},
    ]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.MediaError("no such file", "p.mov"), 2),
        (errors.NoFaceFoundError("no face in frames 0 to 9; choose another range", 31), 2),
        (errors.CheckpointError("that is a pickle", "w.pt"), 2),
        (errors.DeviceError("no CUDA device; use --device cpu", "cuda"), 1),
        (errors.ShapeError("crop is 3x3", (3, 3), (4, 4)), 1),
        (errors.HostError("the host said no", "nuke", "createNode"), 1),
        (errors.RedubCancelled("stopped"), 130),
        (KeyboardInterrupt(), 130),
    ],
)
def test_every_end_has_its_exit_code_and_one_sentence(
    julnet: Julnet, effect: Any, error: BaseException, code: int
) -> None:
    effect.error = error
    run = julnet(*REDUB, "--json")
    assert run.code == code
    last = run.events[-1]
    assert last["event"] == "error"
    assert "\n" not in last["message"]
    assert "Traceback" not in run.err
    assert run.err.strip() == f"julnet: {last['message']}"


def test_an_error_event_carries_the_facts(julnet: Julnet, effect: Any) -> None:
    effect.error = errors.NoFaceFoundError("no face", 31)
    event = julnet(*REDUB, "--json").events[-1]
    assert event == {"event": "error", "type": "NoFaceFoundError", "message": "no face", "frame": 31}


@pytest.mark.parametrize("error", [errors.RedubCancelled("stop"), KeyboardInterrupt()])
def test_a_stopped_redub_says_how_to_go_on(julnet: Julnet, effect: Any, error: BaseException) -> None:
    effect.error = error
    run = julnet(*REDUB)
    assert run.code == 130
    assert "--resume finishes take" in run.err


def test_debug_prints_the_traceback_and_its_absence_does_not(julnet: Julnet, effect: Any) -> None:
    effect.error = errors.MediaError("no such file")
    assert "Traceback" not in julnet(*REDUB).err
    assert "Traceback" in julnet(*REDUB, "--debug").err


def test_a_bug_in_a_verb_is_one_sentence_that_asks_for_a_report(julnet: Julnet, manager: Manager) -> None:
    manager.register(Verbs(Broken()), "verbs")
    run = julnet("broken", "--json")
    assert run.code == 1
    assert run.events[-1]["type"] == "ZeroDivisionError"
    assert "--debug" in run.err


class Broken:
    name, help = "broken", "it breaks"

    def add_arguments(self, parser: object) -> None:
        pass

    def run(self, args: object) -> int:
        raise ZeroDivisionError("a bug,\nin two lines")


class Verbs:
    def __init__(self, *verbs: object) -> None:
        self.verbs = verbs

    @hookimpl
    def julnet_cli_verbs(self) -> list[object]:
        return list(self.verbs)


@pytest.mark.parametrize(
    "arguments",
    [(), ("redbu",), ("redub",), ("redub", "p.mov"), (*REDUB, "--speed", "9"), (*REDUB, "--seed", "x"), ("probe",)],
)
def test_a_command_line_that_cannot_be_understood_is_one_sentence_and_2(
    julnet: Julnet, arguments: tuple[str, ...]
) -> None:
    run = julnet(*arguments)
    assert run.code == 2
    assert run.out == ""
    assert len(run.err.strip().splitlines()) == 1
    assert "--help" in run.err
    assert julnet(*arguments, "--json").events[-1]["type"] == "UsageError"


def test_options_are_never_guessed_from_a_beginning(julnet: Julnet) -> None:
    assert julnet(*REDUB, "--dev", "cpu").code == 2


@pytest.mark.parametrize("place", ["before", "after"])
def test_common_options_stand_before_or_after_the_verb(julnet: Julnet, place: str) -> None:
    arguments = ("--json", *REDUB) if place == "before" else (*REDUB, "--json")
    assert julnet(*arguments).events[-1]["event"] == "result"


def test_unknown_settings_are_refused_before_anything_runs(julnet: Julnet, effect: Any) -> None:
    run = julnet(*REDUB, "--set", "render.bach=4", "--json")
    assert run.code == 2
    assert run.events[-1]["key"] == "render.bach"
    assert "did you mean render.batch?" in run.err
    assert not effect.requests


def test_help_and_version_end_well(julnet: Julnet) -> None:
    assert julnet("--version").out.strip() == f"julnet {__version__}"
    overview = julnet("--help")
    assert overview.code == 0
    for verb in ("redub", "demo", "probe", "matte", "comp", "doctor", "plugins", "worker"):
        assert verb in overview.out
        assert julnet(verb, "--help").code == 0


def test_v_shows_what_plugins_log_and_leaves_logging_as_it_was(julnet: Julnet, manager: Manager) -> None:
    class Talks(Broken):
        def run(self, args: object) -> int:
            logging.getLogger("talks").info("a detail")
            return 0

    manager.register(Verbs(Talks()), "verbs")
    before = (logging.getLogger().level, list(logging.getLogger().handlers))
    assert "a detail" not in julnet("broken").err
    assert "a detail" in julnet("broken", "-v").err
    assert (logging.getLogger().level, list(logging.getLogger().handlers)) == before


def test_plugins_tells_what_is_registered_and_what_is_wrong(julnet: Julnet, manager: Manager) -> None:
    class Misspelt:
        @hookimpl
        def julnet_writer(self) -> list[object]:
            return []

    manager.register(Misspelt(), "misspelt")
    rows = {row["name"]: row for row in julnet("plugins", "--json").events[-1]["plugins"]}
    assert "verb redub" in rows["julnet_plugin.verbs"]["offers"]
    assert rows["fake"]["hooks"] == ["julnet_redub_clip"]
    assert rows["misspelt"]["problems"] == ["there is no hook julnet_writer; did you mean julnet_writers?"]
    text = julnet("plugins").out
    assert "verb redub" in text
    assert "NOT USED: there is no hook julnet_writer" in text


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_at_the_next_frame_with_130(
    environment: dict[str, str], tmp_path: Path, number: signal.Signals
) -> None:
    command = [sys.executable, "-m", "julnet_plugin", *REDUB, "--refs", "10000", "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=tmp_path
    ) as process:
        assert process.stdout is not None
        assert '"progress"' in process.stdout.readline()
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert '"type": "RedubCancelled"' in out.splitlines()[-1]
    assert "--resume" in err
    assert "Traceback" not in err


def test_what_a_library_prints_does_not_reach_a_program_that_reads_json(
    environment: dict[str, str], tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "julnet_plugin", *REDUB, "--json"]
    run = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False)
    assert run.returncode == 0, run.stderr
    assert all(line.startswith('{"event"') for line in run.stdout.splitlines())


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX pipes")
def test_a_reader_that_goes_away_is_no_traceback(environment: dict[str, str], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "julnet_plugin", *REDUB, "--refs", "10000", "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=tmp_path
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        err = process.stderr.read()
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "BrokenPipe" not in err
