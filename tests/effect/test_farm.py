"""A take rendered in chunks is the take rendered in one process, whatever happens to the workers."""

from __future__ import annotations

import errno
import importlib.util
import itertools
import json
import os
import signal
import subprocess
import sys
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from julnet_plugin import RedubRequest
from julnet_plugin.cli import main
from julnet_plugin.errors import InputError, SettingsError, TakeError
from julnet_plugin.farm import local, session
from julnet_plugin.farm.bundle import PARAMETERS, TEMPLATE, FarmOptions, write_folder
from julnet_plugin.farm.opencue import write_outline
from julnet_plugin.farm.steps import ChunkedTake
from julnet_plugin.farm.training import write_training
from julnet_plugin.manager import make_manager
from julnet_plugin.pipeline.workfolder import WorkFolder
from julnet_plugin.types import FrameRange, Take
from julnet_plugin.verbs.farm import parse_frames

runner = pytest.mark.skipif(not local.has_runner(), reason="the Open Job Description runner is not installed")
Contents = Callable[[Path], dict[str, str]]
CHUNK = 3


@pytest.fixture
def request_of(tiny_model: Path, plate: Path, line: Path) -> Callable[..., RedubRequest]:
    """The request that `render` renders, in 8 chunks."""

    def make(take_dir: Path, **changes: Any) -> RedubRequest:
        settings = {"render.chunk_frames": CHUNK, "render.threads": 1}
        values: dict[str, Any] = {"model": str(tiny_model), "device": "cpu", "deliver": ("png",), "settings": settings}
        return RedubRequest(take_dir=take_dir, **{"plate": plate, "dub": line, **values, **changes})

    return make


@pytest.fixture
def sessions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where workers keep their sessions; at the end none of their processes is left."""
    folder = tmp_path / "sessions"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    yield folder
    for beat in folder.rglob("julnet-session/beat"):
        session.stop(beat.parent)


def silent(stage: str, done: int, total: int) -> None:
    """No progress."""


# -- the steps themselves -------------------------------------------------------------------------------------------


def test_tasks_of_any_length_in_any_order_make_the_bytes_of_one_process(
    request_of: Callable[..., RedubRequest], render: Callable[..., Take], contents: Contents, tmp_path: Path
) -> None:
    deliver, settings = ("h264",), {"render.chunk_frames": 6, "render.threads": 1}
    request = request_of(tmp_path / "take", deliver=deliver, settings=settings)
    ChunkedTake(request, make_manager()).track(silent)
    first, second = (ChunkedTake(request, make_manager()) for _ in range(2))
    for step in ("paint", "write"):
        for worker, start, stop in ((first, 11, 24), (second, 0, 4), (first, 4, 5), (second, 5, 12)):
            worker.run(step, FrameRange(start=start, stop=stop), silent)
    take = first.run("assemble", None, silent)
    assert take is not None
    whole = render(tmp_path / "whole", deliver=deliver, settings=settings)
    assert contents(take.path) == contents(whole.path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["take", "whole"]


def test_a_chunk_that_is_missing_is_named_and_nothing_is_assembled(
    request_of: Callable[..., RedubRequest], tmp_path: Path
) -> None:
    take = ChunkedTake(request_of(tmp_path / "take"), make_manager())
    with pytest.raises(TakeError, match="nobody has begun the take"):
        take.paint(None, silent)
    take.track(silent)
    take.paint(FrameRange(start=0, stop=12), silent)
    with pytest.raises(TakeError, match=r"frames 12-14, 15-17, 18-20, 21-23 of .* are not painted yet"):
        take.write(None, silent)
    take.paint(None, silent)
    take.write(FrameRange(start=3, stop=24), silent)
    with pytest.raises(TakeError, match=r"frames 0-2 of .* are not written yet: run the write step"):
        take.assemble(silent)
    assert not (tmp_path / "take").exists()


def test_a_chunk_that_another_worker_holds_is_left_to_it(
    request_of: Callable[..., RedubRequest], tmp_path: Path
) -> None:
    take = ChunkedTake(request_of(tmp_path / "take"), make_manager())
    take.track(silent)
    with WorkFolder(tmp_path / "take", shared=True) as folder, folder.chunk("paint.00000006"):
        with pytest.raises(TakeError, match="another process"):
            take.paint(FrameRange(start=6, stop=9), silent)
        take.paint(FrameRange(start=0, stop=3), silent)
        with pytest.raises(TakeError, match="another process"), WorkFolder(tmp_path / "take"):
            pass
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".lock")]


def test_another_request_is_not_mixed_in(request_of: Callable[..., RedubRequest], tmp_path: Path) -> None:
    ChunkedTake(request_of(tmp_path / "take"), make_manager()).track(silent)
    with pytest.raises(TakeError, match="another seed"):
        ChunkedTake(request_of(tmp_path / "take", seed=7), make_manager()).paint(None, silent)


@pytest.mark.parametrize("text", ["", "a-b", "7-3", "-3", "1-2-3", "1.5"])
def test_what_is_no_range_of_frames_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="not a range of frames"):
        parse_frames(text)
    assert parse_frames("48-95") == FrameRange(start=48, stop=96)
    assert parse_frames("7") == FrameRange(start=7, stop=8)


# -- the session ----------------------------------------------------------------------------------------------------


def test_a_dead_session_costs_nothing_but_time(
    request_of: Callable[..., RedubRequest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "session"
    folder.mkdir()
    (folder / "beat").write_text("4711 1")
    monkeypatch.setattr(session, "_DEAD_S", 0.3)
    session.run_task(folder, "track", request_of(tmp_path / "take"), None, silent, make_manager)
    assert (tmp_path / ".take.partial" / "data" / "plan.npz").is_file()


def test_errors_come_back_from_the_session_as_they_were_raised(
    request_of: Callable[..., RedubRequest], sessions: Path, tmp_path: Path
) -> None:
    folder = sessions / "julnet-session"
    session.start(folder)
    with pytest.raises(InputError, match=r"nothing\.mov"):
        session.ask(folder, "track", request_of(tmp_path / "take", plate=tmp_path / "nothing.mov"), None, silent)
    session.stop(folder)
    assert not (folder / "beat").exists()


# -- the bundle -----------------------------------------------------------------------------------------------------


def submit(request: RedubRequest, bundle: Path, *more: str) -> int:
    settings = [f"--set={key}={value}" for key, value in request.settings.items()]
    files = [str(request.plate), "--dub", str(request.dub), "-o", str(request.take_dir), "-b", str(bundle)]
    return main(["submit", *files, "--model", request.model, "--deliver", "png", *settings, *more])


@runner
@pytest.mark.parametrize("more", [("--device", "cuda", "--face", "{{1}}", "--in", "2"), ("--gpus", "2")])
def test_the_template_passes_the_reference_check(
    more: tuple[str, ...], request_of: Callable[..., RedubRequest], tmp_path: Path
) -> None:
    assert submit(request_of(tmp_path / "a {{take}}"), tmp_path / "bundle", *more) == 0  # it has it checked
    template = json.loads((tmp_path / "bundle" / TEMPLATE).read_text("utf-8"))
    gpus = {
        step["name"]: [a["min"] for a in step["hostRequirements"]["amounts"] if a["name"] == "amount.worker.gpu"]
        for step in template["steps"]
    }
    wanted = [2] if "--gpus" in more else [1]
    assert gpus == {"Track": wanted, "Paint": wanted, "Write": [], "Assemble": wanted}


def test_a_job_folder_appears_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".job.partial").mkdir()
    (tmp_path / ".job.partial" / "template.yaml").write_text("what a killed process left")
    flushed = itertools.count()

    def full(path: Path) -> None:
        if next(flushed) == 1:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr("julnet_plugin.pipeline.workfolder.flush", full)
    with pytest.raises(OSError, match="No space"):
        write_folder(tmp_path / "job", {"a": "1", "b": "2"})
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "job").mkdir()
    assert write_folder(tmp_path / "job", {"a": "1", "b": "2"}) == [tmp_path / "job" / "a", tmp_path / "job" / "b"]
    assert [path.name for path in tmp_path.iterdir()] == ["job"]
    with pytest.raises(TakeError, match="not empty"):
        write_folder(tmp_path / "job", {"a": "1"})


@runner
def test_a_note_of_consent_travels_as_a_path_that_the_farm_maps(
    request_of: Callable[..., RedubRequest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "note.json").write_text('{"who": "A", "what": "b", "until": "2999-12-31"}')
    monkeypatch.chdir(tmp_path)
    bundle = tmp_path / "bundle"
    assert submit(request_of(tmp_path / "take"), bundle, "--consent", "note.json", "--require-consent") == 0
    assert json.loads((bundle / PARAMETERS).read_text("utf-8"))["Consent"] == str(tmp_path / "note.json")
    template = json.loads((bundle / TEMPLATE).read_text("utf-8"))
    assert all("--consent={{Param.Consent}}" in s["script"]["actions"]["onRun"]["args"] for s in template["steps"])
    assert "note.json" not in (bundle / TEMPLATE).read_text("utf-8")
    assert str(tmp_path / "note.json") in (bundle / "asset_references.yaml").read_text("utf-8")
    assert submit(request_of(tmp_path / "take"), tmp_path / "cue", "--format", "opencue", "--consent", "note.json") == 0
    assert json.loads((tmp_path / "cue" / "request.json").read_text("utf-8"))["consent"] == str(tmp_path / "note.json")


def test_a_job_that_cannot_work_is_refused_before_anything_is_written(
    request_of: Callable[..., RedubRequest], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    request = request_of(tmp_path / "take")
    assert submit(request, tmp_path / "bundle", "--in", "900") == 2
    assert submit(request, tmp_path / "bundle", "--gpus", "-1") == 2
    assert submit(request, tmp_path / "bundle", "--require-consent") == 2
    assert submit(request_of(tmp_path / "take", plate=tmp_path / "no.mov"), tmp_path / "bundle") == 2
    assert not (tmp_path / "bundle").exists()
    assert capsys.readouterr().err.count("julnet:") == 4


@runner
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_two_workers_one_killed_and_retried_make_the_bytes_of_one_process(
    request_of: Callable[..., RedubRequest],
    render: Callable[..., Take],
    contents: Contents,
    sessions: Path,
    tmp_path: Path,
) -> None:
    settings = {"render.chunk_frames": 6, "render.threads": 1}
    request, bundle = request_of(tmp_path / "take", settings=settings), tmp_path / "bundle"
    shim = tmp_path / "julnet.sh"
    shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m julnet_plugin "$@"\n')
    shim.chmod(0o755)
    assert submit(request, bundle, "--device", "cpu", "--command", str(shim)) == 0
    check = local.runner("check", str(bundle / TEMPLATE))
    assert subprocess.run(check, capture_output=True, check=False).returncode == 0
    rules = _move_paths(bundle, tmp_path)
    step = next(s for s in json.loads((bundle / TEMPLATE).read_text())["steps"] if s["name"] == "Paint")
    tasks = local.tasks_of(step, json.loads((bundle / PARAMETERS).read_text()))
    assert tasks == ["0-5", "6-11", "12-17", "18-23"]

    def start(name: str, share: list[str]) -> subprocess.Popen[bytes]:
        command = [*local.task_arguments(bundle, name, share), "--path-mapping-rules", rules]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)

    def finish(process: subprocess.Popen[bytes]) -> str:
        said = process.communicate(timeout=240)[0].decode()
        assert process.returncode == 0, said
        return said

    finish(start("Track", []))
    doomed, other = start("Paint", tasks[:2]), start("Paint", tasks[2:])
    data = tmp_path / ".take.partial" / "data"
    while not (data / "chunk.000000.npz").exists():
        assert doomed.poll() is None
        time.sleep(0.02)
    _kill(doomed, sessions)
    said = finish(other)
    assert said.count("openjd_progress: 100") == 2
    assert "openjd_status: rendering" in said
    finish(start("Paint", tasks[:2]))
    finish(start("Write", ["0-23"]))  # whoever cuts the range, and however
    finish(start("Assemble", []))
    whole = render(tmp_path / "whole", settings=request.settings)
    made, expected = contents(tmp_path / "take"), contents(whole.path)
    assert made == expected


def _move_paths(bundle: Path, root: Path) -> str:
    """Rewrite the job as if it came from a machine where `root` is called /studio; returns the rules that map it."""
    path = bundle / PARAMETERS
    values = json.loads(path.read_text("utf-8"))
    moved = {name: values[name].replace(str(root.parent), "/studio") for name in ("Plate", "Dub", "TakeDir", "Model")}
    path.write_text(json.dumps({**values, **moved}), "utf-8")
    rule = {"source_path_format": "POSIX", "source_path": "/studio", "destination_path": str(root.parent)}
    assert '"/studio/' in path.read_text("utf-8")
    return json.dumps({"version": "pathmapping-1.0", "path_mapping_rules": [rule]})


def _kill(worker: subprocess.Popen[bytes], sessions: Path) -> None:
    """Without warning: the runner, its task, and the process with the model that has painted for it."""
    mine = [beat for beat in sessions.rglob("julnet-session/beat") if _belongs(beat, worker.pid)]
    os.killpg(worker.pid, signal.SIGKILL)
    worker.communicate()
    for beat in mine:
        os.kill(int(beat.read_text().split()[0]), signal.SIGKILL)
        beat.unlink()


def _belongs(beat: Path, runner_pid: int) -> bool:
    """Whether a session was started by this runner: its task runs in that folder."""
    folder = str(beat.parents[1])
    for process in Path("/proc").glob("[0-9]*"):
        try:
            status = (process / "stat").read_text().rpartition(")")[2].split()
            command = (process / "cmdline").read_text()
        except OSError:
            continue
        if folder in command and int(status[1]) == runner_pid:
            return True
    return False


# -- other farms ----------------------------------------------------------------------------------------------------


def test_the_opencue_script_builds_the_same_steps(
    request_of: Callable[..., RedubRequest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layers: list[Any] = []

    class Layer:
        def __init__(self, name: str, **options: Any) -> None:
            self.name, self.options, self.after = name, options, ""
            layers.append(self)

        def depend_all(self, other: Layer) -> None:
            self.after = other.name

    class Outline:
        def __init__(self, name: str, frame_range: str) -> None:
            assert frame_range == "0-23x3"

        def add_layer(self, layer: Layer) -> None:
            assert layer in layers

    stand_in = types.SimpleNamespace(Outline=Outline, Shell=Layer, ShellCommand=Layer, cuerun=None)
    for name in ("outline", "outline.modules", "outline.modules.shell"):
        monkeypatch.setitem(sys.modules, name, stand_in)  # type: ignore[arg-type]
    request = request_of(tmp_path / "it's {a} take")
    script, written = write_outline(tmp_path / "cue", request, FrameRange(start=0, stop=24), CHUNK, FarmOptions())
    spec = importlib.util.spec_from_file_location("cue_job", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.build()
    assert [(layer.name, layer.after) for layer in layers] == [
        ("track", ""),
        ("paint", "track"),
        ("write", "paint"),
        ("assemble", "write"),
    ]
    assert layers[1].options["command"] == ["julnet", "farm", "paint", str(written), "--frames=%{FRAME}"]
    assert json.loads(written.read_text())["take_dir"] == str(request.take_dir)


@runner
def test_the_training_template_passes_the_reference_check(tmp_path: Path) -> None:
    path = write_training(tmp_path)
    assert subprocess.run(local.runner("check", str(path)), capture_output=True, check=False).returncode == 0
    with pytest.raises(TakeError, match="exists already"):
        write_training(tmp_path)


def test_small_mouths_are_drawn_in_small_crops_by_every_worker(
    request_of: Callable[..., RedubRequest],
    render: Callable[..., Take],
    sharp_model: Path,
    contents: Contents,
    tmp_path: Path,
) -> None:
    wanted: dict[str, Any] = {"model": str(sharp_model), "deliver": ("png", "crop-exr"), "out_point": "6"}
    request = request_of(tmp_path / "take", **wanted)
    for step in ("track", "paint", "write"):
        ChunkedTake(request, make_manager()).run(step, None, silent)
    take = ChunkedTake(request, make_manager()).run("assemble", None, silent)
    assert take is not None
    whole = render(tmp_path / "whole", settings=request.settings, **wanted)
    assert contents(take.path) == contents(whole.path)
    assert take.manifest["model"]["crop_size"] == [208, 160]
