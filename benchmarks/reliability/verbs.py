"""Verbs that write, besides `redub` and the edits of a take: how each is run, and run again after it was killed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import torch

from benchmarks.reliability import media

Action = Callable[[], object]

_TIMES = ("seconds", "minutes", "date", "took", "took_s", "frames_per_second", "made")  #: differ from run to run
_REFUSED = 1


class Inputs(Protocol):
    """What the verbs work on."""

    plate: Path
    line: Path
    model: Path


@dataclass(frozen=True, slots=True)
class Verb:
    """A verb that writes `out`.

    Attributes:
        run: the action that writes into the path; told whether it was killed before.
        compare: what of the result must be the same.
        before: makes what must be there before.
        check: sentences on what is wrong right after a kill.
    """

    name: str
    out: str
    run: Callable[[Path, bool], Action]
    compare: Callable[[Path], dict[str, str]]
    before: Callable[[Path], None] | None = None
    check: Callable[[Path], Iterator[str]] | None = None

    def after_the_kill(self, out: Path) -> Iterator[str]:
        """What is wrong with what the kill left."""
        if self.check is not None:
            yield from self.check(out)


def command(*arguments: object) -> Action:
    """`julnet …` in this process; an end that is none is raised, to be judged as an error."""

    def act() -> None:
        from julnet_plugin.cli import main

        if code := main([str(argument) for argument in arguments]):
            raise RuntimeError(f"julnet {arguments[0]} ended with {code}")

    return act


def other_verbs(inputs: Inputs, folder: Path) -> list[Verb]:
    """Every other verb that writes."""
    prepared = folder / "prepared"
    prepared.mkdir()
    for number in range(4):
        media.write_prepared_clip(
            prepared / f"{number}.safetensors",
            frames=90,
            size=(208, 160),
            speaker=f"s{number}",
            split="val" if number == 3 else "train",
        )
    recipe = folder / "tiny.toml"
    recipe.write_text(_RECIPE, "utf-8")
    settings = ("--set", "render.chunk_frames=3", "--set", "render.threads=1", "--set", "face.min_mouth_px=8")
    redub = (inputs.plate, "--dub", inputs.line, "--model", inputs.model, "--deliver", "png", *settings)
    (folder / "lines.json").write_text(
        json.dumps([{"plate": str(inputs.plate), "dub": str(inputs.line), "name": "one"}]), "utf-8"
    )
    plan = folder / "plan.toml"
    plan.write_text(_PLAN, "utf-8")
    footage = folder / "footage"
    footage.mkdir()
    for name in ("ann_1", "bob_1"):
        media.write_plate(footage / f"{name}.mov", frames=30, talking=True)
    movies = folder / "movies"
    movies.mkdir()
    shutil.copy(inputs.plate, movies / "a.mov")
    actor = folder / "actor"
    actor.mkdir()
    for number in range(2):
        media.write_prepared_clip(actor / f"{number}.safetensors", frames=250, size=(208, 160), speaker="actor")
    judged = ("--no-landmarks", "--no-dubbing", "--seconds", "0.4", "--device", "cpu")
    light = ("--seeds", "1", "--max-steps", "2", "--seconds", "0.8", "--threads", "1", "--device", "cpu")
    batch = ("batch", folder / "lines.json", "--model", inputs.model, "--device", "cpu", "--deliver", "png", *settings)
    return [
        Verb("farm", "chunks", lambda out, _: lambda: _farm(inputs, out), contents),
        Verb(
            "submit",
            "job",
            lambda out, _: lambda: out.exists() or command("submit", *redub, "-o", folder / "t", "-b", out)(),
            contents,
            check=lambda out: _incomplete(out, 4),
        ),
        Verb("batch", "takes", lambda out, _: command(*batch, "-o", out), _pictures),
        Verb(
            "train",
            "run",
            lambda out, again: command(
                "train", prepared, "-o", out, "--recipe", recipe, *["--resume"] * _begun(out, again)
            ),
            _weights,
        ),
        Verb(
            "prepare",
            "dataset",
            lambda out, _: command("prepare", footage, "-o", out, "--workers", "0", "--no-sync"),
            _weights,
        ),
        Verb(
            "finetune",
            "actor.safetensors",
            lambda out, _: lambda: _finetune(actor, inputs.model, out),
            lambda out: _weights(out.with_suffix(".finetune")),
            check=_half_a_model,
        ),
        Verb(
            "evaluate",
            "report",
            lambda out, _: command("evaluate", inputs.model, "--data", prepared, "-o", out, *judged),
            _scores,
            check=_broken_json,
        ),
        Verb(
            "ablate",
            "tables",
            lambda out, _: command("ablate", prepared, "-o", out, "--plan", plan, *light, *_LIGHT),
            _scores,
            check=_broken_json,
        ),
        Verb(
            "export",
            "tiny.onnx",
            lambda out, _: command("export", inputs.model, "-o", out),
            lambda out: contents(out.parent, out.name),
        ),
        Verb(
            "study",
            "page",
            lambda out, _: (
                lambda: (
                    out.mkdir(exist_ok=True),
                    command("study", f"one={movies}", f"two={movies}", "-o", out / "page.html")(),
                )
            ),
            contents,
        ),
        Verb(
            "hosts",
            "home",
            lambda out, _: lambda: _install_hosts(out),
            contents,
        ),
        Verb("doctor", "support", lambda out, _: lambda: _bundle(out), lambda out: {}, check=_broken_zips),
        Verb(
            "save a project",
            "scene.julnet",
            lambda out, _: lambda: _save(out, "new"),
            contents,
            before=lambda out: _save(out, "old"),
            check=_lost_project,
        ),
    ]


_RECIPE = """
[train]
architecture = "rt"
minutes = 0
max_steps = 3
device = "cpu"
threads = 1
log_every = 1
validate_every = 0
save_every_s = 0
[network]
width = 8
fine_width = 8
n_refs = 2
codes = 3
crop_size = [208, 160]
[lips]
codes = 3
epochs = 1
[data]
clips = 1
frames = 1
[loss]
perceptual = 0
"""

_FINETUNE = [
    part
    for setting in (
        "train.minutes=0", "train.max_steps=4", "train.device='cpu'", "train.threads=1", "train.validate_every=0",
        "data.clips=1", "data.frames=1", "loss.perceptual=0",
    )
    for part in ("--set", setting)
]  # fmt: skip
_PLAN = """
recipe = "ablation"
[[table]]
name = "un"
title = "Uncertainty"
set = ["network.width=4", "network.deform_blocks=0", "network.crop_size=[104,80]"]
[[table.row]]
name = "without"
set = ["network.uncertainty=false", "loss.uncertainty=0", "loss.error_head=0"]
[[table.row]]
name = "with"
"""
_LIGHT = ("--set", "loss.perceptual=0", "--set", "data.clips=1", "--set", "lips.codes=3")


def _begun(out: Path, again: bool) -> int:
    return int(again and out.exists())


def contents(out: Path, pattern: str = "*") -> dict[str, str]:
    """Every file under a folder, or those of some names, and the hash of its bytes."""
    files = sorted(path for path in out.rglob(pattern) if path.is_file())
    return {str(p.relative_to(out)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def _weights(out: Path, pattern: str = "*.safetensors") -> dict[str, str]:
    """Numbers of every file of weights or of prepared clips; the headers tell how long it took."""
    from safetensors.torch import load_file

    found = {}
    for path in sorted(out.rglob(pattern)):
        digest = hashlib.sha256()
        for name, tensor in sorted(load_file(path).items()):
            digest.update(name.encode() + tensor.contiguous().view(-1).view(dtype=torch.uint8).numpy().tobytes())
        found[str(path.relative_to(out))] = digest.hexdigest()
    return found


def _scores(out: Path) -> dict[str, str]:
    """What reports in JSON say, without what tells times."""
    return {
        str(path.relative_to(out)): json.dumps(_timeless(json.loads(path.read_text("utf-8"))), sort_keys=True)
        for path in sorted(out.glob("*.json"))
    }


def _timeless(value: object) -> object:
    if isinstance(value, dict):
        return {name: _timeless(part) for name, part in value.items() if name not in _TIMES}
    return [_timeless(part) for part in value] if isinstance(value, list) else value


def _broken_json(out: Path) -> Iterator[str]:
    for path in out.rglob("*.json"):
        try:
            json.loads(path.read_text("utf-8"))
        except ValueError:
            yield f"{path.name} is half-written"


def _pictures(out: Path) -> dict[str, str]:
    """Takes of a batch, without the table, which tells times."""
    return {name: value for name, value in contents(out).items() if not name.startswith("results.")}


def _farm(inputs: Inputs, out: Path) -> None:
    """All tasks of a farm job, those that were done before included."""
    from julnet_plugin.farm.steps import ChunkedTake
    from julnet_plugin.manager import make_manager
    from julnet_plugin.types import RedubRequest

    settings = {"render.chunk_frames": 3, "render.threads": 1, "face.min_mouth_px": 8}
    request = RedubRequest(
        plate=inputs.plate,
        dub=inputs.line,
        take_dir=out,
        model=str(inputs.model),
        device="cpu",
        deliver=("h264", "png"),
        settings=settings,
    )
    take = ChunkedTake(request, make_manager())
    for step in ("track", "paint", "write", "assemble"):
        take.run(step, None, lambda *_: None)


def _finetune(prepared: Path, model: Path, out: Path) -> None:
    """Fine-tuning, from footage that is prepared already: `prepare` is killed on its own.

    Pictures of noise cannot be learnt, so in the end the model is refused; the run beside it tells what was learnt.
    """
    from trainer import finetune

    def copied(footage: object, folder: Path, *_: object, **__: object) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for path in prepared.iterdir():
            shutil.copy(path, folder)

    finetune.prepare = copied  # type: ignore[assignment]  # in a child that ends after this
    from julnet_plugin.cli import main

    code = main(["finetune", str(prepared), "--from", str(model), "-o", str(out), *_FINETUNE])
    if code != _REFUSED:
        raise RuntimeError(f"julnet finetune ended with {code}")


def _install_hosts(home: Path) -> None:
    """The clients of hosts and the editor's menu entry, in a home of their own."""
    home.mkdir(exist_ok=True)
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        os.environ.pop(name, None)
    os.environ["HOME"] = str(home)  # in a child that ends after this
    command("hosts", "install", "resolve", "nuke", "editor")()


def _half_a_model(out: Path) -> Iterator[str]:
    if out.exists():
        yield "a model was handed back that nobody has judged"


def _incomplete(out: Path, files: int) -> Iterator[str]:
    if out.is_dir() and len(list(out.iterdir())) != files:
        yield f"a job folder with {len(list(out.iterdir()))} of {files} files"


def _bundle(out: Path) -> None:
    from julnet_plugin.doctor import Finding, write_bundle
    from julnet_plugin.manager import make_manager

    out.mkdir(exist_ok=True)
    write_bundle(out / "support.zip", [Finding(name="cpu", ok=True, found="some")], make_manager(third_party=False))


def _broken_zips(out: Path) -> Iterator[str]:
    for path in out.glob("*.zip"):
        if not zipfile.is_zipfile(path) or zipfile.ZipFile(path).testzip() is not None:
            yield f"{path.name} is half-written"


def _save(out: Path, name: str) -> None:
    from host_adapters.standalone.project import Project
    from host_adapters.standalone.storage import save

    save(replace(Project(), name=name), out)


def _lost_project(out: Path) -> Iterator[str]:
    from host_adapters.standalone.storage import load

    name = load(out).project.name
    if name not in ("old", "new"):
        yield f"the project is neither the old one nor the new one: {name}"
