from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from julnet_plugin.errors import CheckpointError, DeviceError
from julnet_plugin.model.engine import TorchEngine, load_engine
from julnet_plugin.model.generator import Generator
from julnet_plugin.model.onnx_engine import OPSET, OnnxEngine, export_onnx, references_path

#: Largest difference between PyTorch and ONNX Runtime, both in float32, on the CPU: of pictures (half a code value of
#: 8 bits), and relative of σ. Processors differ: where one sums in another order, up to 6e-4 was seen.
PICTURE_TOLERANCE, RELATIVE_TOLERANCE = 2e-3, 1e-2


@pytest.fixture(scope="module")
def original(make_generator: Callable[..., Generator], describe: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    network = make_generator("wav2lip")
    return export_onnx(network, describe(network), tmp_path_factory.mktemp("export") / "tiny.onnx")[0]


@pytest.fixture
def exported(original: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    for path in (original, references_path(original)):
        shutil.copy(path, tmp_path)
    return tmp_path / original.name


@pytest.mark.parametrize("name", ["paper", "wav2lip"])
@pytest.mark.parametrize("batch", [1, 3])
def test_onnx_runtime_agrees_with_torch(
    name: str, batch: int, make_generator: Callable[..., Generator], describe: Any, make_inputs: Any, tmp_path: Path
) -> None:
    network = make_generator(name)
    info = describe(network, step=12)
    path, _ = export_onnx(network, info, tmp_path / "tiny.onnx")
    *arrays, refs = make_inputs(network, frames=4).arrays()
    outputs = []
    for engine in (OnnxEngine(path, "cpu", batch), TorchEngine(network, info, "cpu", "float32")):
        assert engine.info == info
        engine.set_references(refs)
        outputs.append(engine.run(*arrays))
    np.testing.assert_allclose(outputs[0].image, outputs[1].image, rtol=0, atol=PICTURE_TOLERANCE)
    np.testing.assert_allclose(outputs[0].error, outputs[1].error, rtol=RELATIVE_TOLERANCE, atol=1e-5)
    np.testing.assert_allclose(outputs[0].sigma, outputs[1].sigma, rtol=RELATIVE_TOLERANCE, atol=1e-5)
    assert np.array_equal(outputs[0].image[arrays[1] == 0], arrays[0][arrays[1] == 0])


def test_an_exported_model_is_loaded_by_its_path(exported: Path) -> None:
    engine = load_engine(exported, "cpu")
    assert isinstance(engine, OnnxEngine)
    assert (engine.device, engine.precision) == ("cpu", "float32")


def test_both_files_are_checked_onnx_of_the_stated_opset(exported: Path) -> None:
    for path in (exported, references_path(exported)):
        model = onnx.load(path)
        onnx.checker.check_model(model, full_check=True)
        assert model.opset_import[0].version == OPSET
    assert sorted(file.name for file in exported.parent.iterdir()) == ["tiny.onnx", "tiny.refs.onnx"]


def test_the_network_stays_as_it_is(make_generator: Callable[..., Generator], describe: Any, tmp_path: Path) -> None:
    network = make_generator("wav2lip", width=2)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    export_onnx(network, describe(network), tmp_path / "tiny.onnx")
    after = network.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_lost_half_is_missed(exported: Path) -> None:
    references_path(exported).unlink()
    with pytest.raises(CheckpointError, match="two files"):
        OnnxEngine(exported, "cpu")


def test_halves_of_two_exports_do_not_run_together(
    exported: Path, make_generator: Callable[..., Generator], describe: Any, tmp_path: Path
) -> None:
    network = make_generator("wav2lip", width=2)
    _, other = export_onnx(network, describe(network, step=99), tmp_path / "other.onnx")
    other.replace(references_path(exported))
    with pytest.raises(CheckpointError, match="not exported together"):
        OnnxEngine(exported, "cpu")


@pytest.mark.parametrize("content", [b"", b"text, not a model", None])
def test_a_damaged_model_is_refused_in_one_sentence(content: bytes | None, exported: Path) -> None:
    data = exported.read_bytes()
    exported.write_bytes(data[: len(data) // 2] if content is None else content)
    with pytest.raises(CheckpointError) as caught:
        load_engine(exported, "cpu")
    assert "\n" not in str(caught.value)


def test_a_model_of_somebody_else_is_refused(exported: Path) -> None:
    model = onnx.load(exported)
    del model.metadata_props[:]
    onnx.save(model, exported)
    with pytest.raises(CheckpointError, match="carries no header"):
        OnnxEngine(exported, "cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what happens without CUDA")
def test_cuda_that_is_not_there_is_a_device_error(exported: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DeviceError, match="--device cpu"):
        OnnxEngine(exported, "cuda")
    assert capfd.readouterr().err == ""
