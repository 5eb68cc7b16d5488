"""The reference crops of every shot: chosen once, kept with the take.

A shot in which the head turns has several groups of references, each of another pose; a frame uses the group of its own
pose, and around the frame where one group takes over from another, both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from julnet_plugin.errors import SettingsError, TakeError
from julnet_plugin.pipeline.cropdata import PLAN, Plan, read_arrays, write_arrays
from julnet_plugin.pipeline.mouths import lips_in_face, mouths_of
from julnet_plugin.pipeline.plates import frames_at
from julnet_plugin.pipeline.rehearsal import GRID, Rehearsals, Shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from julnet_plugin.compose.paste import DisplayTransform
    from julnet_plugin.face.speaker import Choice
    from julnet_plugin.face.tracks import FaceTrack
    from julnet_plugin.media.reader import PlateFrame, PlateReader
    from julnet_plugin.pipeline.cropdata import Plan
    from julnet_plugin.pipeline.inputs import Job

Float32 = NDArray[np.float32]

REFERENCES = "references.npz"
_ARRAYS = ("shots", "groups", "of_frame", "frames", "images", "lips", "angles", "rehearsed", "gains")
_FADE = 2  #: frames on either side of a frame whose groups it is drawn with: a takeover lasts five frames


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chosen:
    """Which plate frames are references for which frames.

    Attributes:
        groups: shot and plate frames of each group.
        of_frame: (T,) group of each position in the range; -1 where nobody is re-dubbed.
    """

    groups: tuple[tuple[int, tuple[int, ...]], ...]
    of_frame: NDArray[np.int32]


class References:
    """Reference crops by group, 16 bits a channel; a group's rows go from the most closed mouth to the most open.

    Args:
        shots: shot of each row.
        groups: group of each row.
        of_frame: (T,) group of each position in the range; -1 where nobody is re-dubbed.
        frames: plate frame of each row.
        images: (rows, h, w, 3) uint16 display RGB.
        lips: (rows, 3, 48, 3) the row's lips, its shot's closed mouth and the same as it is held in speech, in face
            units; takes that are older than habits have the first two.
        angles: (rows, 3) yaw, pitch, roll of the row's head in radians; NaN in takes that are older than this.
        rehearsed: shots whose σ was tried on frames of their own; none in takes that are older than this.
        gains: (len(rehearsed), GRID, GRID) what to multiply their σ by; see `rehearsal`.
    """

    def __init__(
        self,
        *,
        shots: NDArray[np.int64],
        groups: NDArray[np.int64],
        of_frame: NDArray[np.int32],
        frames: NDArray[np.int64],
        images: NDArray[np.uint16],
        lips: Float32,
        angles: NDArray[np.float64],
        rehearsed: NDArray[np.int64],
        gains: Float32,
    ) -> None:
        self.shots, self.groups, self.of_frame = shots, groups, of_frame
        self.frames, self.images, self.lips, self.angles = frames, images, lips, angles
        self.rehearsed, self.gains = rehearsed, gains
        self._thumbnails: dict[tuple[int, int], NDArray[np.uint8]] = {}

    def images_of(self, group: int) -> Float32:
        """(N, h, w, 3) float32 display RGB."""
        return np.asarray(self.images[self.groups == group] / np.float32(65535), np.float32)

    def lips_of(self, group: int) -> Float32:
        """(N + 2, 48, 3): the lips of the references, the shot's closed mouth, the same as it is held in speech."""
        lips = self.lips[self.groups == group]
        return np.concatenate([lips[:, 0], lips[0, 1:]])

    def gain_of(self, group: int) -> Float32 | None:
        """What to multiply the σ of a group's frames by (GRID, GRID); None where it was not tried."""
        return self.shot_gain(int(self.shots[int(np.searchsorted(self.groups, group))]))

    def shot_gain(self, shot: int) -> Float32 | None:
        """The same, of a shot."""
        return next((gain for number, gain in zip(self.rehearsed, self.gains, strict=True) if number == shot), None)

    def closed_of(self, shot: int) -> Float32:
        """(48, 3): the shot's closed mouth, in face units."""
        return np.asarray(self.lips[self.shots == shot][0, 1], np.float32)

    def frames_of(self, shot: int) -> list[int]:
        """Plate frames of one shot's references, group after group."""
        return [int(frame) for frame in self.frames[self.shots == shot]]

    def frames_at(self, position: int) -> list[int]:
        """Plate frames that are the references of one frame."""
        return [int(frame) for frame in self.frames[self.groups == self.of_frame[position]]]

    def thumbnails_at(self, position: int, side: int) -> NDArray[np.uint8]:
        """Lower faces of the references of one frame, for people to look at. (N, side, side, 3) display RGB."""
        import cv2

        group = int(self.of_frame[position])
        if (group, side) not in self._thumbnails:
            crops = self.images[self.groups == group]
            square = min(crops.shape[1:3])
            faces = [crop[-square:, :square] for crop in crops]
            small = [cv2.resize(face, (side, side), interpolation=cv2.INTER_AREA) for face in faces]
            made = (np.stack(small) // 257).astype(np.uint8) if small else np.zeros((0, side, side, 3), np.uint8)
            made.flags.writeable = False  # frame after frame shows it
            self._thumbnails[group, side] = made
        return self._thumbnails[group, side]

    def shares(self, position: int) -> list[tuple[int, float]]:
        """Groups that draw a frame, and how much of it each does; they add up to 1.

        Where one group takes over from another, the picture goes over to it in a few frames.
        """
        shot = self._shot_of(int(self.of_frame[position]))
        near = self.of_frame[max(position - _FADE, 0) : position + _FADE + 1]
        groups, count = np.unique([group for group in near if self._shot_of(group) == shot], return_counts=True)
        return [(int(group), float(n / count.sum())) for group, n in zip(groups, count, strict=True)]

    def _shot_of(self, group: int) -> int | None:
        """The shot that a group belongs to; None for frames of nobody."""
        return None if group < 0 else int(self.shots[int(np.searchsorted(self.groups, group))])

    def save(self, path: Path) -> None:
        """Keep them with the take."""
        write_arrays(path, {name: getattr(self, name) for name in _ARRAYS})

    @classmethod
    def load(cls, path: Path) -> References:
        """Read what `save` wrote; a take may be older than rehearsals, or than groups: then each shot is one group.

        Raises:
            TakeError: the file is missing or damaged.
        """
        try:
            return cls(**read_arrays(path, _ARRAYS))
        except TakeError:
            return cls(**_older(path))


def _older(path: Path) -> dict[str, Any]:
    """References of a take that is older than rehearsals, than their poses, or than groups."""
    arrays = read_arrays(path, ("shots", "frames", "images", "lips"))
    arrays |= {"rehearsed": np.zeros(0, np.int64), "gains": np.zeros((0, GRID, GRID), np.float32)}
    try:
        return {**arrays, **read_arrays(path, ("groups", "of_frame", "angles"))}
    except TakeError:
        arrays["angles"] = np.full((len(arrays["shots"]), 3), np.nan)
    try:
        return {**arrays, **read_arrays(path, ("groups", "of_frame"))}
    except TakeError:
        shots, groups = np.unique(arrays["shots"], return_inverse=True)
        shot = Plan.load(path.with_name(PLAN)).shot
        of_frame = np.where(np.isin(shot, shots), np.searchsorted(shots, shot), -1).astype(np.int32)
        return {**arrays, "groups": groups.astype(np.int64), "of_frame": of_frame}


def choose_frames(job: Job, choices: Sequence[Choice], plan: Plan) -> Chosen:
    """Plate frames of each shot's references: the user's for every shot, or the best of the shot's own.

    A face that was followed beyond the range lends its frames there too.

    Raises:
        SettingsError: one of the user's frames does not show the face that is re-dubbed.
    """
    from julnet_plugin.face.references import choose_references, group_poses

    count = job.engine.info.n_refs
    tracks = _entire(choices)
    groups: list[tuple[int, tuple[int, ...]]] = []
    of_frame = np.full(len(plan), -1, np.int32)
    if job.refs:
        for frame in job.refs:
            if all(track.row(frame) is None for track in tracks.values()):
                raise SettingsError(
                    f"reference frame {frame} does not show the face that is re-dubbed: choose frames that do, or auto",
                    key="refs",
                )
        filled = tuple(job.refs[k % len(job.refs)] for k in range(count))
    for shot, track in sorted(tracks.items()):
        here = np.flatnonzero(plan.shot == shot)
        if job.refs:
            of_frame[here] = len(groups)
            groups.append((shot, filled))
            continue
        poses, group = group_poses(plan.angles[here, :2])
        of_frame[here] = len(groups) + group
        for number, pose in enumerate(poses):
            usual = number == 0 and len(poses) == 1
            frames = choose_references(track, count, seed=job.request.seed, pose=None if usual else pose)
            groups.append((shot, tuple(frames)))
    return Chosen(groups=tuple(groups), of_frame=of_frame)


def cut_references(
    job: Job, plate: PlateReader, plan: Plan, choices: Sequence[Choice], chosen: Chosen, *, rehearse: bool = True
) -> References:
    """Read the chosen frames, cut their crops and measure their lips; try σ on a few more frames in the same pass.

    Args:
        job: what is rendered.
        plate: open for reading.
        plan: of the range.
        choices: who is re-dubbed.
        chosen: which frames are references.
        rehearse: whether σ is tried; a picture that only shows what a take will look like does without.
    """
    from julnet_plugin.model.lips import SHAPE_POINTS, inner_gap  # late: torch, which who only looks does without

    size, tracks = job.engine.info.crop_size, _entire(choices)
    mouths = mouths_of(job, tracks)
    kept = {frame for _, frames in chosen.groups for frame in frames}
    trials = Rehearsals(job, tracks, mouths if rehearse else {}, chosen.groups)
    wanted = sorted(kept | trials.frames)
    places = _places(job, plan, tracks, wanted)
    crops: dict[int, NDArray[np.uint16]] = {}
    for frame in frames_at(plate, wanted):
        place = places[frame.index]
        seen = np.clip(frame_crop(frame, job.transform, place.plate_from_crop, size), 0, 1)
        crop = np.rint(seen * 65535).astype(np.uint16)
        if frame.index in kept:
            crops[frame.index] = crop
        trials.see(frame.index, Shown(crop, place.region))
    rows, lips = [], []
    for group, (shot, frames) in enumerate(chosen.groups):
        mouth = mouths[shot]
        shapes = reference_lips(tracks, mouth.closed, shot, frames)
        for k in np.argsort(inner_gap(shapes), kind="stable"):
            rows.append((shot, group, frames[k]))
            lips.append(np.stack([shapes[k], mouth.closed, mouth.spoken]))
    return References(
        shots=np.array([shot for shot, _, _ in rows], np.int64),
        groups=np.array([group for _, group, _ in rows], np.int64),
        of_frame=chosen.of_frame,
        frames=np.array([frame for _, _, frame in rows], np.int64),
        images=np.stack([crops[frame] for _, _, frame in rows]) if rows else np.zeros((0, *size, 3), np.uint16),
        lips=np.stack(lips) if lips else np.zeros((0, 3, len(SHAPE_POINTS), 3), np.float32),
        angles=np.stack([places[frame].angles for _, _, frame in rows]) if rows else np.zeros((0, 3)),
        rehearsed=np.array(list(trials.gains), np.int64),
        gains=np.array(list(trials.gains.values()), np.float32).reshape(-1, GRID, GRID),
    )


def _entire(choices: Sequence[Choice]) -> dict[int, FaceTrack]:
    """The face of each shot as far as it was followed."""
    return {choice.shot: choice.track.entire for choice in choices if choice.track is not None}


class _Place(NamedTuple):
    """Where the face is on a plate frame; shapes as in `Plan`."""

    plate_from_crop: NDArray[np.float64]
    angles: NDArray[np.float64]
    region: Float32


def _places(job: Job, plan: Plan, tracks: Mapping[int, FaceTrack], frames: Sequence[int]) -> dict[int, _Place]:
    """Where the face is on some plate frames."""
    from julnet_plugin.face.crop import plan_crops

    places: dict[int, _Place] = {}
    beyond: dict[int, list[int]] = {}
    for frame in frames:
        if frame in job.frames:
            row = frame - job.frames.start
            places[frame] = _Place(plan.plate_from_crop[row], plan.angles[row], plan.region[row])
        else:
            shot = next(shot for shot, track in tracks.items() if track.row(frame) is not None)
            beyond.setdefault(shot, []).append(frame)
    for shot, outside in beyond.items():
        track = tracks[shot]
        crops = plan_crops(track.landmarks, track.found, float(job.info.rate))
        for frame in outside:
            row = frame - track.frames.start
            places[frame] = _Place(crops.plate_from_crop[row], crops.angles[row], crops.region[row])
    return places


def reference_lips(tracks: Mapping[int, FaceTrack], closed: Float32, shot: int, frames: Sequence[int]) -> Float32:
    """The lips of some frames in face units. (len(frames), 48, 3).

    Args:
        tracks: the face in every shot; a user's reference may lie in another shot than the one it serves.
        closed: the shot's closed mouth, for a frame that does not show the face after all.
        shot: whose references they are.
        frames: plate frames that show the face.
    """
    shapes: list[Float32] = []
    for frame in frames:
        owner = next((t for t in (tracks[shot], *tracks.values()) if t.row(frame) is not None), tracks[shot])
        row = owner.row(frame)
        shapes.append(lips_in_face(owner.landmarks[[row]])[0] if row is not None else closed)
    return np.stack(shapes)


def frame_crop(
    frame: PlateFrame, transform: DisplayTransform, plate_from_crop: NDArray[np.float64], size: tuple[int, int]
) -> Float32:
    """One crop in display RGB; only the rectangle of the plate that it touches is converted. (h, w, 3) float32.

    A crop that lies outside the plate repeats the plate's edge.
    """
    from julnet_plugin.face.crop import crop_rect, sample_crop
    from julnet_plugin.types import Rect

    width, height = frame.size
    rect = crop_rect(plate_from_crop, width, height) or Rect(x0=0, y0=0, x1=width, y1=height)
    local = np.array(plate_from_crop, np.float64)
    local[:, 2] -= (rect.x0, rect.y0)
    return sample_crop(transform.to_display(frame.part(rect)), local, size)
