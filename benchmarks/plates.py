"""Plates of any size and length to measure with: the demo's portrait under a moving camera, with a camera's noise."""

from __future__ import annotations

import shutil
from fractions import Fraction
from pathlib import Path

import numpy as np

RATE = 25


def make_plate(path: Path, height: int, frames: int) -> Path:
    """An H.264 plate, 16:9, 25 fps, 8 bits.

    The camera moves in and out again without a cut for as long as it takes; a long plate repeats the packets of the
    first nine seconds, so that making one costs little.
    """
    import av
    import cv2

    from julnet_plugin.demo import FRAMES, camera_move

    there = list(camera_move(min(frames, FRAMES)))
    turn = [*there, *there[-2:0:-1]] if frames > FRAMES else there
    width = round(height * 16 / 9 / 2) * 2
    rng = np.random.default_rng(0)
    grain = rng.normal(0, 1.5, (8, height, width, 1)).astype(np.float32)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(
            "libx264",
            rate=RATE,
            options={"preset": "veryfast", "crf": "18", "bf": "0", "g": "25", "x264-params": "scenecut=0"},
        )
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        packets = []
        for index, picture in enumerate(turn):
            size = (round(picture.shape[1] * height / picture.shape[0]), height)
            scaled = cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC)
            side = width - size[0]
            wide = cv2.copyMakeBorder(scaled, 0, 0, side // 2, side - side // 2, cv2.BORDER_REFLECT_101)
            noisy = np.clip(wide + grain[index % len(grain)], 0, 255).astype(np.uint8)
            packets += stream.encode(av.VideoFrame.from_ndarray(noisy, format="rgb24"))
        packets += stream.encode()
        step = Fraction(1, RATE) / packets[0].time_base
        for index in range(frames):
            again = packets[index % len(packets)]
            packet = av.Packet(bytes(again))
            packet.stream, packet.is_keyframe, packet.time_base = stream, again.is_keyframe, again.time_base
            packet.pts = packet.dts = round(index * step)
            packet.duration = round(step)
            container.mux(packet)
    return path


def make_dub(path: Path, seconds: float, *, start_s: float = 0.0) -> Path:
    """The demo's spoken line over and over, as WAV; `start_s` begins further into it, which makes another dub."""
    import soundfile  # type: ignore[import-untyped,unused-ignore]

    import julnet_plugin

    carried = Path(julnet_plugin.__file__).parent / "data" / "demo_line.flac"
    samples, rate = soundfile.read(carried, dtype="float32")
    count = round(seconds * rate)
    soundfile.write(path, np.resize(np.roll(samples, -round(start_s * rate)), count), rate)
    return path


def empty(folder: Path) -> Path:
    """A folder with nothing in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
