from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from trainer.config import TrainSettings
from trainer.loop import batches_a_step
from trainer.team import Team

SETTINGS = [
    "train.minutes=0",
    "train.max_steps=3",
    "train.accumulate=2",
    "train.log_every=1",
    "train.threads=1",
    "train.device='cpu'",
    "network.width=8",
    "network.fine_width=8",
    "network.n_refs=2",
    "network.codes=3",
    "network.crop_size=[208,160]",
    "lips.codes=3",
    "lips.epochs=1",
    "data.clips=1",
    "data.frames=1",
    "loss.perceptual=0",
    "loss.adversarial=0.1",
    "optim.warmup_steps=2",
]
RECIPE = '[train]\narchitecture = "rt"\n'


def start(dataset: Path, run: Path, recipe: Path, rank: int, size: int, port: int) -> subprocess.Popen[str]:
    """`julnet train` as `torchrun` starts it."""
    known = {"WORLD_SIZE": size, "RANK": rank, "LOCAL_RANK": rank, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    environment = os.environ | {k: str(v) for k, v in known.items()} | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "julnet_plugin.cli", "--json", "--no-plugins", "train", str(dataset)]
    command += ["-o", str(run), "--recipe", str(recipe)]
    command += [word for setting in SETTINGS for word in ("--set", setting)]
    return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def losses(run: Path) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (run / "1-train" / "log.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if k not in ("step", "seconds")} for row in rows]


def test_two_processes_learn_what_one_does_from_the_same_batches(dataset: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(RECIPE)
    port = free_port()
    together = [start(dataset, tmp_path / "two", recipe, rank, 2, port) for rank in range(2)]
    alone = start(dataset, tmp_path / "one", recipe, 0, 1, port)
    for process in (*together, alone):
        _, said = process.communicate(timeout=180)
        assert process.returncode == 0, said

    two, one = (losses(tmp_path / name) for name in ("two", "one"))
    assert len(one) == 3
    for mine, theirs in zip(one, two, strict=True):
        assert mine == pytest.approx(theirs, abs=2e-5)
    weights = [load_file(tmp_path / name / "1-train" / "state.safetensors") for name in ("one", "two")]
    assert weights[0].keys() == weights[1].keys()
    moved = max(float((weights[0][k].float() - weights[1][k].float()).abs().max()) for k in weights[0])
    assert moved < 1e-4


def test_a_step_has_as_many_batches_as_asked_for_or_one_for_each_process() -> None:
    settings = TrainSettings(accumulate=3)
    assert batches_a_step(settings, Team()) == 3
    assert batches_a_step(settings, Team(rank=1, size=2)) == 4
    assert batches_a_step(TrainSettings(), Team(rank=1, size=8)) == 8


def test_one_process_alone_is_told_what_it_says() -> None:
    team = Team()
    assert team.leads
    assert team.told([0.5, True]) == [0.5, 1.0]
    assert torch.equal(team.summed(torch.ones(2)), torch.ones(2))
