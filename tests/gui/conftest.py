"""Windows without a screen, and a take that needs no model."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")


@pytest.fixture(autouse=True)
def user_settings(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings, data and cache of a user who has never started the editor."""
    pytest.importorskip("PySide6", reason="the editor's extra is not installed")
    from PySide6.QtCore import QSettings

    folder = str(tmp_path_factory.mktemp("settings"))
    from PySide6.QtWidgets import QMessageBox

    monkeypatch.setattr(QMessageBox, "exec", lambda _: QMessageBox.StandardButton.Discard)  # nobody is there to answer
    monkeypatch.setattr("gui.playback.make_output", lambda: None)  # whatever this machine's sound can do
    for name in ("XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, f"{folder}/{name.lower()}")
    QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, folder)


FRAMES, SIZE = 12, (128, 96)
LEVELS = (0.02, 0.03, 0.10, 0.04)  #: σ of the take's frames 4 to 7


@pytest.fixture
def plate(make_movie: Callable[..., Path]) -> Path:
    """12 frames at 25 fps from 01:00:00:00, each with its number drawn into it."""
    return make_movie("plate.mov", frames=FRAMES, size=SIZE, timecode="01:00:00:00", options={"crf": "4"})


@pytest.fixture
def take(plate: Path, make_movie: Callable[..., Path], tmp_path: Path) -> Path:
    """A take of frames 4 to 7 whose dub shows 100 + the plate's number and whose matte is white in one corner."""
    folder = tmp_path / "take"
    folder.mkdir()
    make_movie("take/dub.mov", frames=4, size=SIZE, options={"crf": "4"}, picture=lambda i: numbered(104 + i))
    make_movie("take/matte.mov", frames=4, size=SIZE, options={"crf": "4"}, picture=lambda _: corner())
    (folder / "take.json").write_text(json.dumps(manifest(plate)))
    return folder


def manifest(plate: Path) -> dict[str, Any]:
    return {
        "schema": "julnet.take",
        "version": "1.0",
        "job": {"colour_space": None},
        "inputs": {"plate": {"path": str(plate)}},
        "model": {},
        "plate": {"width": SIZE[0], "height": SIZE[1], "frame_range": [4, 8]},
        "files": {"h264": "dub.mov", "matte": "matte.mov"},
        "warnings": ["the mouth is small"],
        "review": [
            {"start": 6, "stop": 7, "peak": 6, "expected_cv": 25.5, "reasons": ["fast turn"]},
            {"start": 7, "stop": 8, "peak": 7, "expected_cv": 10.2, "reasons": ["dark"]},
        ],
        "frames": [
            {"frame": 4 + i, "redubbed": True, "sigma_mean": level / 2, "sigma_p95": level}
            for i, level in enumerate(LEVELS)
        ],
    }


def numbered(number: int) -> Any:
    """As the shared `numbered_picture` draws it: eight blocks along the top, highest bit left."""
    width, height = SIZE
    picture = np.full((height, width, 3), 110, np.uint8)
    for bit in range(8):
        picture[: height // 4, bit * width // 8 : (bit + 1) * width // 8] = 225 if number >> (7 - bit) & 1 else 25
    return picture


def corner() -> Any:
    picture = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    picture[64:, 96:] = 255
    return picture


@pytest.fixture
def take_with_data(take: Path) -> Path:
    """The take above with what the network said, so that its matte can be edited.

    The face fills the middle of the plate and moves 2 px to the right with every frame; σ is 20 code values on the left
    half of the mouth and 4 on the right.
    """
    from julnet_plugin.face.crop import REGION
    from julnet_plugin.pipeline.cropdata import DATA, PLAN, CropChunk, Plan, chunk_name

    count, size = 4, (104, 80)
    (take / DATA).mkdir()
    angle = np.linspace(0, 2 * np.pi, len(REGION), endpoint=False)
    outline = np.stack([160 + 100 * np.cos(angle), 256 + 100 * np.sin(angle)], axis=1)
    affine = np.array([[[0.2, 0.0, 30.0 + 2 * k], [0.0, 0.2, 6.0]] for k in range(count)])
    Plan(
        plate_from_crop=affine,
        region=np.repeat(outline[None], count, axis=0).astype(np.float32),
        weight=np.ones(count, np.float32),
        shot=np.zeros(count, np.int32),
        mouth_px=np.full(count, 51.0),
        angles=np.zeros((count, 3)),
        found=np.ones(count, bool),
        sharpness=np.ones(count, np.float32),
        covered=np.zeros(count, np.float32),
    ).save(take / DATA / PLAN)
    sigma = np.full((count, *size), 4 / 255, np.float16)
    sigma[:, :, : size[1] // 2] = 20 / 255
    CropChunk(
        frames=np.arange(count),
        crop_size=np.array(size),
        box=np.array([0, size[0], 0, size[1]]),
        image=np.full((count, *size, 3), 128, np.uint8),
        sigma=sigma,
        error=sigma,
    ).save(take / DATA / chunk_name(0))
    values = json.loads((take / "take.json").read_text())
    values["job"] |= {"settings": {}, "seed": 0}
    values["model"] = {"id": "rt", "calibration": []}
    (take / "take.json").write_text(json.dumps(values))
    return take
