"""Export a model to ONNX and compare what it draws with the network that it was made from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from julnet_plugin.errors import CheckpointError, ModelError
from julnet_plugin.model.checkpoint import find_model, load_checkpoint
from julnet_plugin.model.engine import TorchEngine
from julnet_plugin.model.generator import Generator
from julnet_plugin.model.onnx_engine import OnnxEngine, export_onnx
from julnet_plugin.pipeline.dub import silence

if TYPE_CHECKING:
    from julnet_plugin.interfaces import AudioFeatures, GeneratorFactory
    from julnet_plugin.model.engine import Engine, EngineOutput
    from julnet_plugin.model.info import CheckpointInfo

TOLERANCE = 2e-3  #: half an 8-bit code value
_FRAMES = 3


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
        ModelError: the exported network draws something else; its files are removed.
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
    expected = _drawn(TorchEngine(network, info, "cpu", "float32"), info)
    found = _drawn(OnnxEngine(files[0], "cpu"), info)
    difference = max(float(np.abs(a - b).max()) for a, b in zip(expected, found, strict=True))
    if not difference <= TOLERANCE:
        for file in files:
            file.unlink(missing_ok=True)
        msg = f"the exported network differs from torch by {difference:.2g}, {TOLERANCE:g} is allowed; it was removed"
        raise ModelError(msg)
    return Exported(files=files, difference=difference)


def _drawn(engine: Engine, info: CheckpointInfo) -> EngineOutput:
    """What an engine makes of smooth random pictures; equal for equal sizes."""
    rng = np.random.default_rng(0)
    h, w = info.crop_size
    refs = _smooth(rng, info.n_refs, h, w)
    mask = np.zeros((_FRAMES, h, w), np.float32)
    mask[:, h // 2 : h * 7 // 8, w // 4 : w * 3 // 4] = 1
    masked = _smooth(rng, _FRAMES, h, w) * (1 - mask[..., None])
    audio = rng.uniform(-3, 0, (_FRAMES, info.audio_window, info.audio_size)).astype(np.float32)
    engine.set_references(refs)
    return engine.run(masked, mask, audio)


def _smooth(rng: np.random.Generator, count: int, h: int, w: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Pictures without noise: bilinear sampling of noise magnifies the last bit of a flow into something visible."""
    import cv2

    coarse = rng.random((count, 13, 10, 3)).astype(np.float32)
    return np.stack([cv2.resize(picture, (w, h), interpolation=cv2.INTER_LINEAR) for picture in coarse])
