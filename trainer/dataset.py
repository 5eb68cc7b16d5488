"""Prepared footage on disk: one safetensors file a clip, readable in any order, portable as it is.

A file holds the crops as JPEG (95, 4:4:4), so it streams from disk and travels; the JSON in its header says what the
clip is. Nothing in it refers to another file, so any set of files is a dataset, and a shard is a file.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from julnet_plugin.errors import InputError

SCHEMA = 1
JPEG_QUALITY = 95
SUFFIX = ".safetensors"


class DatasetError(InputError, ValueError):
    """Prepared footage is missing, damaged, or too little for what was asked."""

    def __init__(self, message: str, path: Path | None = None) -> None:
        super().__init__(message)
        self.path = None if path is None else str(path)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipHeader:
    """What a prepared clip is."""

    name: str
    speaker: str
    split: str  #: "train" or "val"; speakers never cross
    rate: float  #: nominal frames per second
    crop_size: tuple[int, int]  #: (h, w) of the stored crops
    features: str  #: name of the audio features
    feature_step_s: float
    offset_s: float = 0.0  #: add to a frame's time to find its sound; measured by `prepare`
    offset_confidence: float = 0.0
    set_aside: str = ""  #: why its sound does not belong to its lips; "" where it does
    has_pictures: bool = True  #: False for clips that only teach sound to lip shape
    source: str = ""  #: the footage that it was cut from
    source_hash: str = ""  #: of that footage's bytes


@dataclass(slots=True)
class Clip:
    """One prepared clip in memory.

    Shape:
        jpeg: T encoded crops, or none.
        times_s: (T,) presentation times.
        region: (T, P, 2) lower-face outline, canonical crop pixels.
        lips: (T, 48, 3) lip contours and jaw in face units, head turned to the front.
        angles: (T, 3) yaw, pitch, roll in radians.
        mouth_px: (T,) side of the mouth square in plate pixels.
        sharpness: (T,) variance of the crop's Laplacian.
        audio: (S, D) audio features.
    """

    header: ClipHeader
    jpeg: list[NDArray[np.uint8]]
    times_s: NDArray[np.float64]
    region: NDArray[np.float32]
    lips: NDArray[np.float32]
    angles: NDArray[np.float32]
    mouth_px: NDArray[np.float32]
    sharpness: NDArray[np.float32]
    audio: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.times_s)

    def crop(self, index: int) -> NDArray[np.uint8]:
        """Decode one crop: (h, w, 3) RGB.

        Raises:
            DatasetError: its bytes are damaged.
        """
        return decode_crop(self.jpeg[index], self.header.name)


def encode_crop(crop: NDArray[Any]) -> NDArray[np.uint8]:
    """(h, w, 3) RGB, any numeric dtype in [0, 255], to JPEG bytes."""
    bgr = np.clip(np.round(crop[..., ::-1]), 0, 255).astype(np.uint8)
    done, data = cv2.imencode(
        ".jpg",
        bgr,
        [
            cv2.IMWRITE_JPEG_QUALITY,
            JPEG_QUALITY,
            cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
            cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
        ],
    )
    assert done  # encoding to memory fails only for an invalid picture
    return np.asarray(data.reshape(-1))


def decode_crop(data: NDArray[np.uint8], name: str) -> NDArray[np.uint8]:
    """JPEG bytes of the clip of this name to (h, w, 3) RGB.

    Raises:
        DatasetError: the bytes are damaged.
    """
    picture = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    if picture is None:
        msg = f"the prepared clip {name}{SUFFIX} is damaged (a picture in it is no JPEG); delete it and prepare again"
        raise DatasetError(msg)
    return np.asarray(picture[..., ::-1], np.uint8)


def write_clip(clip: Clip, path: Path) -> None:
    """Write a clip to a temporary name and rename it."""
    data = np.concatenate(clip.jpeg) if clip.jpeg else np.zeros(0, np.uint8)
    offsets = np.concatenate([[0], np.cumsum([len(j) for j in clip.jpeg])]).astype(np.int64)
    header = {**asdict(clip.header), "schema": SCHEMA}
    partial = path.with_name(path.name + ".partial")
    tensors: dict[str, NDArray[Any]] = {
        "jpeg": data,
        "jpeg_offsets": offsets,
        "times_s": clip.times_s,
        "region": clip.region,
        "lips": clip.lips,
        "angles": clip.angles,
        "mouth_px": clip.mouth_px,
        "sharpness": clip.sharpness,
        "audio": clip.audio.astype(np.float16),
    }
    save_file(tensors, partial, metadata={"julnet_clip": json.dumps(header)})
    partial.replace(path)


def read_header(path: Path) -> ClipHeader:
    """Only the header of a prepared clip.

    Raises:
        FileNotFoundError: there is no such file.
        DatasetError: it is not a prepared clip, or a newer JULNet wrote it.
    """
    with _opened(path) as file:
        return _header(file.metadata(), path)


def read_clip(path: Path, pictures: bool = True) -> Clip:
    """Read one prepared clip; `pictures=False` leaves the crops on disk.

    Raises:
        FileNotFoundError: there is no such file.
        DatasetError: it is not a prepared clip, or it is damaged.
    """
    with _opened(path) as file:
        header = _header(file.metadata(), path)
        jpeg: list[NDArray[np.uint8]] = []
        if pictures and header.has_pictures:
            data, offsets = file.get_tensor("jpeg"), file.get_tensor("jpeg_offsets")
            jpeg = [data[a:b] for a, b in itertools.pairwise(offsets)]
        return Clip(
            header=header,
            jpeg=jpeg,
            times_s=file.get_tensor("times_s"),
            region=file.get_tensor("region"),
            lips=file.get_tensor("lips"),
            angles=file.get_tensor("angles"),
            mouth_px=file.get_tensor("mouth_px"),
            sharpness=file.get_tensor("sharpness"),
            audio=file.get_tensor("audio").astype(np.float32),
        )


def rewrite_header(path: Path, header: ClipHeader) -> None:
    """Give a prepared clip another header; its arrays stay as they are."""
    if read_header(path) != header:
        clip = read_clip(path)
        clip.header = header
        write_clip(clip, path)


def select(clip: Clip, frames: NDArray[np.integer[Any]] | slice, name: str | None = None) -> Clip:
    """Some frames of a clip as a clip of its own, with all of its sound."""
    chosen = np.arange(len(clip))[frames]
    return Clip(
        header=clip.header if name is None else replace(clip.header, name=name),
        jpeg=[clip.jpeg[k] for k in chosen] if clip.jpeg else [],
        times_s=clip.times_s[chosen],
        region=clip.region[chosen],
        lips=clip.lips[chosen],
        angles=clip.angles[chosen],
        mouth_px=clip.mouth_px[chosen],
        sharpness=clip.sharpness[chosen],
        audio=clip.audio,
    )


def clip_paths(folder: Path) -> list[Path]:
    """The prepared clips of a dataset folder, in a steady order.

    Raises:
        DatasetError: there is no such folder, or nothing prepared in it.
    """
    found = sorted(folder.glob(f"*{SUFFIX}")) if folder.is_dir() else []
    if not found:
        what = "holds no prepared clips" if folder.is_dir() else "is not a folder"
        msg = f"{folder} {what}; make a dataset with `julnet prepare FOOTAGE -o {folder}`"
        raise DatasetError(msg, folder)
    return found


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """A safetensors file; whatever is wrong with it becomes one sentence."""
    try:
        with safe_open(path, framework="numpy") as file:
            yield file
    except SafetensorError as exc:
        msg = f"{path} is not a prepared clip, or it is damaged ({exc}); prepare the footage again"
        raise DatasetError(msg, path) from exc


def _header(metadata: dict[str, str] | None, path: Path) -> ClipHeader:
    if not metadata or "julnet_clip" not in metadata:
        msg = f"{path} is not a prepared clip; give what `julnet prepare` wrote"
        raise DatasetError(msg, path)
    try:
        values = json.loads(metadata["julnet_clip"])
        if values.pop("schema") != SCHEMA:
            msg = f"{path} was prepared by another version of JULNet; prepare the footage again"
            raise DatasetError(msg, path)
        values["crop_size"] = tuple(values["crop_size"])
        known = {field.name for field in fields(ClipHeader)}
        return ClipHeader(**{name: value for name, value in values.items() if name in known})
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
        if isinstance(exc, DatasetError):
            raise
        msg = f"the header of {path} is damaged ({exc!r}); prepare the footage again"
        raise DatasetError(msg, path) from exc
