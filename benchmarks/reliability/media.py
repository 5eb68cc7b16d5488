"""Small files to damage and to render: a face under a moving camera, a line, a network without training."""

from __future__ import annotations

from fractions import Fraction
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


def write_plate(
    path: Path,
    frames: int = 12,
    size: tuple[int, int] = (320, 240),
    codec: str = "libx264",
    *,
    talking: bool = False,
) -> Path:
    """A movie of a face; `talking` gives it the demo's line, over and over, as its sound."""
    voice, rate = soundfile.read(LINE, dtype="float32")
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv422p10le" if codec == "prores_ks" else "yuv420p"
        sound = container.add_stream("pcm_s16le", rate=rate) if talking else None
        for picture in camera_move(frames):
            small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(small), format="rgb24")
            container.mux(stream.encode(frame.reformat(format=stream.pix_fmt)))
        container.mux(stream.encode(None))
        if sound is not None:
            samples = np.rint(np.resize(voice, frames * rate // 25) * 32767).astype(np.int16)[None]
            block = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            block.rate = rate
            for packet in [*sound.encode(block), *sound.encode(None)]:
                container.mux(packet)
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


def write_still(path: Path) -> Path:
    """A picture of a face, in the format that its name says."""
    small = cv2.resize(next(iter(camera_move(1))), (128, 96), interpolation=cv2.INTER_AREA)
    if path.suffix != ".dpx":
        cv2.imwrite(str(path), small[..., ::-1])
        return path
    encoder = av.CodecContext.create("dpx", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = 128, 96, "rgb24", Fraction(1, 25)
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(small), format="rgb24")
    path.write_bytes(b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)]))
    return path


def write_sound_movie(path: Path) -> Path:
    """Half a second of the line in AAC."""
    samples, rate = soundfile.read(LINE, dtype="float32")
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=rate)
        frame = av.AudioFrame.from_ndarray(samples[None, : rate // 2], format="fltp", layout="mono")
        frame.rate = rate
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return path


def write_prepared_clip(
    path: Path, frames: int = 6, size: tuple[int, int] = (52, 40), speaker: str = "anna", split: str = "train"
) -> Path:
    """What `julnet prepare` writes, with pictures of noise."""
    from julnet_plugin.face.crop import mean_face
    from julnet_plugin.model.lips import SHAPE_POINTS
    from trainer.dataset import Clip, ClipHeader, encode_crop, write_clip

    draw = np.random.default_rng(len(speaker) + sum(map(ord, speaker)))
    header = ClipHeader(
        name=path.stem, speaker=speaker, split=split, rate=25.0, crop_size=size, features="phone-42",
        feature_step_s=0.02, source=path.stem, source_hash=path.stem,
    )  # fmt: skip
    shape = np.repeat(mean_face()[list(SHAPE_POINTS)][None], frames, axis=0)
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    outline = np.stack([160 + 95 * np.cos(angle), 255 + 80 * np.sin(angle)], axis=1)
    clip = Clip(
        header=header,
        jpeg=[encode_crop(draw.integers(0, 255, (*size, 3))) for _ in range(frames)],
        times_s=0.5 + np.arange(frames) / 25,
        region=np.repeat(outline[None], frames, axis=0).astype(np.float32),
        lips=(shape + draw.normal(0, 0.02, shape.shape)).astype(np.float32),
        angles=np.zeros((frames, 3), np.float32),
        mouth_px=np.full(frames, 90, np.float32),
        sharpness=np.full(frames, 50, np.float32),
        audio=draw.random((frames * 2 + 50, 42), np.float32),
    )
    write_clip(clip, path)
    return path
