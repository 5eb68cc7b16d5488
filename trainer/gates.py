"""What footage must be like to teach anything, and the words for why some of it does not.

A frame is judged on its own; a clip is what is left of one shot. Nothing here ends a run: whatever fails a gate is
named in the table of the dataset.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from julnet_plugin.errors import SettingsError
from julnet_plugin.face.crop import mouth_square

KEPT, LIPS_ONLY, REJECTED = "kept", "lips only", "rejected"

NO_FACE = "no face"
PROFILE = "profile"
TINY = "tiny"
OUT_OF_FRAME = "mouth out of frame"
BLUR = "blur"
SHORT = "too short"
NO_AUDIO = "no audio"
SILENT = "silent"
TWO_VOICES = "two voices"
OUT_OF_SYNC = "out of sync"
CORRUPT = "corrupt"
DUPLICATE = "duplicate"
CRASHED = "crashed"

#: Side of the square that sharpness is measured in: one scale for all, so that one threshold serves.
_JUDGED = (208, 160)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gates:
    """Thresholds. Measured on 644 clips of 60 people: see docs/training.md."""

    min_frames: int = 20  #: usable frames that a clip needs
    min_share: float = 0.5  #: of a shot's frames that must be usable, or the shot is not a talking head
    min_mouth_px: float = 24.0  #: side of the mouth square in the plate; below it landmarks are guesses
    picture_mouth_px: float = 60.0  #: below it pictures teach blur, and only lips are kept
    max_yaw_deg: float = 45.0  #: a face turned further hides half of its mouth
    min_sharpness: float = 6.0  #: of the median frame, see `sharpness`; in-focus faces have 13 to 500
    frame_sharpness: float = 0.25  #: of the clip's median; a frame below it is motion-blurred
    min_speech_s: float = 0.4  #: sound above the silence threshold
    alone: bool = True  #: shots in which others are heard too are left out
    max_overlap: float = 0.045  #: of the loud moments with two voices at once; one voice alone has 0.039 at most
    min_sync: float = 0.15  #: correlation of heard and seen lips at the best offset; own speech has 0.22 to 0.96
    sync_from_s: float = 4.0  #: shorter clips are not judged by it: chance reaches far

    def __post_init__(self) -> None:
        for name in ("min_frames", "min_mouth_px", "max_yaw_deg"):
            if not getattr(self, name) > 0:
                msg = f"gates.{name} is {getattr(self, name)!r}, but it must be more than 0"
                raise SettingsError(msg, key=f"gates.{name}")


def judge_frames(
    found: NDArray[np.bool_],
    inside: NDArray[np.bool_],
    mouth_px: NDArray[np.floating],  # type: ignore[type-arg]
    yaw_rad: NDArray[np.floating],  # type: ignore[type-arg]
    gates: Gates,
) -> list[str]:
    """Why each frame cannot be used, "" where it can; all arrays are (T,)."""
    reasons = np.full(len(found), "", "<U24")
    reasons[np.abs(yaw_rad) > np.radians(gates.max_yaw_deg)] = PROFILE
    reasons[np.asarray(mouth_px) < gates.min_mouth_px] = TINY
    reasons[~inside] = OUT_OF_FRAME
    reasons[~found] = NO_FACE
    return [str(reason) for reason in reasons]


def judge_shot(reasons: list[str], gates: Gates) -> tuple[str, str]:
    """Why a shot cannot be used, and the detail; ("", "") where it can."""
    usable = reasons.count("")
    if len(reasons) < gates.min_frames:
        return SHORT, f"{len(reasons)} frames, {gates.min_frames} are needed"
    if usable >= gates.min_frames and usable >= gates.min_share * len(reasons):
        return "", ""
    common, count = Counter(reason for reason in reasons if reason).most_common(1)[0]
    return common, f"{common} on {count} of {len(reasons)} frames"


def sharpness(crop: NDArray[np.uint8]) -> float:
    """Variance of the Laplacian of the mouth square at half the canonical size, in 8-bit code values squared.

    Measured: in-focus talking heads 13 to 500; the same faces with a quarter of their resolution 3 to 11.
    """
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    if grey.shape != _JUDGED:
        grey = cv2.resize(grey, (_JUDGED[1], _JUDGED[0]), interpolation=cv2.INTER_AREA)
    return float(cv2.Laplacian(grey[mouth_square(_JUDGED)], cv2.CV_32F).var())


def judge_sharpness(values: NDArray[np.float32], gates: Gates) -> tuple[NDArray[np.bool_], str]:
    """Which frames (T,) are sharp enough, and why the clip as a whole is not ("" where it is)."""
    median = float(np.median(values)) if len(values) else 0.0
    sharp = values >= gates.frame_sharpness * median
    if median < gates.min_sharpness:
        return sharp, f"median sharpness {median:.1f}, {gates.min_sharpness:g} is needed"
    return sharp, ""
