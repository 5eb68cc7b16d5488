"""A matte that was edited in another program comes back: which frames its pictures are, and what they change.

Only what differs from the delivered matte becomes the override layer. Frames that the file does not have keep the
override that they had.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from julnet_plugin.errors import MediaError, TimeRangeError
from julnet_plugin.matte.overrides import changed_pixels
from julnet_plugin.pipeline.cropdata import DATA
from julnet_plugin.pipeline.overrides import FrameEdits, folder_name, identity, save_edits
from julnet_plugin.types import Rect

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from julnet_plugin.media.mattes import MatteFootage
    from julnet_plugin.pipeline.patches import MatteMaker, PatchMaker
    from julnet_plugin.pipeline.staging import Staging
    from julnet_plugin.types import FrameRange, MediaInfo, ProgressFn


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadBack:
    """A matte to read back."""

    path: Path  #: a movie; or a sequence, as a pattern, one of its files, or its folder
    start: int | None = None  #: the plate frame of its first picture, where neither timecode nor numbers can tell
    channel: str | None = None  #: "luma", "alpha" or a channel of an EXR file; found out when None


def take_in(
    wanted: ReadBack,
    take_dir: Path,
    before: Mapping[str, Any] | None,
    maker: PatchMaker,
    staging: Staging,
    progress: ProgressFn,
) -> dict[str, Any]:
    """Read a matte back into the staging folder.

    Args:
        wanted: what to read.
        take_dir: the take.
        before: what `take.json` says of the override layer so far.
        maker: makes the take's own mattes, without any override.
        staging: where the new layer grows.
        progress: called as `progress("read", done, total)`; may raise.

    Returns:
        What `take.json` says of the layer.

    Raises:
        MediaError: it cannot be read, or has another size or rate than the take.
        TimeRangeError: it has no frame in common with the take.
    """
    from julnet_plugin.media.mattes import open_matte

    info, frames = maker.plate.info, maker.data.frames
    footage = open_matte(wanted.path, wanted.channel)
    space = _space(footage, info, maker.data.crop_size())
    _check_rate(footage, info)
    offset, why = place(footage, info, frames, wanted.start)
    common = [number for number in footage.numbers if number + offset in frames]
    growing = staging.root / DATA / "override.new"
    growing.mkdir(parents=True)
    if before is not None:
        for path in (take_dir / DATA / folder_name(str(before["id"]))).glob("*.npz"):
            shutil.copy(path, growing)
    changed, pixels = 0, 0
    for done, (number, matte) in enumerate(footage.read(common), 1):
        frame = number + offset
        (growing / f"{frame:08d}.npz").unlink(missing_ok=True)
        edits = _edits(maker, frame, matte, space, footage.tolerance)
        if edits is not None:
            save_edits(growing, frame, edits)
            changed += 1
            pixels += sum(int(part.edited.sum()) for part in (edits.plate, edits.crop) if part is not None)
        progress("read", done, len(common))
    name = identity(growing.glob("*.npz"))
    growing.rename(growing.with_name(folder_name(name)))
    return {
        "id": name,
        "from": str(wanted.path),
        "frames": [common[0] + offset, common[-1] + offset + 1],
        "placed_by": why,
        "changed_frames": changed,
        "changed_pixels": pixels,
    }


def drop_stale(take_dir: Path, manifest: Mapping[str, Any]) -> None:
    """Remove override layers that `take.json` does not name any more."""
    said = manifest.get("override")
    keep = None if said is None else folder_name(str(said["id"]))
    for folder in (take_dir / DATA).glob("override.*"):
        if folder.name != keep:
            shutil.rmtree(folder, ignore_errors=True)


def place(footage: MatteFootage, info: MediaInfo, frames: FrameRange, start: int | None) -> tuple[int, str]:
    """What must be added to the footage's numbers to give plate frames, and what says so.

    What the user says comes first, then timecode, then the numbers of the files, then an equal number of frames.

    Raises:
        TimeRangeError: none of them gives a frame of the take.
    """
    first, last = footage.numbers[0], footage.numbers[-1]
    candidates: list[tuple[int, str]] = []
    if start is not None:
        candidates.append((start - first, "the start that was given"))
    else:
        by_timecode = _by_timecode(footage, info)
        if by_timecode is not None:
            candidates.append((by_timecode, "timecode"))
        if not footage.movie:
            candidates.append((-info.first_number, "frame numbers"))
        if last - first + 1 == len(frames):
            candidates.append((frames.start - first, "its length, which is the take's"))
        elif last - first + 1 == info.frame_count:
            candidates.append((-first, "its length, which is the plate's"))
    for offset, why in candidates:
        if any(number + offset in frames for number in footage.numbers):
            return offset, why
    own = f"frames {first} to {last}" + (f" from {footage.timecode}" if footage.timecode else "")
    raise TimeRangeError(
        f"{footage.name} has no frame in common with the take (it holds {own}, the take plate frames {frames.start} to "
        f"{frames.stop - 1}): give the plate frame of its first picture with --override-start",
        requested=own,
        available=f"{frames.start} to {frames.stop - 1}",
    )


def _by_timecode(footage: MatteFootage, info: MediaInfo) -> int | None:
    """The offset that timecode says, the short way round midnight; None where one of the two has none."""
    from julnet_plugin.media.timecode import nominal_rate, parse_timecode, start_of

    if footage.timecode is None or info.start_timecode is None:
        return None
    try:
        label = parse_timecode(footage.timecode, info.rate)
    except TimeRangeError:
        return None
    day = 24 * 3600 * nominal_rate(info.rate)
    away = (label.frame - start_of(info).frame + day // 2) % day - day // 2
    return away - footage.numbers[0]


def _space(footage: MatteFootage, info: MediaInfo, crop: tuple[int, int]) -> str:
    from julnet_plugin.face.crop import CROP_H, CROP_W

    size = (footage.height, footage.width)
    if size == (info.height, info.width):
        return "plate"
    if size in (crop, (CROP_H, CROP_W)):
        return "crop"
    raise MediaError(
        f"{footage.name} is {footage.width}x{footage.height}: a matte of this take is as large as the plate "
        f"({info.width}x{info.height}) or as the crop ({crop[1]}x{crop[0]}); export it at one of these sizes",
        footage.name,
    )


def _check_rate(footage: MatteFootage, info: MediaInfo) -> None:
    """Refuse another rate; a plate of variable rate has none, and files that do not say are taken as they come."""
    if footage.rate is None or info.vfr or abs(footage.rate / info.rate - 1) < 5e-4:
        return
    raise MediaError(
        f"{footage.name} runs at {float(footage.rate):.6g} frames a second and the plate at {float(info.rate):.6g}: "
        "export it at the plate's rate",
        footage.name,
    )


def _edits(
    maker: PatchMaker | MatteMaker, frame: int, matte: NDArray[np.float32], space: str, tolerance: float
) -> FrameEdits | None:
    """What one picture changes; None where it changes nothing, or where there is no mouth to change."""
    layers = maker.layers(frame)
    if layers is None:
        return None
    if space == "crop":
        size = layers.matte.shape
        if matte.shape != size:
            import cv2

            matte = np.asarray(cv2.resize(matte, (size[1], size[0]), interpolation=cv2.INTER_AREA), np.float32)
        whole = Rect(x0=0, y0=0, x1=size[1], y1=size[0])
        crop = changed_pixels(layers.matte, matte, whole, tolerance, layers.region > 0)
        return None if crop is None else FrameEdits(crop=crop)
    black = next(iter(maker.frames(_one(frame))))
    patch = maker.patch(black, layers)
    if patch is None:
        return None
    derived = np.asarray(patch.matte, np.float32)
    plate = changed_pixels(derived, matte[patch.rect.slices], patch.rect, tolerance)
    return None if plate is None else FrameEdits(plate=plate)


def _one(frame: int) -> FrameRange:
    from julnet_plugin.types import FrameRange

    return FrameRange(start=frame, stop=frame + 1)
