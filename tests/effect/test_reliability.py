"""A small sample of what `benchmarks.reliability` does at length (docs/reliability.md)."""

from __future__ import annotations

import contextlib
import importlib
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
    command = [sys.executable, "-m", "benchmarks.reliability.fuzz", "--mutants", "24", "--keep", str(tmp_path / "kept")]
    run = subprocess.run(
        [*command, "--json", str(tmp_path / "out.json")], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    result = json.loads((tmp_path / "out.json").read_text())
    assert (result["mutants"], result["violations"]) == (24, 0)
    assert not (tmp_path / "kept").exists()


_DEEP = 100_000
_LIST = "[" * _DEEP + "]" * _DEEP
_XML = '<?xml version="1.0"?>' + "<mlt>" * _DEEP + "</mlt>" * _DEEP


@pytest.mark.skipif(sys.platform == "win32", reason="it forks")
@pytest.mark.parametrize(
    ("name", "text", "reader"),
    [
        ("a.otio", _LIST, "julnet_plugin.interchange.timeline:read_timeline"),  # its parser is C++ and overflows
        ("a.otio", _LIST, "host_adapters.standalone.storage:load_file"),
        ("a.xml", _XML, "julnet_plugin.interchange.timeline:read_timeline"),
        ("a.mlt", _XML, "host_adapters.mlt.session:MltSession"),
        ("take.json", _LIST, "host_adapters.base:read_take"),
        ("hosts.json", _LIST, "host_adapters.client_config:read_config"),
        ("a.toml", f"a = {_LIST}", "julnet_plugin.config:read_toml"),
        ("a.json", _LIST, "julnet_plugin.matte.document:load_document"),
        ("a.json", _LIST, "trainer.study.scores:_read"),
    ],
)
def test_a_document_nested_without_end_is_refused_in_one_sentence(
    name: str, text: str, reader: str, tmp_path: Path
) -> None:
    from benchmarks.reliability.children import run
    from host_adapters.base import HostProblem
    from host_adapters.client_config import ConfigProblem
    from julnet_plugin.errors import InputError

    path = tmp_path / name
    path.write_text(text, "utf-8")
    module, _, function = reader.partition(":")
    read = getattr(importlib.import_module(module), function)

    def judged() -> None:
        try:
            read(str(path) if module.startswith("host_adapters") and "standalone" not in module else path)
        except (HostProblem, ConfigProblem) as exc:
            raise InputError(str(exc)) from exc

    end = run(judged, tmp_path / "log")
    assert (end.code, end.violation) == (2, ""), end.said


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
