"""The demo's plate and dub."""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from julnet_plugin import demo


def test_the_camera_moves_every_frame_and_never_jumps() -> None:
    pictures = [picture.astype(np.float32) for picture in demo.camera_move(6)]
    steps = [np.abs(b - a).mean() for a, b in itertools.pairwise(pictures)]
    assert min(steps) > 0.05
    assert max(steps) < 4
    assert pictures[0].shape == (demo.HEIGHT, demo.WIDTH, 3)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return demo.make_demo(tmp_path_factory.mktemp("demo") / "new", frames=5)


def test_the_carried_line_is_speech_that_ends_before_the_plate_does(made: tuple[Path, Path]) -> None:
    samples, rate = soundfile.read(made[1])
    assert rate == 16_000
    assert 3.0 < len(samples) / rate < demo.FRAMES / demo.RATE
    assert 0.05 < np.sqrt(np.square(samples).mean()) < 0.3


def test_the_plate_is_tagged_silent_video(made: tuple[Path, Path]) -> None:
    with av.open(str(made[0])) as container:
        assert len(container.streams) == 1
        stream = container.streams.video[0]
        assert (stream.width, stream.height, stream.average_rate) == (960, 720, Fraction(25))
        assert int(stream.codec_context.colorspace) == int(stream.codec_context.color_primaries) == 1
        decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(decoded) == 5
    assert np.abs(decoded[0].astype(int) - next(demo.camera_move())).mean() < 2
