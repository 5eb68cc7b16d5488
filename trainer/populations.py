"""Distances between sets of pictures: FID or its substitute, and whether a face still looks like its owner."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from julnet_plugin.errors import CheckpointError
from trainer.distances import pooled_statistics

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


Floats = NDArray[np.floating[Any]]
Float64 = NDArray[np.float64]


def frechet_distance(a: Floats, b: Floats) -> float:
    """Fréchet distance of two sets of features, each taken for a Gaussian: |μ_a − μ_b|² + tr(A + B − 2 (A B)^½).

    The trace of the root is taken from the eigenvalues of A^½ B A^½, which stay real and non-negative where there are
    fewer pictures than features.

    Shape:
        a, b: (n, D) and (m, D), n and m at least 2.

    Source:
        Heusel et al., GANs trained by a two time-scale update rule (NeurIPS 2017).
    """
    a, b = a.astype(np.float64), b.astype(np.float64)
    cov_a, cov_b = np.atleast_2d(np.cov(a, rowvar=False)), np.atleast_2d(np.cov(b, rowvar=False))
    values, vectors = np.linalg.eigh(cov_a)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    cross = np.linalg.eigvalsh(root @ cov_b @ root)
    trace = np.trace(cov_a) + np.trace(cov_b) - 2.0 * np.sqrt(np.maximum(cross, 0.0)).sum()
    return float(np.square(a.mean(axis=0) - b.mean(axis=0)).sum() + max(trace, 0.0))


class Describer(Protocol):
    """Pictures to one feature vector each, and the name of the Fréchet distance over them."""

    name: str

    def __call__(self, pictures: torch.Tensor, features: Sequence[torch.Tensor]) -> Float64:
        """Describe pictures.

        Shape:
            pictures: (B, 3, h, w) RGB in [0, 1].
            features: what the picture distance's network made of them.
            returns: (B, D).
        """


class InceptionFile:
    """The features of FID itself, from an ONNX file that the user supplies.

    The file is an export of the FID InceptionV3 with RGB in [0, 1] at its input (it resizes to 299 by itself, or has a
    fixed input size) and its 2048 pooled features at its output.
    """

    name = "fid"

    def __init__(self, path: Path) -> None:
        import onnxruntime

        if not path.is_file():
            msg = f"there is no Inception file {path}"
            raise CheckpointError(msg, path)
        try:
            self._session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        except Exception as exc:  # onnxruntime's own exceptions share no base
            msg = f"{path} is not a readable ONNX file"
            raise CheckpointError(msg, path) from exc
        entry = self._session.get_inputs()[0]
        self._entry: str = entry.name
        self._size = tuple(s for s in entry.shape[2:] if isinstance(s, int))

    def __call__(self, pictures: torch.Tensor, features: Sequence[torch.Tensor]) -> Float64:
        """See `Describer`."""
        if len(self._size) == 2 and tuple(pictures.shape[2:]) != self._size:
            pictures = torch.nn.functional.interpolate(pictures, self._size, mode="bilinear", align_corners=False)
        pooled = self._session.run(None, {self._entry: pictures.numpy().astype(np.float32)})[0]
        return np.asarray(pooled, np.float64).reshape(len(pictures), -1)


class PooledFeatures:
    """The substitute: channel means and spreads of the features that the picture distance uses.

    Args:
        distance_name: of that distance; the Fréchet distance is named after it.
    """

    def __init__(self, distance_name: str) -> None:
        self.name = f"frechet-{distance_name.removesuffix('-distance')}"

    def __call__(self, pictures: torch.Tensor, features: Sequence[torch.Tensor]) -> Float64:
        """See `Describer`."""
        return pooled_statistics(features).cpu().numpy().astype(np.float64)


def load_describer(inception: Path | None, distance_name: str) -> Describer:
    """FID's features where the user has them, else the substitute, named after the picture distance."""
    return PooledFeatures(distance_name) if inception is None else InceptionFile(inception)


def identity_similarity(
    generated: Mapping[str, Floats], truth: Mapping[str, Floats], speaker: Mapping[str, str]
) -> tuple[dict[str, float], float]:
    """Does a generated clip still look like its own speaker? A proxy, for want of a face recogniser.

    A clip is described by what its skin and mouth are made of (`pooled_statistics` averaged over frames). Descriptions
    are standardised over the true clips, so that what all faces share doesn't count.

    Args:
        generated: clip name to (D,) description of the generated clip.
        truth: clip name to (D,) description of the true clip.
        speaker: clip name to speaker.

    Returns:
        For each clip the cosine of its generated and its true description, and the share of clips whose generated
        version is nearer to a true clip of its own speaker than to any of another; NaN with fewer than two speakers.
    """
    names = sorted(truth)
    real = np.stack([truth[n] for n in names]).astype(np.float64)
    made = np.stack([generated[n] for n in names]).astype(np.float64)
    spread = real.std(axis=0)
    used = spread > 1e-9
    centre = real.mean(axis=0)
    real, made = ((x - centre)[:, used] / spread[used] for x in (real, made))
    cosine = _unit_rows(made) @ _unit_rows(real).T
    own = {name: float(cosine[k, k]) for k, name in enumerate(names)}
    who = [speaker[n] for n in names]
    if len(set(who)) < 2:
        return own, float("nan")
    hits = [who[int(row.argmax())] == who[k] for k, row in enumerate(cosine)]
    return own, float(np.mean(hits))


def _unit_rows(x: Float64) -> Float64:
    return np.asarray(x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12))
