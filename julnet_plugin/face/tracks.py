"""What tracking a clip gives: shots, the faces in them, and their files.

On disk a tracking is a folder: `tracking.json` and three `.npy` arrays a face. Landmarks grow on disk while the clip is
read and are mapped, not loaded, afterwards: ten minutes of one face at 25 fps are 86 MB of file and next to no memory.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from julnet_plugin.errors import TakeError
from julnet_plugin.face.appearance import LOOK_PX
from julnet_plugin.face.boxes import Box
from julnet_plugin.types import FrameRange

if TYPE_CHECKING:
    from pathlib import Path

Float32 = NDArray[np.float32]

LANDMARKS = 478
ARRAYS = ("landmarks", "quality", "looks")
_SCHEMA = 2

#: One row a frame. Angles in radians, zero when the face looks into the camera; lengths in plate pixels.
QUALITY = np.dtype(
    [
        ("found", "?"),
        ("presence", "<f4"),  #: the tracker's belief, 0 to 1; 1 where it does not say
        ("sharpness", "<f4"),  #: see `Appearance`
        ("inside", "<f4"),  #: share of lips and chin inside the picture
        ("mouth_px", "<f4"),  #: side of the mouth square
        ("yaw", "<f4"),
        ("pitch", "<f4"),
        ("roll", "<f4"),
        ("aperture", "<f4"),  #: gap between the lips in face units
        ("covered", "<f4"),  #: share of the mouth that something lies over, 0 to 1
        ("box", "<f4", (4,)),  #: x0, y0, x1, y1 around all landmarks
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FaceTrack:
    """One face through (a part of) one shot.

    Shape:
        landmarks: (T, 478, 3) float32 plate pixels; 0 where not found.
        quality: (T,) of dtype `QUALITY`; 0 where not found.
        looks: (T, 12, 12, 3) uint8 thumbnails; 0 where not found.
    """

    index: int  #: what the user calls it: faces are counted from 0 through the whole clip
    shot: int  #: which of `Tracking.shots`
    frames: FrameRange  #: plate frames of the rows, from the first to the last sighting
    landmarks: Float32
    quality: NDArray[np.void]
    looks: NDArray[np.uint8]
    whole: FaceTrack | None = None  #: the track that this is a part of

    @property
    def entire(self) -> FaceTrack:
        """The same face as far as it was followed, also outside the range that this track was cut to."""
        return self.whole or self

    @property
    def found(self) -> NDArray[np.bool_]:
        """(T,) whether the face was seen."""
        return np.asarray(self.quality["found"], bool)

    def row(self, frame: int) -> int | None:
        """The row of a plate frame, or None where the face was not seen."""
        if frame not in self.frames or not self.quality["found"][frame - self.frames.start]:
            return None
        return frame - self.frames.start

    def box(self, row: int) -> Box:
        """The box around the landmarks of one row."""
        return Box(*(float(edge) for edge in self.quality["box"][row]))

    def over(self, frames: FrameRange) -> tuple[Float32, NDArray[np.bool_]]:
        """Landmarks (T, 478, 3) and found (T,) for every frame of a range, such as a shot; 0 and False outside."""
        if frames == self.frames:
            return self.landmarks, self.found
        landmarks = np.zeros((len(frames), *self.landmarks.shape[1:]), np.float32)
        found = np.zeros(len(frames), bool)
        first, stop = max(frames.start, self.frames.start), min(frames.stop, self.frames.stop)
        if first < stop:
            here = slice(first - frames.start, stop - frames.start)
            there = slice(first - self.frames.start, stop - self.frames.start)
            landmarks[here], found[here] = self.landmarks[there], self.found[there]
        return landmarks, found

    def within(self, frames: FrameRange) -> FaceTrack | None:
        """The part of the track from the first to the last sighting in a range; None where the face isn't seen."""
        first = max(frames.start - self.frames.start, 0)
        rows = first + np.flatnonzero(self.found[first : max(frames.stop - self.frames.start, 0)])
        if not rows.size:
            return None
        part = slice(int(rows[0]), int(rows[-1]) + 1)
        return replace(
            self,
            frames=FrameRange(start=self.frames.start + part.start, stop=self.frames.start + part.stop),
            **{name: getattr(self, name)[part] for name in ARRAYS},
            whole=self.entire,
        )

    def typical(self, name: str) -> float:
        """Median of one column of `QUALITY` over the frames with a face."""
        return float(np.median(self.quality[name][self.found]))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tracking:
    """All faces of a range of a clip."""

    span: FrameRange  #: plate frames that were looked at
    shots: tuple[FrameRange, ...]  #: they follow one another and fill the span
    tracks: tuple[FaceTrack, ...]  #: by shot, then by first frame
    width: int
    height: int
    rate: Fraction
    tracker: str  #: name of the tracker that made it

    def in_shot(self, shot: int) -> list[FaceTrack]:
        """The faces of one shot."""
        return [track for track in self.tracks if track.shot == shot]

    def shot_of(self, frame: int) -> int:
        """Which shot a plate frame belongs to.

        Raises:
            ValueError: the frame is outside the span.
        """
        for number, shot in enumerate(self.shots):
            if frame in shot:
                return number
        msg = f"frame {frame} was not tracked ({self.span.start} to {self.span.stop - 1} were)"
        raise ValueError(msg)

    def within(self, frames: FrameRange) -> Tracking:
        """The shots and faces of a part of the span, numbered from 0; each face still knows its `entire` track."""
        if frames == self.span:
            return self
        shots: list[FrameRange] = []
        tracks: list[FaceTrack] = []
        for number, shot in enumerate(self.shots):
            start, stop = max(shot.start, frames.start), min(shot.stop, frames.stop)
            if start >= stop:
                continue
            here = FrameRange(start=start, stop=stop)
            for track in self.in_shot(number):
                part = track.within(here)
                if part is not None:
                    tracks.append(replace(part, index=len(tracks), shot=len(shots)))
            shots.append(here)
        return replace(self, span=frames, shots=tuple(shots), tracks=tuple(tracks))

    def frames_without_face(self) -> list[int]:
        """Plate frames on which no face at all was seen."""
        seen = np.zeros(len(self.span), bool)
        for track in self.tracks:
            start = track.frames.start - self.span.start
            seen[start : start + len(track.frames)] |= track.found
        return [int(row) + self.span.start for row in np.flatnonzero(~seen)]

    def save(self, folder: Path) -> None:
        """Write everything to a new folder, whole or not at all; one that is there already is replaced."""
        part = part_folder(folder)
        for track in self.tracks:
            for name in ARRAYS:
                np.save(array_path(part, track.index, name), getattr(track, name), allow_pickle=False)
        publish(part, folder, self)

    @classmethod
    def load(cls, folder: Path) -> Tracking:
        """Open what `save` or `track_plate` wrote; landmarks stay on disk until they are touched.

        Raises:
            TakeError: the folder is missing, damaged or of another version.
        """
        try:
            data = json.loads((folder / "tracking.json").read_text(encoding="utf-8"))
            if data["schema"] != _SCHEMA:
                msg = f"{folder} holds face tracks of version {data['schema']}; this JULNet reads version {_SCHEMA}"
                raise TakeError(msg, folder)
            return cls(
                span=FrameRange(start=data["span"][0], stop=data["span"][1]),
                shots=tuple(FrameRange(start=start, stop=stop) for start, stop in data["shots"]),
                tracks=tuple(_read_track(folder, **track) for track in data["tracks"]),
                width=data["width"],
                height=data["height"],
                rate=Fraction(data["rate"]),
                tracker=data["tracker"],
            )
        except (OSError, ValueError, KeyError, TypeError, EOFError) as exc:
            msg = f"the face tracks in {folder} are missing or damaged; render the take again without --resume"
            raise TakeError(msg, folder) from exc


def part_folder(folder: Path) -> Path:
    """An empty folder beside `folder` to collect its contents in."""
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    return part


def publish(part: Path, folder: Path, tracking: Tracking) -> None:
    """Describe the arrays in `part` and give the folder its final name."""
    text = json.dumps(_description(tracking), indent=1)
    (part / "tracking.json").write_text(text + "\n", encoding="utf-8")
    if folder.exists():
        shutil.rmtree(folder)
    part.replace(folder)


class Rows:
    """An array that grows by rows, in memory or straight into a `.npy` file."""

    _BATCH = 64

    def __init__(self, path: Path | None, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        self.path = path
        self._dtype, self._shape = dtype, shape
        self._pending: list[NDArray[Any]] = []
        self._length = 0
        if path is not None:
            with path.open("wb") as file:
                self._write_header(file)

    def append(self, row: NDArray[Any]) -> None:
        """Add one row."""
        self._pending.append(np.asarray(row, self._dtype))
        self._length += 1
        if self.path is not None and len(self._pending) >= self._BATCH:
            self._flush(self.path)

    def __len__(self) -> int:
        return self._length

    def finish(self, *, writable: bool = False) -> NDArray[Any]:
        """The whole array: in memory, or mapped from its file, which is complete then."""
        if self.path is None:
            return np.array(self._pending, self._dtype).reshape(self._length, *self._shape)
        self._flush(self.path)
        with self.path.open("r+b") as file:
            self._write_header(file)
        mapped: NDArray[Any] = np.load(self.path, mmap_mode="r+" if writable else "r", allow_pickle=False)
        return mapped

    def drop(self) -> None:
        """Forget the rows, and the file."""
        self._pending.clear()
        if self.path is not None:
            self.path.unlink()

    def _flush(self, path: Path) -> None:
        with path.open("ab") as file:
            for row in self._pending:
                file.write(row.tobytes())
        self._pending.clear()

    def _write_header(self, file: Any) -> None:
        # numpy pads the header so that the first axis may grow without moving the data behind it
        shape = (self._length, *self._shape)
        descr = np.lib.format.dtype_to_descr(self._dtype)  # type: ignore[no-untyped-call]
        header = {"descr": descr, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)  # type: ignore[no-untyped-call]


def array_path(folder: Path, index: int, name: str) -> Path:
    """Where one array of one face lies."""
    return folder / f"face-{index:03d}.{name}.npy"


def _description(tracking: Tracking) -> dict[str, Any]:
    return {
        "schema": _SCHEMA,
        "span": [tracking.span.start, tracking.span.stop],
        "shots": [[shot.start, shot.stop] for shot in tracking.shots],
        "width": tracking.width,
        "height": tracking.height,
        "rate": str(tracking.rate),
        "tracker": tracking.tracker,
        "tracks": [
            {"index": t.index, "shot": t.shot, "start": t.frames.start, "stop": t.frames.stop} for t in tracking.tracks
        ],
    }


def _read_track(folder: Path, index: int, shot: int, start: int, stop: int) -> FaceTrack:
    frames = FrameRange(start=start, stop=stop)
    arrays = {name: np.load(array_path(folder, index, name), mmap_mode="r", allow_pickle=False) for name in ARRAYS}
    wanted = {"landmarks": (LANDMARKS, 3), "quality": (), "looks": (LOOK_PX, LOOK_PX, 3)}
    for name, array in arrays.items():
        if array.shape != (len(frames), *wanted[name]):
            msg = f"face {index}: {name} has shape {array.shape}"
            raise ValueError(msg)
    return FaceTrack(index=index, shot=shot, frames=frames, **arrays)
