"""The plate's grain on the generated mouth, from the plate's pixels to the delivered ones."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from julnet_plugin.compose.grain import noise_levels
from julnet_plugin.media.reader import open_plate
from julnet_plugin.pipeline.takedata import TakeData
from julnet_plugin.take import frames_of
from julnet_plugin.types import Take

SIGMA = 6.0  #: code values, the same in red, green and blue


@pytest.fixture(scope="module")
def grainy(portrait: list[NDArray[np.uint8]], write_plate: Callable[..., Path]) -> Path:
    rng = np.random.default_rng(0)
    noisy = [p + rng.normal(0, SIGMA, (*p.shape[:2], 1)) for p in portrait[:10]]
    return write_plate([np.clip(p, 0, 255).round().astype(np.uint8) for p in noisy])


def mouths(take: Take) -> list[NDArray[np.float32]]:
    """The middle of the generated region of every finished frame, display values."""
    data = TakeData(take.path, frames_of(take), chunk_frames=7)
    middle = data.plate_from_crop(4) @ [160.0, 300.0, 1.0]
    x, y = (round(float(v)) for v in middle)
    with open_plate(take.path / "png" / "dub.######.png") as pictures:
        return [f.rgb[y - 10 : y + 10, x - 14 : x + 14].astype(np.float32) / 255 for f in pictures.frames()]


def flicker(frames: list[NDArray[np.float32]]) -> float:
    """Luma noise between neighbouring frames, code values."""
    pairs = [noise_levels((b - a) * np.float32(np.sqrt(0.5))) for a, b in pairwise(frames)]
    return float(255 * np.median(pairs, axis=0)[0, 0])


def test_a_mouth_in_a_grainy_plate_has_the_plates_grain(
    render: Callable[..., Take], grainy: Path, tmp_path: Path
) -> None:
    def rendered(name: str, share: float) -> Take:
        settings: dict[str, Any] = {"render.chunk_frames": 7, "render.threads": 1, "compose.grain": share}
        return render(tmp_path / name, plate=grainy, settings=settings)

    without, grained = rendered("without", 0.0), rendered("with", 1.0)
    noise = TakeData(grained.path, frames_of(grained), chunk_frames=7).noise(3)
    assert noise is not None
    assert 255 * float(noise[0, 0]) == pytest.approx(SIGMA, rel=0.25)
    assert flicker(mouths(without)) < 0.5 * SIGMA
    assert flicker(mouths(grained)) == pytest.approx(SIGMA, rel=0.35)


def test_a_clean_plate_stays_clean(render: Callable[..., Take], tmp_path: Path) -> None:
    take = render(tmp_path / "take", out_point="8")
    noise = TakeData(take.path, frames_of(take), chunk_frames=7).noise(3)
    assert noise is not None
    assert not noise.any()
