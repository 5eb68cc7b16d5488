"""A GPU that runs out of memory or is lost costs time, not the render."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from julnet_plugin.errors import DeviceError, DeviceMemoryError, ShapeError
from julnet_plugin.model.checkpoint import save_checkpoint
from julnet_plugin.model.enduring import EnduringEngine
from julnet_plugin.model.engine import TorchEngine, load_engine
from julnet_plugin.model.generator import Generator
from julnet_plugin.model.rt import RtConfig, RtGenerator


class Gpu(TorchEngine):
    """A GPU whose memory holds so many frames; -1 = none at all, and a lost one holds none either."""

    def __init__(self, network: Generator, info: Any, holds: int, *, lost: bool = False, full_at_start: bool = False):
        if full_at_start:
            raise DeviceMemoryError("the device cuda:0 has too little free memory; use --device cpu", "cuda:0")
        super().__init__(network, info, "cpu", "float32", 8)
        self.device, self.holds, self.lost = "cuda:0", holds, lost

    def _generate(self, masked: Any, mask: Any, audio: Any) -> tuple[Any, Any, Any]:
        if self.lost:
            raise DeviceError("the device cuda:0 failed: unspecified launch failure; use --device cpu", "cuda:0")
        if len(masked) > self.holds:
            raise DeviceMemoryError("the device cuda:0 has too little free memory; use --device cpu", "cuda:0")
        return super()._generate(masked, mask, audio)


@pytest.fixture
def made(make_generator: Callable[..., Generator], make_inputs: Any, describe: Any) -> Callable[..., Any]:
    """An enduring engine on such a GPU; what it is asked, and what an untroubled CPU answers."""

    def make(**gpu: Any) -> tuple[EnduringEngine, tuple[Any, ...], Any]:
        network = make_generator("paper")
        info = describe(network)
        *arrays, refs = make_inputs(network, frames=5).arrays()
        cpu = TorchEngine(network, info, "cpu", "float32")
        cpu.set_references(refs)

        def build(device: str) -> TorchEngine:
            return cpu_again if device == "cpu" else Gpu(network, info, **gpu)

        cpu_again = TorchEngine(network, info, "cpu", "float32")
        engine = EnduringEngine(build, "cuda")
        engine.set_references(refs)
        return engine, tuple(arrays), cpu.run(*arrays)

    return make


@pytest.mark.parametrize(
    ("gpu", "device", "batch", "said"),
    [
        ({"holds": 8}, "cuda:0", 8, []),
        ({"holds": 3}, "cuda:0", 2, ["with 4 frames at once", "with 2 frames at once"]),
        ({"holds": 1}, "cuda:0", 1, ["with 4 frames", "with 2 frames", "with one frame at once"]),
        ({"holds": 0}, "cpu", 1, ["4 frames", "2 frames", "one frame", "memory: going on on the CPU"]),
        ({"holds": 8, "lost": True}, "cpu", 1, ["unspecified launch failure: going on on the CPU"]),
        ({"holds": 8, "full_at_start": True}, "cpu", 1, ["memory: going on on the CPU"]),
    ],
)  # fmt: skip
def test_what_does_not_fit_goes_in_smaller_batches_and_then_to_the_cpu(
    gpu: dict[str, Any], device: str, batch: int, said: list[str], made: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        engine, arrays, expected = made(**gpu)
        output = engine.run(*arrays)
    for found, wanted in zip(output, expected, strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-4)
    assert (engine.device, engine.batch) == (device, batch)
    assert len(engine.setbacks) == len(said)
    assert all(words in sentence for words, sentence in zip(said, engine.setbacks, strict=True))
    assert [record.getMessage() for record in caplog.records] == list(engine.setbacks)


def test_the_next_shot_s_references_reach_the_engine_that_is_left(made: Any, make_inputs: Any) -> None:
    engine, arrays, before = made(holds=0)
    engine.run(*arrays)
    engine.set_references(np.full((2, 104, 80, 3), 0.2, np.float32))
    after = engine.run(*arrays)
    assert not np.array_equal(after.image, before.image)
    assert len(engine.setbacks) == 4  # and nothing was tried in vain again


def test_a_cpu_without_memory_is_one_sentence(
    make_generator: Callable[..., Generator], describe: Any, make_inputs: Any, tmp_path: Path
) -> None:
    network = make_generator("paper")
    save_checkpoint(network, describe(network), tmp_path / "a.safetensors", half=False)
    engine = load_engine(tmp_path / "a.safetensors", "cpu")
    *arrays, refs = make_inputs(network, frames=1).arrays()
    engine.set_references(refs)
    engine._network.forward = lambda *_: torch.empty(1 << 60)  # type: ignore[attr-defined]
    with pytest.raises(DeviceMemoryError, match="the machine has too little free memory"):
        engine.run(*arrays)


def test_silence_reaches_the_engine_that_draws_and_the_one_that_takes_over(
    make_generator: Callable[..., Generator], make_inputs: Any, describe: Any
) -> None:
    network = make_generator("rt")
    info = describe(network)
    *arrays, refs = make_inputs(network, frames=2).arrays()
    quiet = np.full(info.audio_size, 0.5, np.float32)
    gpu = Gpu(network, info, -1)
    cpu = TorchEngine(network, info, "cpu", "float32")
    heard: list[str] = []
    for engine in (gpu, cpu):
        engine.hear_silence = lambda _, device=engine.device: heard.append(device)  # type: ignore[method-assign,misc]
    engine = EnduringEngine(lambda device: cpu if device == "cpu" else gpu, "cuda")
    engine.hear_silence(quiet)
    assert heard == ["cuda:0"]
    engine.set_references(refs)
    engine.run(*arrays)
    assert heard == ["cuda:0", "cpu"]


def test_the_cpu_that_takes_over_draws_crops_of_the_same_size(describe: Any) -> None:
    network = RtGenerator(RtConfig(width=8, fine_width=8, audio_size=42)).eval()
    info = describe(network)

    def build(device: str) -> TorchEngine:
        return TorchEngine(network, info, "cpu", "float32") if device == "cpu" else Gpu(network, info, 8, lost=True)

    engine = EnduringEngine(build, "cuda")
    engine.use_crops((208, 160))
    rng = np.random.default_rng(0)
    engine.set_references(rng.random((5, 208, 160, 3), np.float32))
    mask = np.zeros((1, 208, 160), np.float32)
    masked, audio = rng.random((1, 208, 160, 3), np.float32), np.zeros((1, 21, 42), np.float32)
    assert engine.run(masked, mask, audio).image.shape == (1, 208, 160, 3)
    assert (engine.device, engine.info.crop_size) == ("cpu", (208, 160))
    with pytest.raises(ShapeError, match="not of"):
        engine.use_crops((104, 80))
