"""Export a model to ONNX and compare what it draws with the network that it was made from."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from julnet_plugin.errors import CheckpointError, ModelError
from julnet_plugin.model.checkpoint import find_model, load_checkpoint
from julnet_plugin.model.engine import TorchEngine
from julnet_plugin.model.generator import Generator
from julnet_plugin.model.lips import SHAPE_POINTS
from julnet_plugin.model.onnx_engine import OnnxEngine, export_onnx
from julnet_plugin.model.rt import RtGenerator
from julnet_plugin.pipeline.dub import silence

if TYPE_CHECKING:
    from julnet_plugin.interfaces import AudioFeatures, GeneratorFactory
    from julnet_plugin.model.engine import Engine, EngineOutput
    from julnet_plugin.model.info import CheckpointInfo

TOLERANCE = 2e-3  #: half an 8-bit code value
_FRAMES = 3

Float32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What was written, and how far it is from torch."""

    files: tuple[Path, ...]
    difference: float  #: largest, over image, error and σ of some frames


def export_model(
    model: str | Path,
    output: Path,
    generators: Callable[[str], GeneratorFactory] | None = None,
    features: Callable[[str], AudioFeatures] | None = None,
) -> Exported:
    """Write a generator as ONNX, and check it.

    Args:
        model: a shipped configuration's name, or a weights file.
        output: NAME.onnx.
        generators: finds an architecture by name.
        features: finds an audio feature extractor by name, for what silence sounds like; None leaves that out.

    Raises:
        CheckpointError: not a generator's weights.
        ModelError: the exported network draws something else, or does not run; its files are removed.
    """
    path = find_model(model)
    info, network = load_checkpoint(path, generators)
    if not isinstance(network, Generator):
        msg = f"{path} holds a {info.kind}, and a generator is needed; give a generator's weights"
        raise CheckpointError(msg, path)
    if features is not None:
        quiet = np.tile(silence(features(info.audio_feature)), (info.audio_window, 1))
        with torch.inference_mode():
            network.eval().hear_silence(torch.from_numpy(quiet))
    output.parent.mkdir(parents=True, exist_ok=True)
    files = export_onnx(network, info, output)
    try:
        difference = _difference(network, info, files[0])
    except BaseException:
        _remove(files)
        raise
    if not difference <= TOLERANCE:
        _remove(files)
        msg = f"the exported network differs from torch by {difference:.2g}, {TOLERANCE:g} is allowed; it was removed"
        raise ModelError(msg)
    return Exported(files=files, difference=difference)


def _remove(files: Iterable[Path]) -> None:
    for file in files:
        file.unlink(missing_ok=True)


def _difference(network: Generator, info: CheckpointInfo, file: Path) -> float:
    """Largest difference of what torch and ONNX Runtime draw, over image, error and σ."""
    lips = _lips(network, info)
    expected = _drawn(TorchEngine(network, info, "cpu", "float32"), info, lips)
    found = _drawn(OnnxEngine(file, "cpu"), info, lips)
    return max(float(np.abs(a - b).max()) for a, b in zip(expected, found, strict=True))


def _lips(network: Generator, info: CheckpointInfo) -> Float32 | None:
    """Lips for the references and, last, a closed mouth, (N + 1, 48, 3); None for a network that does not want them."""
    if not network.uses_lips:
        return None
    closed = np.zeros((len(SHAPE_POINTS), 3), np.float32)
    if isinstance(network, RtGenerator):
        closed = np.asarray(network.lip_mean.float().numpy(), np.float32)
    shapes = np.repeat(closed[None], info.n_refs + 1, axis=0)
    if network.lip_basis is not None:
        codes = np.random.default_rng(1).standard_normal((info.n_refs, len(network.lip_basis.spread)))
        shapes[:-1] += network.lip_basis.decode(codes.astype(np.float32))
    return shapes


def _drawn(engine: Engine, info: CheckpointInfo, lips: Float32 | None) -> EngineOutput:
    """What an engine makes of smooth random pictures; equal for equal sizes."""
    rng = np.random.default_rng(0)
    h, w = info.crop_size
    refs = _smooth(rng, info.n_refs, h, w)
    mask = np.zeros((_FRAMES, h, w), np.float32)
    mask[:, h // 2 : h * 7 // 8, w // 4 : w * 3 // 4] = 1
    masked = _smooth(rng, _FRAMES, h, w) * (1 - mask[..., None])
    audio = rng.uniform(-3, 0, (_FRAMES, info.audio_window, info.audio_size)).astype(np.float32)
    engine.set_references(refs, lips)
    return engine.run(masked, mask, audio)


def _smooth(rng: np.random.Generator, count: int, h: int, w: int) -> Float32:
    """Pictures without noise: bilinear sampling of noise magnifies the last bit of a flow into something visible."""
    import cv2

    coarse = rng.random((count, 13, 10, 3)).astype(np.float32)
    return np.stack([cv2.resize(picture, (w, h), interpolation=cv2.INTER_LINEAR) for picture in coarse])
