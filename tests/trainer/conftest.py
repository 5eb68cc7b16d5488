"""Prepared clips that no camera saw: a portrait whose mouth is an ellipse that opens with its sound."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from skimage import data

from julnet_plugin.face.crop import CROP_W, mean_face
from julnet_plugin.model.lips import SHAPE_POINTS
from trainer.dataset import Clip, ClipHeader, encode_crop, write_clip

RATE = 25.0
STEP_S = 0.02
LEAD_S = 0.5  #: sound before the first frame
FEATURES = 42

MakeClip = Callable[..., Clip]


def speech(seed: int, times_s: NDArray[np.floating]) -> NDArray[np.float64]:  # type: ignore[type-arg]
    """How far a mouth is open at each time, in face units: 0 to about 0.3, no two seeds alike."""
    rng = np.random.default_rng(seed)
    waves = [np.sin(2 * np.pi * rng.uniform(0.8, 3.5) * times_s + rng.uniform(0, 6.28)) for _ in range(4)]
    return np.asarray(0.12 * np.clip(0.8 + np.sum(waves, axis=0) / 2, 0, None))


def lips_of(opening: NDArray[np.float64]) -> NDArray[np.float32]:
    """(T, 48, 3) lip contours and jaw: the lower lip and the chin go down as the mouth opens."""
    shape = np.repeat(mean_face()[list(SHAPE_POINTS)][None], len(opening), axis=0)
    lower = np.zeros(len(SHAPE_POINTS))
    lower[1:10], lower[21:30], lower[40:] = 1.0, 1.0, 0.8
    shape[:, :, 1] += opening[:, None] * lower
    return shape.astype(np.float32)


def sound_of(seed: int, seconds: float, late_s: float) -> NDArray[np.float32]:
    """(S, 42) features whose first column tells the opening, `late_s` after the lips show it; the rest is noise."""
    rng = np.random.default_rng(seed + 1000)
    times = (np.arange(int(seconds / STEP_S)) + 0.5) * STEP_S
    features = 0.3 * rng.standard_normal((len(times), FEATURES))
    features[:, 0] = 10 * speech(seed, times - late_s) - 1
    return features.astype(np.float32)


@cache
def portrait() -> NDArray[np.uint8]:
    """The face of an installed package's photograph. (260, 200, 3)."""
    return np.asarray(data.astronaut()[40:300, 130:330], np.uint8)


def picture_of(opening: float, speaker: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """(h, w, 3) a portrait with a dark ellipse for a mouth."""
    k = size[1] / CROP_W
    face = cv2.resize(np.roll(portrait(), speaker, axis=2), (size[1], size[0]))
    centre, axes = (round(160 * k), round(250 * k)), (round(45 * k), max(1, round((6 + 200 * opening) * k)))
    cv2.ellipse(face, centre, axes, 0, 0, 360, (60, 20, 25), -1)
    return np.asarray(face, np.uint8)


@pytest.fixture(scope="session")
def make_clip() -> MakeClip:
    """`make_clip("a1", speaker="a", frames=30, seed=1, late_s=0.0, …)`."""

    def make(
        name: str = "a1",
        speaker: str = "a",
        *,
        frames: int = 30,
        seed: int = 0,
        late_s: float = 0.0,
        split: str = "train",
        size: tuple[int, int] = (208, 160),
        pictures: bool = True,
        mouth_px: float = 90.0,
    ) -> Clip:
        times = LEAD_S + np.arange(frames) / RATE
        opening = speech(seed, times)
        angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        outline = np.stack([160 + 95 * np.cos(angle), 255 + 80 * np.sin(angle)], axis=1)
        crops = [encode_crop(picture_of(o, sum(map(ord, speaker)) % 3, size)) for o in opening] if pictures else []
        return Clip(
            header=ClipHeader(
                name=name,
                speaker=speaker,
                split=split,
                rate=RATE,
                crop_size=size,
                features="phone-42",
                feature_step_s=STEP_S,
                has_pictures=pictures,
                source=name,
                source_hash=f"hash of {name}",
            ),
            jpeg=crops,
            times_s=times,
            region=np.repeat(outline[None], frames, axis=0).astype(np.float32),
            lips=lips_of(opening),
            angles=np.zeros((frames, 3), np.float32),
            mouth_px=np.full(frames, mouth_px, np.float32),
            sharpness=np.full(frames, 50.0, np.float32),
            audio=sound_of(seed, frames / RATE + 2 * LEAD_S, late_s),
        )

    return make


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory, make_clip: MakeClip) -> Path:
    """A dataset folder of three speakers to learn from and one who is held out. Do not write to it."""
    folder = tmp_path_factory.mktemp("dataset")
    for k, speaker in enumerate(("ann", "bob", "cy")):
        clip = make_clip(f"{speaker}1", speaker, frames=90, seed=k)
        write_clip(clip, folder / f"{speaker}1.safetensors")
    write_clip(make_clip("dee1", "dee", frames=60, seed=7, split="val"), folder / "dee1.safetensors")
    write_clip(make_clip("eve1", "eve", frames=40, seed=8, pictures=False), folder / "eve1.safetensors")
    return folder


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Tiny tensors are slower on many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def no_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """None of the weights that this machine may have, so that losses and scores are the same anywhere."""
    for name in ("JULNET_VGG19", "JULNET_LPIPS_BACKBONE", "JULNET_LPIPS_HEADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "no-torch-home"))
