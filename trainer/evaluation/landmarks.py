"""Face mesh on crops: where the lips of a drawn picture really are."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from julnet_plugin.face.crop import CROP_H, CROP_W
from julnet_plugin.face.lips import lip_aperture
from julnet_plugin.interfaces import FaceTracker

Float32 = NDArray[np.float32]


class CropLandmarks:
    """Landmarks of every crop of a clip, each found from scratch: nothing carries over from frame to frame.

    A crop holds enough of a head for the detector: on the validation clips, no face was missed.
    """

    def __init__(self, tracker: FaceTracker | None = None) -> None:
        if tracker is None:
            from julnet_plugin.face.detect import MediaPipeFaceMesh

            tracker = MediaPipeFaceMesh()
        self._tracker = tracker

    def __call__(self, crops: NDArray[np.uint8]) -> tuple[Float32, NDArray[np.bool_]]:
        """Find the face in each crop.

        Shape:
            crops: (K, h, w, 3) RGB.
            returns: landmarks (K, 478, 3) in canonical crop pixels, 0 where there is none, and found (K,).
        """
        points = np.zeros((len(crops), 478, 3), np.float32)
        found = np.zeros(len(crops), np.bool_)
        for k, crop in enumerate(crops):
            faces = self._tracker.detect(_canonical(crop), 1)
            if faces:
                points[k] = faces[0]
                found[k] = True
        return points, found

    @staticmethod
    def aperture(points: Float32, found: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Opening of the inner lips in face units, NaN where no face was found: (K,)."""
        return np.where(found, lip_aperture(points), np.nan).astype(np.float64)


def _canonical(crop: NDArray[Any]) -> NDArray[np.uint8]:
    if crop.shape[:2] != (CROP_H, CROP_W):
        crop = cv2.resize(crop, (CROP_W, CROP_H), interpolation=cv2.INTER_CUBIC)
    return np.asarray(crop, np.uint8)
