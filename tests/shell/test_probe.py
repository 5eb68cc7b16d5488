"""`julnet probe` says what a plate is and who is in it."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from julnet_plugin import hookimpl
from julnet_plugin.errors import SettingsError
from julnet_plugin.face.crop import mean_face
from julnet_plugin.manager import Manager
from julnet_plugin.verbs.probe import parse_rate

Julnet = Callable[..., Any]


class OneFace:
    """A tracker that sees the mean face in the middle of every picture."""

    name = "mediapipe"

    def __init__(self) -> None:
        self.looked, self.closed = 0, False

    def detect(self, picture: NDArray[np.uint8], max_faces: int) -> list[NDArray[np.float32]]:
        self.looked += 1
        return [(mean_face() * 30 + [80, 40, 0]).astype(np.float32)]

    def close(self) -> None:
        self.closed = True

    @hookimpl
    def julnet_face_trackers(self) -> list[object]:
        return [self]


@pytest.fixture
def tracker(manager: Manager) -> OneFace:
    tracker = OneFace()
    manager.register(tracker, "faces")
    return tracker


def movie(path: Path, frames: int = 12, rate: Fraction = Fraction(24000, 1001)) -> Path:
    coarse = np.random.default_rng(1).integers(0, 255, (12, 16, 3), np.uint8)
    picture = np.kron(coarse, np.ones((10, 10, 1), np.uint8))  # something to recognise a face by
    with av.open(str(path), "w") as container:
        stream = container.add_stream("png", rate=rate)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "rgb24"
        for _ in range(frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode())
    return path


def test_a_movie_is_described_for_programs(julnet: Julnet, tracker: OneFace, tmp_path: Path) -> None:
    result = julnet("probe", movie(tmp_path / "clip.mov"), "--json").events[-1]
    assert (result["width"], result["height"], result["rate"]) == (160, 120, "24000/1001")
    assert (result["frames"], result["vfr"], result["audio"]) == (12, False, [])
    (shot,) = result["shots"]
    assert (shot["start"], shot["stop"]) == (0, 12)
    assert [(face["index"], face["frames"]) for face in shot["faces"]] == [(0, 12)]
    assert shot["faces"][0]["mouth_px"] > 20
    assert tracker.closed


def test_a_movie_is_described_for_people(julnet: Julnet, tracker: OneFace, tmp_path: Path) -> None:
    text = julnet("probe", movie(tmp_path / "clip.mov")).out
    assert "160x120" in text
    assert "23.976 fps (24000/1001)" in text
    assert "face 0 on 12 frames" in text
    assert "audio     none" in text


def test_faces_can_be_left_out(julnet: Julnet, tracker: OneFace, tmp_path: Path) -> None:
    result = julnet("probe", movie(tmp_path / "clip.mov"), "--json", "--no-faces").events[-1]
    assert "shots" not in result
    assert tracker.looked == 0


def test_long_movies_are_sampled_unless_every_face_is_asked_for(
    julnet: Julnet, tracker: OneFace, tmp_path: Path
) -> None:
    clip = movie(tmp_path / "clip.mov", frames=70, rate=Fraction(1))
    sampled = julnet("probe", clip, "--json").events[-1]
    assert len(sampled["samples"]) == tracker.looked == 16
    assert "samples" in julnet("probe", clip).out
    assert julnet("probe", clip, "--json", "--faces").events[-1]["shots"][0]["faces"][0]["frames"] == 70


def test_a_missing_file_is_one_sentence(julnet: Julnet, tmp_path: Path) -> None:
    run = julnet("probe", tmp_path / "none.mov")
    assert run.code == 2
    assert "none.mov" in run.err


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("25", Fraction(25)),
        ("23.976", Fraction(24000, 1001)),
        ("29.97", Fraction(30000, 1001)),
        ("59.94", Fraction(60000, 1001)),
        ("24000/1001", Fraction(24000, 1001)),
        ("12.5", Fraction(25, 2)),
        ("30", Fraction(30)),
    ],
)
def test_rates_as_people_write_them(text: str, rate: Fraction) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["", "fast", "0", "-25", "1/0", "1e9"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="is not a frame rate"):
        parse_rate(text)
