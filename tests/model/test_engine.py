from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from julnet_plugin.errors import CheckpointError, DeviceError, SettingsError, ShapeError
from julnet_plugin.model import engine as engine_module
from julnet_plugin.model.architectures import BUILT_IN, Architecture
from julnet_plugin.model.checkpoint import save_checkpoint
from julnet_plugin.model.engine import Engine, TorchEngine, fast_precision, load_engine
from julnet_plugin.model.generator import Generator
from julnet_plugin.model.info import CheckpointInfo

MakeEngine = Callable[..., tuple[TorchEngine, tuple[Any, ...]]]


@pytest.fixture
def make_engine(make_generator: Callable[..., Generator], make_inputs: Any, describe: Any) -> MakeEngine:
    """An engine with its references set, and what to run it on: masked, mask, audio."""

    def make(
        name: str = "paper", frames: int = 3, config: dict[str, Any] | None = None, **options: Any
    ) -> tuple[TorchEngine, tuple[Any, ...]]:
        network = make_generator(name, **(config or {}))
        engine = TorchEngine(network, describe(network), "cpu", **options)
        *arrays, refs = make_inputs(network, frames=frames).arrays()
        engine.set_references(refs)
        return engine, tuple(arrays)

    return make


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("paper", {}),
        ("paper", {"width": 16, "crop_size": (52, 40)}),
        ("wav2lip", {}),
        ("wav2lip", {"width": 32, "crop_size": (32, 32)}),
    ],
)  # the wider ones are wide enough for every faster convolution
def test_an_engine_gives_what_the_network_gives(
    name: str,
    config: dict[str, Any],
    make_engine: MakeEngine,
    make_generator: Callable[..., Generator],
    make_inputs: Any,
) -> None:
    engine, (masked, mask, audio) = make_engine(name, config=config, precision="float32")
    output = engine.run(masked, mask, audio)
    network = make_generator(name, **config)
    inputs = make_inputs(network, frames=3)
    with torch.no_grad():
        expected = network(*inputs[:3], network.encode_references(inputs.refs))
    np.testing.assert_allclose(output.image, expected.image.permute(0, 2, 3, 1), atol=1e-3)
    np.testing.assert_allclose(output.error, (expected.error.clamp(max=1) * inputs.mask)[:, 0], atol=1e-3, rtol=1e-3)
    np.testing.assert_allclose(
        output.sigma, (expected.log_sigma.clamp(max=0).exp() * inputs.mask)[:, 0], atol=1e-3, rtol=1e-3
    )


def test_outside_the_mask_the_picture_is_the_source_and_nothing_is_uncertain(make_engine: MakeEngine) -> None:
    for precision in ("float32", "bfloat16"):
        engine, (masked, mask, audio) = make_engine(precision=precision)
        output = engine.run(masked, mask, audio)
        assert [array.dtype for array in output] == [np.float32] * 3
        outside = mask == 0
        assert np.array_equal(output.image[outside], masked[outside])
        assert not output.error[outside].any()
        assert not output.sigma[outside].any()
        assert (output.sigma[~outside] >= 1 / 256).all()


def test_a_frame_comes_out_the_same_whatever_frames_are_beside_it(make_engine: MakeEngine) -> None:
    for batch in (1, 4):
        engine, (masked, mask, audio) = make_engine(frames=6, batch=batch)
        whole = engine.run(masked, mask, audio)
        parts = [engine.run(masked[a:b], mask[a:b], audio[a:b]) for a, b in ((0, 1), (1, 3), (3, 6))]
        for k, name in enumerate(whole._fields):
            assert np.array_equal(np.concatenate([part[k] for part in parts]), whole[k]), (batch, name)


def test_two_engines_of_one_network_give_the_same_bytes(make_engine: MakeEngine) -> None:
    (a, arrays), (b, _) = make_engine(), make_engine()
    assert all(np.array_equal(x, y) for x, y in zip(a.run(*arrays), b.run(*arrays), strict=True))


def test_bfloat16_stays_close_to_float32(make_engine: MakeEngine) -> None:
    (exact, arrays), (half, _) = (make_engine("wav2lip", precision=p) for p in ("float32", "bfloat16"))
    a, b = exact.run(*arrays), half.run(*arrays)
    inside = arrays[1] > 0
    assert not np.array_equal(a.image, b.image)
    assert np.abs(a.image - b.image)[inside].mean() < 0.05 * a.image[inside].std()


def test_no_frames_give_no_frames(make_engine: MakeEngine) -> None:
    engine, arrays = make_engine()
    assert [array.shape[0] for array in engine.run(*(array[:0] for array in arrays))] == [0, 0, 0]


def test_new_references_replace_the_old_ones(make_engine: MakeEngine) -> None:
    engine, arrays = make_engine()
    before = engine.run(*arrays).image
    engine.set_references(np.zeros((engine.info.n_refs, *engine.info.crop_size, 3), np.float32))
    assert not np.array_equal(engine.run(*arrays).image, before)


def test_the_network_that_an_engine_was_made_of_stays_as_it_is(
    make_generator: Callable[..., Generator], describe: Any
) -> None:
    network = make_generator("paper").train()
    keys = list(network.state_dict())
    TorchEngine(network, describe(network), "cpu", precision="bfloat16")
    assert network.training
    assert list(network.state_dict()) == keys
    assert {p.dtype for p in network.parameters()} == {torch.float32}


def test_wrong_shapes_are_refused_with_both_shapes(make_engine: MakeEngine) -> None:
    engine, (masked, mask, audio) = make_engine()
    for wrong, what in (
        ((masked[:, :-4], mask, audio), "masked source"),
        ((masked, mask[:-1], audio), "mask"),
        ((masked, mask, audio[:, :20]), "audio"),
        ((masked, mask, audio[..., :3]), "audio"),
    ):
        with pytest.raises(ShapeError, match=what) as caught:
            engine.run(*wrong)
        assert caught.value.actual != caught.value.expected
    with pytest.raises(ShapeError, match="references"):
        engine.set_references(np.zeros((1, *engine.info.crop_size, 3), np.float32))


def test_running_without_references_is_our_mistake(make_generator: Callable[..., Generator], describe: Any) -> None:
    network = make_generator("paper")
    engine = TorchEngine(network, describe(network), "cpu")
    with pytest.raises(RuntimeError, match="set_references"):
        engine.run(*(np.zeros(0, np.float32) for _ in range(3)))


@pytest.mark.parametrize("device", ["gpu", "cuda:x", "cpu:1", ""])
def test_an_unknown_device_is_the_users_mistake(device: str) -> None:
    with pytest.raises(SettingsError, match="auto, cpu, cuda"):
        engine_module.choose_device(device)


def test_an_absent_device_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(DeviceError, match="no CUDA device; use --device cpu") as caught:
        engine_module.choose_device("cuda:1")
    assert caught.value.device == "cuda:1"
    assert engine_module.choose_device("auto").type == "cpu"


def test_memory_that_runs_out_is_a_device_error(make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, arrays = make_engine()

    def full(*_: object) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(engine._network, "forward", full)
    with pytest.raises(DeviceError, match="too little free memory"):
        engine.run(*arrays)


@pytest.mark.parametrize(("flags", "precision"), [({}, "float32"), ({"avx512_bf16": True}, "bfloat16")])
def test_a_cpu_uses_bfloat16_only_where_it_has_it(
    flags: dict[str, bool], precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: flags)
    assert fast_precision(torch.device("cpu")) == precision


def test_an_engine_is_loaded_from_a_weights_file(
    make_generator: Callable[..., Generator], describe: Any, tmp_path: Path, make_engine: MakeEngine
) -> None:
    network, path = make_generator("paper"), tmp_path / "a.safetensors"
    save_checkpoint(network, describe(network), path, half=False)
    engine = load_engine(path, "cpu", threads=1)
    assert isinstance(engine, Engine)
    assert torch.get_num_threads() == 1
    other, arrays = make_engine()
    engine.set_references(make_refs := np.full((2, 104, 80, 3), 0.5, np.float32))
    other.set_references(make_refs)
    assert np.array_equal(engine.run(*arrays).image, other.run(*arrays).image)


@pytest.mark.parametrize("architecture", BUILT_IN, ids=lambda a: a.name)
def test_every_built_in_architecture_runs_in_an_engine(architecture: Architecture, tmp_path: Path) -> None:
    small: dict[str, object] = {"width": 16, "crop_size": [208, 160]}
    network, path = architecture.build(small), tmp_path / "a.safetensors"
    info = CheckpointInfo.of(network, architecture=architecture.name, audio_feature="test")
    save_checkpoint(network, info, path)
    engine = load_engine(path, "cpu")
    draw = np.random.default_rng(0)
    engine.set_references(draw.random((info.n_refs, 208, 160, 3), np.float32))
    mask = np.zeros((2, 208, 160), np.float32)
    mask[:, 100:180, 30:130] = 1
    masked = draw.random((2, 208, 160, 3), np.float32) * (1 - mask[..., None])
    output = engine.run(masked, mask, draw.random((2, info.audio_window, info.audio_size), np.float32))
    assert all(np.isfinite(array).all() for array in output)
    assert np.array_equal(output.image[mask == 0], masked[mask == 0])
    assert output.image[mask > 0].std() > 0
    assert (output.sigma[mask > 0] > 0).all()


def test_a_syncnet_is_no_model_to_dub_with(make_syncnet: Any, describe: Any, tmp_path: Path) -> None:
    network, path = make_syncnet(), tmp_path / "sync.safetensors"
    save_checkpoint(network, describe(network), path)
    with pytest.raises(CheckpointError, match="generator is needed"):
        load_engine(path)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_agrees_with_the_cpu(make_generator: Callable[..., Generator], describe: Any, make_inputs: Any) -> None:
    network = make_generator("paper", width=16)
    *arrays, refs = make_inputs(network, frames=5).arrays()
    outputs = []
    for device in ("cpu", "cuda"):
        engine = TorchEngine(network, describe(network), device, precision="float32")
        engine.set_references(refs)
        outputs.append(engine.run(*arrays))
    for a, b in zip(*outputs, strict=True):
        np.testing.assert_allclose(a, b, atol=5e-3)
