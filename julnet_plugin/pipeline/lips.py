"""Where the lips are in the finished picture: looked for once, as the take is delivered, and kept with it.

Painted strokes go with them (`matte.follow`), and what they do is compared with what the model was taught. The tracker
looks at the finished picture: the plate's own mouth said something else, and a bare crop has no cheeks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from julnet_plugin.face.crop import CROP_H, CROP_W, REGION, RIGID, crop_landmarks, fit_poses
from julnet_plugin.face.lips import LIPS
from julnet_plugin.face.track import FollowingTracker
from julnet_plugin.pipeline.cropdata import read_arrays, write_arrays
from julnet_plugin.types import Rect

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from julnet_plugin.interfaces import FaceTracker
    from julnet_plugin.media.colour import DisplayTransform
    from julnet_plugin.media.reader import PlateFrame
    from julnet_plugin.model.lips import LipBasis
    from julnet_plugin.pipeline.takedata import TakeData
    from julnet_plugin.types import FrameRange, Patch, PixelArray

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

#: landmarks that carry painted strokes: both lips, the jaw and cheeks around them, and points that speech leaves alone
CARRIERS = tuple(dict.fromkeys((*LIPS, *REGION, *RIGID)))
_AROUND = 160  #: canonical crop pixels around the crop that the tracker sees too


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LipChunk:
    """What was seen of the lips in the finished pictures of one chunk.

    Shape:
        frames: (n,) int64, position in the range, ascending.
        points: (n, len(CARRIERS), 2) float32, canonical crop pixels; NaN where no face was seen.
        outlier: (n,) float32, the largest number of the lip shape, in standard deviations of the training speakers'
            lips; NaN where it is not known.
    """

    frames: NDArray[np.int64]
    points: Float32
    outlier: Float32

    def save(self, path: Path) -> None:
        """Write the chunk whole or not at all."""
        write_arrays(path, {name: getattr(self, name) for name in self.__dataclass_fields__})

    @classmethod
    def load(cls, path: Path) -> LipChunk:
        """Read what `save` wrote; a chunk without frames where there is no such file: nobody looked.

        Raises:
            TakeError: the file is damaged.
        """
        if path.exists():
            return cls(**read_arrays(path, tuple(cls.__dataclass_fields__)))
        return cls(
            frames=np.zeros(0, np.int64),
            points=np.zeros((0, len(CARRIERS), 2), np.float32),
            outlier=np.zeros(0, np.float32),
        )


class LipWatcher:
    """Finds the lips of finished pictures: a `DeliverySession` that delivers to the take's own `data/`.

    Args:
        data: the take.
        tracker: any face tracker; one that can follow is told where the face must be.
        basis: the lip shapes that the model was taught; None where the model has none.
        transform: plate values to a picture for the tracker.
        closed: a shot's number to its closed mouth, (48, 3) in face units.
    """

    def __init__(
        self,
        data: TakeData,
        tracker: FaceTracker,
        basis: LipBasis | None,
        transform: DisplayTransform,
        closed: Callable[[int], Float32],
    ) -> None:
        self._data, self._tracker, self._basis = data, tracker, basis
        self._transform, self._closed = transform, closed
        self._before: Float64 | None = None  # landmarks of the frame before in its crop
        self._seen: list[tuple[int, Float32, float]] = []
        self._chunk: FrameRange | None = None

    def finished(self, chunk: FrameRange) -> bool:
        """Whether this chunk was looked at, now or in an interrupted run."""
        return self._data.lips_path(chunk).exists()

    def begin(self, chunk: FrameRange) -> None:
        """Start a chunk; nothing is remembered of the one before, so that a resumed render sees what this one saw."""
        self._chunk, self._before, self._seen = chunk, None, []

    def write(self, frame: PlateFrame, patch: Patch | None) -> None:
        """Look at one frame; one that passes through is passed over."""
        if patch is None:
            self._before = None
            return
        position = self._data.position(frame.index)
        plan, affine = self._data.plan, self._data.plate_from_crop(frame.index)
        landmarks = self._landmarks(frame, patch, affine, plan.angles[position])
        if landmarks is None:
            self._before = None
            points, outlier = np.full((len(CARRIERS), 2), np.nan, np.float32), float("nan")
        else:
            self._before = _carried(landmarks, _inverse(affine))
            points = self._before[list(CARRIERS), :2].astype(np.float32)
            outlier = self._outlier(landmarks, self._closed(int(plan.shot[position])))
        self._seen.append((position, points, outlier))

    def end(self) -> None:
        """Keep what was seen."""
        assert self._chunk is not None
        lips = LipChunk(
            frames=np.array([position for position, _, _ in self._seen], np.int64),
            points=np.array([points for _, points, _ in self._seen], np.float32).reshape(-1, len(CARRIERS), 2),
            outlier=np.array([outlier for _, _, outlier in self._seen], np.float32),
        )
        self._data.save_lips(self._chunk, lips)

    def abort(self) -> None:
        """Forget the chunk that was begun."""
        self._chunk = None

    def close(self) -> dict[str, str]:
        """Free the tracker; nothing of this is a delivery."""
        self._tracker.close()
        return {}

    def _landmarks(self, frame: PlateFrame, patch: Patch, plate_from_crop: Float64, angles: Float64) -> Float64 | None:
        """(478, 3) plate pixels."""
        window = _window(plate_from_crop, frame.size)
        if window is None:
            return None
        finished = _seen_through(window, frame.part(window), patch)
        picture = np.ascontiguousarray(self._transform.to_preview(finished))
        corner = np.array([window.x0, window.y0, 0.0])
        if not isinstance(self._tracker, FollowingTracker):
            faces = self._tracker.detect(picture, 1)
            return np.asarray(faces[0], np.float64) + corner if faces else None
        guess = self._before
        looks = 1 if guess is not None else 2  # a mean face is a guess to be mended
        face = _carried(crop_landmarks(angles) if guess is None else guess, plate_from_crop) - corner
        for _ in range(looks):
            sighting = self._tracker.follow(picture, [face.astype(np.float32)])[0]
            if sighting is None:
                return None
            face = np.asarray(sighting.landmarks, np.float64)
        return np.asarray(face + corner)

    def _outlier(self, landmarks: Float64, closed: Float32) -> float:
        if self._basis is None:
            return float("nan")
        from julnet_plugin.model.lips import SHAPE_POINTS  # late: torch, which who only paints on a take does without

        shape = fit_poses(landmarks[None]).to_face(landmarks[None, list(SHAPE_POINTS)])
        return float(np.abs(self._basis.encode(shape, closed)).max())


def lips_name(number: int) -> str:
    """File name of the lips of one chunk."""
    return f"lips.{number:06d}.npz"


def _window(plate_from_crop: Float64, size: tuple[int, int]) -> Rect | None:
    """Plate pixels around the face; None where they lie beside the picture of this (width, height)."""
    a, low, high = plate_from_crop, -_AROUND, np.array([CROP_W, CROP_H]) + _AROUND
    corners = np.array([[low, low], [high[0], low], [low, high[1]], [high[0], high[1]]]) @ a[:, :2].T + a[:, 2]
    (x0, y0), (x1, y1) = np.floor(corners.min(axis=0)).astype(int), np.ceil(corners.max(axis=0)).astype(int)
    rect = Rect(x0=max(int(x0), 0), y0=max(int(y0), 0), x1=min(int(x1), size[0]), y1=min(int(y1), size[1]))
    return rect if rect.width > 8 and rect.height > 8 else None


def _seen_through(window: Rect, plate: PixelArray, patch: Patch) -> PixelArray:
    """The part of the finished frame that lies in a rectangle, from the plate's part."""
    x0, y0 = max(window.x0, patch.rect.x0), max(window.y0, patch.rect.y0)
    x1, y1 = min(window.x1, patch.rect.x1), min(window.y1, patch.rect.y1)
    part = plate.copy()
    if x1 > x0 and y1 > y0:
        inside = patch.pixels[y0 - patch.rect.y0 : y1 - patch.rect.y0, x0 - patch.rect.x0 : x1 - patch.rect.x0]
        part[y0 - window.y0 : y1 - window.y0, x0 - window.x0 : x1 - window.x0] = inside
    return part


def _carried(landmarks: NDArray[np.floating[Any]], affine: Float64) -> Float64:
    """Landmarks (L, 3) through an affine (2, 3); depth is scaled alike."""
    scale = np.sqrt(abs(np.linalg.det(affine[:, :2])))
    return np.column_stack([landmarks[:, :2] @ affine[:, :2].T + affine[:, 2], landmarks[:, 2] * scale])


def _inverse(affine: Float64) -> Float64:
    linear = np.linalg.inv(affine[:, :2])
    return np.column_stack([linear, -linear @ affine[:, 2]])
