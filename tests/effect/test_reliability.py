"""A small sample of what `benchmarks.reliability` does at length (docs/reliability.md)."""

from __future__ import annotations

import contextlib
import json
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from julnet_plugin.errors import TakeError
from julnet_plugin.pipeline.cropdata import read_arrays, write_arrays

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(sys.platform == "win32", reason="it forks")
def test_damaged_files_end_in_success_or_in_one_sentence(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.reliability.fuzz", "--mutants", "40", "--keep", str(tmp_path / "kept")]
    run = subprocess.run(
        [*command, "--json", str(tmp_path / "out.json")], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    result = json.loads((tmp_path / "out.json").read_text())
    assert (result["mutants"], result["violations"]) == (40, 0)
    assert not (tmp_path / "kept").exists()


def test_stored_arrays_that_are_damaged_anywhere_are_refused_in_one_sentence(tmp_path: Path) -> None:
    write_arrays(tmp_path / "a.npz", {"x": np.arange(4000, dtype=np.float32), "y": np.ones((3, 5), np.uint8)})
    whole, rng = (tmp_path / "a.npz").read_bytes(), random.Random(5)
    refused = 0
    for _ in range(400):
        damaged = bytearray(whole)
        for _ in range(rng.choice((1, 3, 20))):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        (tmp_path / "b.npz").write_bytes(damaged[: rng.choice((len(damaged), rng.randrange(len(damaged))))])
        with contextlib.suppress(TakeError):
            read_arrays(tmp_path / "b.npz", ("x", "y"))
            refused -= 1
        refused += 1
    assert refused > 300
