"""Run a bundle on this machine with the Open Job Description runner, with several workers and repeated failures.

Each worker is one `openjd run` of its share of a step's tasks, with a session and a loaded model of its own: what
happens here is what happens on a farm.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from julnet_plugin.errors import ModelError, SettingsError
from julnet_plugin.farm.bundle import PARAMETERS, TEMPLATE
from julnet_plugin.untrusted import read_json_object

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_POLL_S = 0.1
_RUNNER = "import sys; from openjd.cli import main; sys.argv[0] = 'openjd'; sys.exit(main())"


def require_runner() -> None:
    """Refuse where the runner isn't installed.

    Raises:
        SettingsError: it isn't.
    """
    if not has_runner():
        raise SettingsError('the local runner is not installed: pip install "julnet[farm]", or submit without --run')


def has_runner() -> bool:
    """Whether the runner is installed."""
    try:
        return importlib.util.find_spec("openjd.cli") is not None
    except ModuleNotFoundError:
        return False


def check_template(folder: Path) -> None:
    """Have the reference implementation check a bundle's template.

    Raises:
        ModelError: it finds a mistake, which is ours.
    """
    run = subprocess.run(runner("check", str(folder / TEMPLATE)), capture_output=True, text=True, check=False)
    if run.returncode:
        raise ModelError(f"openjd check refuses the template: {' '.join((run.stdout + run.stderr).split())}")


def run_bundle(
    folder: Path, workers: int, retries: int, say: Callable[[str], None], check: Callable[[], None] = lambda: None
) -> None:
    """Run all steps of a bundle.

    Args:
        folder: what `write_bundle` wrote.
        workers: processes that paint and write side by side.
        retries: how often a worker that failed is started again.
        say: told one line at a time what happens.
        check: called often; raises to stop.

    Raises:
        ModelError: a step failed more often than `retries`; the message ends with what it said last.
    """
    template = read_json_object(folder / TEMPLATE, "a job template")
    values = read_json_object(folder / PARAMETERS, "a file of job parameters")
    for step in template["steps"]:
        shares = _shares(step, values, workers)
        say(f"{step['name']}: {sum(map(len, shares)) or 1} tasks, {len(shares)} workers")
        _run_step(folder, step["name"], shares, retries, say, check)


def runner(*arguments: str) -> list[str]:
    """The command line of the Open Job Description runner in this Python."""
    return [sys.executable, "-c", _RUNNER, *arguments]


def task_arguments(folder: Path, step: str, tasks: Sequence[str]) -> list[str]:
    """The runner's command line for some tasks of one step; none for a step without tasks of its own."""
    command = runner("run", str(folder / TEMPLATE), "--step", step, "--no-run-dependencies")
    command += ["-p", f"file://{folder / PARAMETERS}"]
    if tasks:
        command += ["--tasks", json.dumps([{"Frame": task} for task in tasks])]
    return command


def tasks_of(step: dict[str, Any], values: dict[str, Any]) -> list[str]:
    """The ranges of frames that a step is cut into, as its template says."""
    space = step.get("parameterSpace")
    if not space:
        return []
    count = space["taskParameterDefinitions"][0]["chunks"]["defaultTaskCount"]
    first, last = (int(text) for text in values["Frames"].split("-"))
    return [f"{start}-{min(start + count - 1, last)}" for start in range(first, last + 1, count)]


def _shares(step: dict[str, Any], values: dict[str, Any], workers: int) -> list[list[str]]:
    """Tasks for each worker, neighbouring frames together."""
    tasks = tasks_of(step, values)
    count = max(1, min(workers, len(tasks)))
    bounds = [round(index * len(tasks) / count) for index in range(count + 1)]
    return [tasks[a:b] for a, b in itertools.pairwise(bounds)]


def _run_step(
    folder: Path,
    step: str,
    shares: list[list[str]],
    retries: int,
    say: Callable[[str], None],
    check: Callable[[], None],
) -> None:
    left = dict.fromkeys(range(len(shares)), retries)
    running: dict[int, subprocess.Popen[str]] = {}
    logs = {index: folder / f"{step.lower()}.{index}.log" for index in left}
    try:
        for index in left:
            running[index] = _start(folder, step, shares[index], logs[index])
        while running:
            check()
            time.sleep(_POLL_S)
            for index, process in list(running.items()):
                code = process.poll()
                if code is None:
                    continue
                del running[index]
                if code == 0:
                    continue
                if left[index] == 0:
                    raise ModelError(f"the {step} step failed {retries + 1} times: {_last_words(logs[index])}")
                left[index] -= 1
                say(f"{step}: worker {index} failed (exit code {code}), started again")
                running[index] = _start(folder, step, shares[index], logs[index])
    finally:
        for process in running.values():
            process.terminate()
        for process in running.values():
            process.wait()


def _start(folder: Path, step: str, tasks: Sequence[str], log: Path) -> subprocess.Popen[str]:
    with log.open("a", encoding="utf-8") as out:
        return subprocess.Popen(
            task_arguments(folder, step, tasks), stdin=subprocess.DEVNULL, stdout=out, stderr=out, text=True
        )


def _last_words(log: Path) -> str:
    """What the task said last before it failed."""
    said = [line for line in log.read_text("utf-8", "replace").splitlines() if "julnet:" in line]
    return " ".join(said[-1].partition("julnet:")[2].split()) if said else f"see {log}"
