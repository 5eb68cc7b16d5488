"""Painted strokes ride on the lips of the finished picture, end to end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from julnet_plugin import RedubRequest, redub
from julnet_plugin.face.detect import MediaPipeFaceMesh
from julnet_plugin.matte.chain import MatteChain
from julnet_plugin.matte.document import MatteDocument
from julnet_plugin.matte.strokes import Shape, Stroke
from julnet_plugin.media.reader import open_plate
from julnet_plugin.pipeline.lips import CARRIERS, LipChunk, lips_name
from julnet_plugin.pipeline.takedata import TakeData
from julnet_plugin.take import frames_of
from julnet_plugin.types import Take

UPPER_LIP = (37, 0, 267)


def finished_faces(take: Take) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Landmarks of every finished frame, found by following the face through the delivered pictures."""
    tracker = MediaPipeFaceMesh()
    before = None
    start = frames_of(take).start
    with open_plate(take.path / "png" / "dub.######.png") as pictures:
        for frame in pictures.frames():
            picture = np.asarray(frame.rgb, np.uint8)
            (seen,) = tracker.follow(picture, [before]) if before is not None else tracker.search(picture, 1)
            assert seen is not None
            before = seen.landmarks
            yield start + frame.index, before
    tracker.close()


def on_plate(data: TakeData, points: NDArray[np.float64], frame: int) -> NDArray[np.float64]:
    affine = data.plate_from_crop(frame)
    return np.asarray(points @ affine[:, :2].T + affine[:, 2])


def in_crop(data: TakeData, points: NDArray[np.floating[Any]], frame: int) -> NDArray[np.float64]:
    affine = data.plate_from_crop(frame)
    return np.asarray((points - affine[:, 2]) @ np.linalg.inv(affine[:, :2]).T)


def distances(take: Take, painted_on: int) -> dict[int, float]:
    """How far a stroke that was painted on the upper lip of one frame lies from the lip on later ones, plate pixels."""
    data = TakeData(take.path, frames_of(take), chunk_frames=take.manifest["job"]["settings"]["render"]["chunk_frames"])
    lips = {frame: face[list(UPPER_LIP), :2] for frame, face in finished_faces(take)}
    points = in_crop(data, lips[painted_on], painted_on)
    shape = Shape(frame=painted_on, points=tuple((x, y, 1.0) for x, y in points.tolist()))
    stroke = Stroke(id="s1", kind="add", shapes=(shape,), start=painted_on, stop=max(lips) + 1)
    away = {}
    for frame, there in lips.items():
        if frame > painted_on and data.active(frame):
            here = on_plate(data, stroke.points_at(frame, data.follow)[:, :2], frame)
            away[frame] = float(np.linalg.norm(here - there, axis=1).mean())
    return away


@pytest.fixture(scope="module")
def rendered(render: Callable[..., Take], tmp_path_factory: pytest.TempPathFactory) -> Take:
    return render(tmp_path_factory.mktemp("lips") / "take", out_point="14")


def test_lips_are_kept_for_every_frame_that_was_drawn(rendered: Take) -> None:
    data = TakeData(rendered.path, frames_of(rendered), chunk_frames=7)
    for frame in range(frames_of(rendered).start, frames_of(rendered).stop):
        lips = data.lips(frame)
        assert (lips is not None) == data.active(frame)
        assert lips is None or lips.shape == (len(CARRIERS), 2)
    row = LipChunk.load(rendered.path / "data" / lips_name(0))
    assert len(row.frames) == len(row.outlier) == 7


def test_a_stroke_on_the_upper_lip_stays_on_it_in_a_made_take(rendered: Take) -> None:
    """The plate is 240 lines high: a pixel of it is 4.5 pixels of 1080p."""
    away = distances(rendered, 2)
    assert len(away) > 8
    assert max(away.values()) < 2.0


def test_a_take_without_lips_leaves_strokes_where_they_are_in_the_crop(rendered: Take, tmp_path: Path) -> None:
    import shutil

    copy = Path(shutil.copytree(rendered.path, tmp_path / "take"))
    for path in (copy / "data").glob("lips.*"):
        path.unlink()
    data = TakeData(copy, frames_of(rendered), chunk_frames=7)
    points = np.array([[160.0, 240.0]])
    assert data.follow(points, 1, 5) is points
    assert MatteChain(data, MatteDocument()).matte(3) is not None


@pytest.mark.footage
@pytest.mark.parametrize("clip", ["0041_mead-w040.mp4"])
def test_a_stroke_on_the_upper_lip_at_frame_10_is_on_it_at_frame_60_of_a_real_clip(
    footage: Path, tmp_path: Path, clip: str
) -> None:
    request = RedubRequest(
        plate=footage / "val" / clip,
        dub=footage / "dub" / "German1.wav",
        take_dir=tmp_path / "take",
        in_point="8",
        out_point="62",
        deliver=("png",),
    )
    away = distances(redub(request), 10)
    assert away[60] < 2.0
    assert np.mean(list(away.values())) < 2.0
