"""A take whose matte is being edited: its maps, its document, and where its crops lie in the plate. No Qt.

`prepare` is for one thread at a time and may take a while; what it returns is ready for painting.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from julnet_plugin.matte.calibration import calibration_of
from julnet_plugin.matte.document import MatteDocument
from julnet_plugin.matte.drive import driven_coverage
from julnet_plugin.matte.levels import SigmaHistogram
from julnet_plugin.take import STROKES, frames_of, load_take, matte_document
from julnet_plugin.types import FrameRange

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from julnet_plugin.interfaces import MatteOperator
    from julnet_plugin.matte.rasterise import StrokeCanvas
    from julnet_plugin.types import Take

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
MapKind = Literal["matte", "sigma", "coverage"]
MAP_KINDS: dict[MapKind, str] = {"matte": "Uncertainty matte", "sigma": "σ, expected error", "coverage": "Coverage"}

FULL_SIGMA = 48 / 255  #: expected error that the σ overlay shows at full
HISTOGRAM_CV = 64  #: code values that the histogram spans
HISTOGRAM_BINS = 128
_HISTOGRAM_FRAMES = 24  #: of a shot that are enough to draw its histogram
_ONION_LEVEL = 0.5  #: the onion skin is the outline of what is whiter than this


@dataclass(slots=True, kw_only=True, eq=False)
class Prepared:
    """One frame, ready to be looked at and painted on.

    Shape:
        sigma, region, coverage: (h, w).
        plate_from_map: (2, 3) map pixels to plate pixels; pixel centres are whole numbers.
        plate_from_crop: (2, 3) the same from canonical crop pixels.
        histogram: (HISTOGRAM_BINS,) pixels of the region by expected error.
        onion: outlines (P, 2) of the mattes before (first) and after, map pixels, with their distance in frames.
    """

    frame: int
    document: MatteDocument
    canvas: StrokeCanvas
    sigma: Float32  #: calibrated expected error
    region: Float32
    coverage: Float32  #: before any drive
    plate_from_map: Float64
    plate_from_crop: Float64
    shot: FrameRange
    histogram: NDArray[np.int64]
    onion: list[tuple[int, NDArray[np.float32]]]

    def values(self, kind: MapKind) -> Float32:
        """The map that an overlay shows, in [0, 1]."""
        if kind == "matte":
            return self.canvas.matte
        if kind == "sigma":
            return np.asarray(np.clip(self.sigma / np.float32(FULL_SIGMA), 0, 1), np.float32)
        return driven_coverage(self.document.drive.at(self.frame), self.coverage, self.canvas.matte)


class MatteWork:
    """A take's maps and its document.

    Args:
        folder: the take.
        operators: steps of the matte chain; the installed ones when None.

    Raises:
        TakeError: there is no take, or its `data/` is gone.
        SettingsError: its `strokes.json` is damaged.
    """

    def __init__(self, folder: Path, operators: Sequence[MatteOperator] | None = None) -> None:
        from julnet_plugin.config import load_settings  # late: these bring half of JULNet with them
        from julnet_plugin.manager import make_manager
        from julnet_plugin.matte.chain import MatteChain
        from julnet_plugin.pipeline.takedata import TakeData

        take = load_take(folder)
        self.folder = take.path
        self.frames = frames_of(take)
        settings = load_settings(take.manifest["job"]["settings"])
        self.data = TakeData(take.path, self.frames, chunk_frames=settings.render.chunk_frames)
        model = take.manifest["model"]
        calibration = calibration_of(model.get("calibration", ()), model.get("interval_factors"))
        self.document = matte_document(take)
        #: What the take's pictures were composited with; a fresh document where the file is newer than they are.
        self.composited = self.document if _in_sync(take) else MatteDocument()
        self._chain = MatteChain(
            self.data,
            self.document,
            operators=make_manager().matte_operators() if operators is None else operators,
            calibrate=None if calibration is None else calibration.apply,
        )
        self._histograms: dict[int, NDArray[np.int64]] = {}
        #: Held while the chain or one of its canvases works: they share what they keep.
        self.lock = threading.RLock()

    def prepare(self, frame: int, document: MatteDocument, onion: int = 0) -> Prepared | None:
        """Derive one frame's matte; None where the frame passes through.

        Args:
            frame: of the plate.
            document: what to derive it by.
            onion: frames on each side whose outlines are wanted too.

        Raises:
            TakeError: the take's data cannot be read.
        """
        if frame not in self.frames:
            return None
        with self.lock:
            return self._prepared(frame, document, onion)

    def _prepared(self, frame: int, document: MatteDocument, onion: int) -> Prepared | None:
        from julnet_plugin.face.crop import scaled

        if document is not self._chain.document:
            self._chain = self._chain.with_document(document)
        canvas, sigma = self._chain.canvas(frame), self._chain.expected_error(frame)
        region = self.data.region(frame)
        if canvas is None or sigma is None or region is None:
            return None
        affine = self.data.plate_from_crop(frame)
        return Prepared(
            frame=frame,
            document=document,
            canvas=canvas,
            sigma=sigma,
            region=region,
            coverage=self.data.coverage(frame),
            plate_from_map=scaled(affine, (sigma.shape[0], sigma.shape[1])),
            plate_from_crop=affine,
            shot=self.data.shot(frame),
            histogram=histogram_of(sigma, region),
            onion=self._onion(frame, onion),
        )

    def shot_histogram(self, frame: int) -> NDArray[np.int64]:
        """Expected errors over the frame's whole shot, from some of its frames."""
        with self.lock:
            return self._shot_histogram(frame)

    def _shot_histogram(self, frame: int) -> NDArray[np.int64]:
        shot = self.data.shot(frame)
        if shot.start not in self._histograms:
            total = np.zeros(HISTOGRAM_BINS, np.int64)
            step = max(len(shot) // _HISTOGRAM_FRAMES, 1)
            for index in range(shot.start, shot.stop, step):
                sigma, region = self._chain.expected_error(index), self.data.region(index)
                if sigma is not None and region is not None:
                    total += histogram_of(sigma, region)
            self._histograms[shot.start] = total
        return self._histograms[shot.start]

    def automatic_levels(self, frame: int) -> tuple[float, float]:
        """(low_cv, high_cv) that suit the frame itself."""
        histogram = SigmaHistogram()
        with self.lock:
            return self._levels_of(frame, histogram)

    def _levels_of(self, frame: int, histogram: SigmaHistogram) -> tuple[float, float]:
        sigma = self._chain.expected_error(frame) if frame in self.frames else None
        if sigma is not None:
            histogram.add(sigma, self.data.region(frame))
        return histogram.levels()

    def _onion(self, frame: int, reach: int) -> list[tuple[int, NDArray[np.float32]]]:
        shot = self.data.shot(frame)
        outlines: list[tuple[int, NDArray[np.float32]]] = []
        for distance in [k for k in range(-reach, reach + 1) if k and frame + k in shot]:
            matte = self._chain.matte(frame + distance)
            if matte is not None:
                outlines += [(distance, outline) for outline in outlines_of(matte)]
        return outlines


def _in_sync(take: Take) -> bool:
    """Whether the take's pictures show what its `strokes.json` says."""
    from julnet_plugin.pipeline.hashing import file_hash

    path, made_from = take.path / STROKES, take.manifest.get("comp", {}).get("picture")
    return not path.is_file() or made_from is None or file_hash(path) == made_from


def histogram_of(sigma: Float32, region: Float32) -> NDArray[np.int64]:
    """Pixels of the region by expected error, in equal bins up to `HISTOGRAM_CV`; the last bin holds all above."""
    scaled_values = sigma[region > 0] * np.float32(255 * HISTOGRAM_BINS / HISTOGRAM_CV)
    bins = np.minimum(scaled_values.astype(np.int64), HISTOGRAM_BINS - 1)
    return np.bincount(bins, minlength=HISTOGRAM_BINS)


def outlines_of(matte: Float32) -> list[NDArray[np.float32]]:
    """Closed outlines (P, 2) of what is half white or more, map pixels."""
    found, _ = cv2.findContours((matte >= _ONION_LEVEL).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    return [contour[:, 0].astype(np.float32) for contour in found if len(contour) > 2]


def crop_point(plate_from_crop: Float64, x: float, y: float) -> tuple[float, float]:
    """A point of the plate in canonical crop pixels; both count pixel centres as whole numbers."""
    linear, offset = plate_from_crop[:, :2], plate_from_crop[:, 2]
    solved = np.linalg.solve(linear, np.array([x, y]) - offset)
    return float(solved[0]), float(solved[1])
