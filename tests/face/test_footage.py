"""Real clips, where the footage folder is there."""

from __future__ import annotations

import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from julnet_plugin.face.detect import MediaPipeFaceMesh
from julnet_plugin.face.lips import interocular_px
from julnet_plugin.face.references import choose_references
from julnet_plugin.face.speaker import choose_track
from julnet_plugin.face.track import track_plate
from julnet_plugin.face.tracks import FaceTrack
from julnet_plugin.types import MediaInfo

Picture = NDArray[np.uint8]
FOOTAGE = Path(os.environ.get("JULNET_FOOTAGE", Path(__file__).parents[2].parent / "shared" / "footage"))

pytestmark = [
    pytest.mark.footage,
    pytest.mark.slow,
    pytest.mark.skipif(not FOOTAGE.is_dir(), reason="the real footage folder is absent (set JULNET_FOOTAGE)"),
]


def read(name: str, count: int) -> list[Picture]:
    (path,) = FOOTAGE.glob(name)
    with av.open(str(path)) as container:
        return [
            np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
            for frame, _ in zip(container.decode(video=0), range(count), strict=False)
        ]


def track_all(tracker: MediaPipeFaceMesh, pictures: list[Picture]) -> list[FaceTrack]:
    height, width = pictures[0].shape[:2]
    info = MediaInfo(
        path=Path("plate"), kind="movie", width=width, height=height, rate=Fraction(25), frame_count=len(pictures)
    )
    tracking = track_plate(enumerate(pictures), info, tracker)
    assert all(choice.track is not None for choice in choose_track(tracking))
    return list(tracking.tracks)


@pytest.mark.parametrize("name", ["val/0041_*", "val/0004_*", "val/0169_*", "val/0183_*"])
def test_one_speaker_is_one_steady_track(tracker: MediaPipeFaceMesh, name: str) -> None:
    (track,) = track_all(tracker, read(name, 50))
    assert track.found.all()
    rigid = track.landmarks[:, [33, 133, 362, 263, 168, 6, 197], :2].astype(np.float64)
    jitter = np.median(np.abs(np.diff(rigid, 2, axis=0))) / interocular_px(track.landmarks).mean()
    assert jitter < 0.006


def test_references_of_a_real_face_span_its_lip_openings(tracker: MediaPipeFaceMesh) -> None:
    (track,) = track_all(tracker, read("val/0034_*", 100))
    chosen = choose_references(track, 5)
    gaps = track.quality["aperture"]
    here = gaps[[frame - track.frames.start for frame in chosen]]
    assert here.min() < np.percentile(gaps, 10)
    assert here.max() > np.percentile(gaps, 90)


def test_two_people_side_by_side_stay_apart(tracker: MediaPipeFaceMesh) -> None:
    left, right = read("val/0169_*", 40), read("val/0173_*", 40)
    pictures = [np.hstack(pair) for pair in zip(left, right, strict=True)]
    tracks = track_all(tracker, pictures)
    assert [bool(track.found.all()) for track in tracks] == [True, True]
    centres = sorted(float(np.median(track.quality["box"][:, [0, 2]])) for track in tracks)
    assert centres[0] < 360 < centres[1]


def test_a_cut_between_two_clips_is_found_on_its_frame(tracker: MediaPipeFaceMesh) -> None:
    tracks = track_all(tracker, read("val/0171_*", 20) + read("val/0172_*", 20))
    assert [(track.frames.start, track.frames.stop) for track in tracks] == [(0, 20), (20, 40)]


@pytest.mark.parametrize("shrink", [4, 6])
def test_a_small_face_in_a_large_plate_is_tracked(
    tracker: MediaPipeFaceMesh, shrink: int, pad: Callable[[Picture, int], Picture]
) -> None:
    pictures = [pad(picture, shrink) for picture in read("val/0041_*", 12)]
    (track,) = track_all(tracker, pictures)
    assert track.found.mean() == 1.0
    assert track.typical("mouth_px") == pytest.approx(331 / shrink, rel=0.1)


@pytest.fixture
def pad() -> Callable[[Picture, int], Picture]:
    """The same plate with everything `shrink` times smaller, in a corner of a grey plate of the same size."""

    def make(picture: Picture, shrink: int) -> Picture:
        small = picture[::shrink, ::shrink]
        plate = np.full_like(picture, 70)
        plate[-small.shape[0] :, : small.shape[1]] = small
        return plate

    return make
