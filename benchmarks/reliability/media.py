"""Small files to damage and to render: a face under a moving camera, a line, a network without training."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import soundfile
import torch

from julnet_plugin.demo import camera_move
from julnet_plugin.manager import make_manager
from julnet_plugin.model.checkpoint import save_checkpoint
from julnet_plugin.model.info import CheckpointInfo
from julnet_plugin.model.rt import RtConfig, RtGenerator

LINE = Path(__file__).parents[2] / "julnet_plugin" / "data" / "demo_line.flac"


def write_plate(path: Path, frames: int = 12, size: tuple[int, int] = (320, 240), codec: str = "libx264") -> Path:
    """A movie of a face."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv422p10le" if codec == "prores_ks" else "yuv420p"
        for picture in camera_move(frames):
            small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(small), format="rgb24")
            container.mux(stream.encode(frame.reformat(format=stream.pix_fmt)))
        container.mux(stream.encode(None))
    return path


def write_line(path: Path, seconds: float = 0.5) -> Path:
    """Half a second of the demo's line."""
    samples, rate = soundfile.read(LINE)
    start = rate // 4
    soundfile.write(path, samples[start : start + int(seconds * rate)], rate)
    return path


def write_model(path: Path) -> Path:
    """Weights that were drawn at random."""
    torch.manual_seed(3)
    name, features = next(iter(make_manager(third_party=False).contributed("julnet_audio_features").items()))
    network = RtGenerator(RtConfig(width=8, fine_width=8, crop_size=(208, 160), audio_size=features.size))
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.12)
    info = CheckpointInfo.of(network, architecture="rt", audio_feature=name, calibration=((0.0, 0.0), (0.5, 0.25)))
    save_checkpoint(network, info, path)
    return path
