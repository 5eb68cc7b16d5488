"""Small plates made from the demo's portrait, a network without training, and a way to render with both."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray

from julnet_plugin import RedubRequest, redub
from julnet_plugin.demo import camera_move
from julnet_plugin.manager import make_manager
from julnet_plugin.model.checkpoint import save_checkpoint
from julnet_plugin.model.info import CheckpointInfo
from julnet_plugin.model.rt import RtConfig, RtGenerator
from julnet_plugin.types import ProgressFn, Take

Picture = NDArray[np.uint8]
SIZE = (320, 240)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights that were drawn at random: they paint something that depends on sound and references."""
    return random_model(tmp_path_factory.mktemp("model") / "tiny.safetensors", (208, 160))


@pytest.fixture(scope="session")
def sharp_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, with crops of the shipped size."""
    return random_model(tmp_path_factory.mktemp("model") / "sharp.safetensors", (416, 320))


def random_model(path: Path, crop_size: tuple[int, int]) -> Path:
    torch.manual_seed(3)
    name, features = next(iter(make_manager(third_party=False).contributed("julnet_audio_features").items()))
    network = RtGenerator(RtConfig(width=8, fine_width=8, crop_size=crop_size, audio_size=features.size))
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.12)
    info = CheckpointInfo.of(network, architecture="rt", audio_feature=name, calibration=((0.0, 0.0), (0.5, 0.25)))
    save_checkpoint(network, info, path)
    return path


@pytest.fixture(scope="session")
def portrait() -> list[Picture]:
    """24 pictures of a face under a moving camera, 320x240."""
    return [np.asarray(cv2.resize(p, SIZE, interpolation=cv2.INTER_AREA), np.uint8) for p in camera_move(24)]


WritePlate = Callable[..., Path]


@pytest.fixture(scope="session")
def write_plate(tmp_path_factory: pytest.TempPathFactory) -> WritePlate:
    """Writes pictures as a lossless movie: `write_plate(pictures, rate, pixel_format, times, timecode)`."""

    def write(
        pictures: Sequence[Picture],
        rate: Fraction = Fraction(25),
        pixel_format: str = "yuv420p",
        times_ms: Iterable[int] | None = None,
        timecode: str | None = None,
    ) -> Path:
        path = tmp_path_factory.mktemp("plate") / ("plate.mkv" if times_ms is not None else "plate.mov")
        options = {"qp": "0", "preset": "ultrafast", "bf": "0"}
        with av.open(str(path), "w") as container:
            if timecode:
                container.metadata["timecode"] = timecode
            stream = container.add_stream("libx264", rate=rate, options=options)
            stream.height, stream.width = pictures[0].shape[:2]
            stream.pix_fmt = pixel_format
            ticks = None if times_ms is None else list(times_ms)
            if ticks is not None:
                stream.codec_context.time_base = Fraction(1, 1000)
            for index, picture in enumerate(pictures):
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pixel_format)
                if ticks is not None:
                    frame.pts, frame.time_base = ticks[index], Fraction(1, 1000)
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        return path

    return write


@pytest.fixture(scope="session")
def plate(write_plate: WritePlate, portrait: list[Picture]) -> Path:
    """24 frames, 8 bits, 25 fps, lossless."""
    return write_plate(portrait)


@pytest.fixture(scope="session")
def line(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One second of the demo's spoken line, which is a little longer than the plate."""
    carried = Path(__file__).parents[2] / "julnet_plugin" / "data" / "demo_line.flac"
    samples, rate = soundfile.read(carried)
    path = tmp_path_factory.mktemp("dub") / "line.wav"
    soundfile.write(path, samples[rate // 4 : rate // 4 + rate], rate)
    return path


Render = Callable[..., Take]


@pytest.fixture(scope="session")
def render(tiny_model: Path, plate: Path, line: Path) -> Render:
    """Renders a take: `render(take_dir, progress, **changes to the request)`."""

    def run(take_dir: Path, progress: ProgressFn | None = None, **changes: Any) -> Take:
        values: dict[str, Any] = {
            "plate": plate,
            "dub": line,
            "take_dir": take_dir,
            "model": str(tiny_model),
            "device": "cpu",
            "deliver": ("png",),
            "settings": {"render.chunk_frames": 7, "render.threads": 1},
        }
        return redub(RedubRequest(**{**values, **changes}), progress)

    return run


@pytest.fixture(scope="session")
def contents() -> Callable[[Path], dict[str, str]]:
    """Every file under a folder and the hash of its bytes."""

    def read(folder: Path) -> dict[str, str]:
        return {
            str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }

    return read


@pytest.fixture(scope="session")
def held_take(render: Render, write_plate: WritePlate, portrait: list[Picture], tmp_path_factory: Any) -> Take:
    """Three frames from the middle of a plate with timecode, every form of matte; the second holds the plate."""
    plate = write_plate(portrait[:12], rate=Fraction(24000, 1001), timecode="01:00:00:00")
    settings = {
        "render.chunk_frames": 7,
        "render.threads": 1,
        "matte.low_cv": 100.0,
        "matte.high_cv": 255.0,
        "drive.ranges": [{"start": 5, "stop": 6, "mode": "hold_plate"}],
    }
    mattes = ("matte-exr", "matte-png", "matte-tiff", "matte-prores4444", "matte-luma", "crop-exr")
    return render(
        tmp_path_factory.mktemp("held") / "take",
        plate=plate,
        in_point="4",
        out_point="7",
        deliver=("prores", "png", "exr", *mattes),
        settings=settings,
    )
