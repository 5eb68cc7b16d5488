"""One person of a shot while it is read, and who is who when faces meet or come back."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from julnet_plugin.face.appearance import LOOK_PX, Appearance, appearance, likeness
from julnet_plugin.face.boxes import box_of, overlap
from julnet_plugin.face.cover import above_usual
from julnet_plugin.face.crop import MOUTH_SIZE, UNIT_PX, fit_poses
from julnet_plugin.face.lips import lip_aperture
from julnet_plugin.face.tracks import ARRAYS, LANDMARKS, QUALITY, FaceTrack, Rows, array_path
from julnet_plugin.types import FrameRange

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from julnet_plugin.face.detect import Sighting

Picture = NDArray[np.uint8]
Float32 = NDArray[np.float32]

_JUMP = 0.5  #: face sizes that a followed face may be away from where it was expected
_SWAP_LIKENESS = 0.7  #: a followed face that suddenly looks less like itself than this is somebody else's
_TURN_LIKENESS = 0.9  #: … unless it looks like it did one picture ago: a head that turns fast
_KNOWN_LIKENESS = 0.8  #: a face that was away for long must look this much like who it is taken for
_GROWTH = 1.5  #: size ratio within which a face that comes back is taken for the same
_SAME_FACE = 0.6  #: two faces that overlap by more than this are one
_LOOK_RATE = 0.1  #: how fast the remembered look follows the light and the turn of the head
_MOTION_RATE = 0.5  #: how fast the expected motion follows


@dataclass(frozen=True, slots=True)
class Face:
    """One face in one picture: where it is and what it looks like."""

    landmarks: Float32  #: (478, 3) plate pixels
    presence: float
    seen: Appearance

    @classmethod
    def of(cls, picture: Picture, sighting: Sighting) -> Face:
        """Measure a sighting in its picture."""
        return cls(sighting.landmarks, sighting.presence, appearance(picture, sighting.landmarks, sighting.view))


class Person:
    """One face through a shot: its rows so far, and what is expected of it next."""

    def __init__(self, shot: int, start: int, folder: Path | None, serial: int) -> None:
        self._shot, self._start, self._folder = shot, start, folder
        paths = {name: None if folder is None else folder / f"new-{serial}.{name}.npy" for name in ARRAYS}
        self._landmarks = Rows(paths["landmarks"], np.dtype("<f4"), (LANDMARKS, 3))
        self._quality = Rows(paths["quality"], QUALITY, ())
        self._looks = Rows(paths["looks"], np.dtype("u1"), (LOOK_PX, LOOK_PX, 3))
        self.landmarks: Float32 = np.zeros((LANDMARKS, 3), np.float32)  #: at the last sighting
        self.last_seen = start - 1
        self.sightings = 0
        self._motion = np.zeros(2)
        self._look = np.zeros((LOOK_PX, LOOK_PX, 3), np.float32)
        self._last_look = np.zeros((LOOK_PX, LOOK_PX, 3), np.uint8)

    def see(self, index: int, face: Face) -> None:
        """Record where the person is in a picture; frames since the last sighting become rows without a face."""
        for _ in range(self.last_seen + 1, index):
            self._append(np.zeros((LANDMARKS, 3)), np.zeros((), QUALITY), np.zeros((LOOK_PX, LOOK_PX, 3)))
        self._append(face.landmarks, _quality(face), face.seen.look)
        self._learn(index, face)

    def accepts(self, face: Face, index: int) -> bool:
        """Whether a followed face is still this person, and not a neighbour that came in front."""
        if self.distance(face.landmarks, index) > _JUMP:
            return False
        if likeness(self._look, face.seen.look) >= _SWAP_LIKENESS:
            return True
        return likeness(self._last_look, face.seen.look) >= _TURN_LIKENESS

    def distance(self, landmarks: Float32, index: int) -> float:
        """How far a face is from where this person is expected, in face sizes; size changes count like moves."""
        here, there = box_of(self.landmarks), box_of(landmarks)
        ahead = min(index - self.last_seen, 5)  # no motion goes on for longer
        expected = np.array(here.centre) + ahead * self._motion
        away = float(np.hypot(*(np.array(there.centre) - expected))) / max(here.size, 1.0)
        return away + abs(float(np.log(max(there.size, 1.0) / max(here.size, 1.0))))

    def claim(self, face: Face, index: int, gap: int) -> float | None:
        """How badly a found face fits this person, or None when it cannot be the same.

        Args:
            face: what was found.
            index: plate frame.
            gap: frames within which somebody who was lost may have changed.
        """
        distance, like = self.distance(face.landmarks, index), likeness(self._look, face.seen.look)
        size = box_of(face.landmarks).size / max(box_of(self.landmarks).size, 1.0)
        away = index - self.last_seen
        reach = _JUMP + 0.1 * away if away <= gap else np.inf
        if not 1 / _GROWTH < size < _GROWTH or distance > reach:
            return None
        if like < (0.5 if away <= gap else _KNOWN_LIKENESS):
            return None
        return min(distance, 3.0) / 3 + 2 * (1 - like)

    def finish(self, index: int) -> FaceTrack:
        """Close the track and give it its number."""
        quality = self._quality.finish(writable=True)
        quality["covered"] = above_usual(quality["covered"], quality["found"])
        if isinstance(quality, np.memmap):
            quality.flush()
        for rows, name in zip(self._rows(), ARRAYS, strict=True):
            if rows.path is not None and self._folder is not None:
                rows.path = rows.path.replace(array_path(self._folder, index, name))
        return FaceTrack(
            index=index,
            shot=self._shot,
            frames=FrameRange(start=self._start, stop=self.last_seen + 1),
            landmarks=self._landmarks.finish(),
            quality=quality,
            looks=self._looks.finish(),
        )

    def drop(self) -> None:
        """Forget this person."""
        for rows in self._rows():
            rows.drop()

    def _rows(self) -> tuple[Rows, Rows, Rows]:
        return self._landmarks, self._quality, self._looks

    def _append(self, landmarks: NDArray[np.generic], quality: NDArray[np.void], look: NDArray[np.generic]) -> None:
        for rows, row in zip(self._rows(), (landmarks, quality, look), strict=True):
            rows.append(row)

    def _learn(self, index: int, face: Face) -> None:
        if self.sightings:
            moved = np.subtract(box_of(face.landmarks).centre, box_of(self.landmarks).centre) / (index - self.last_seen)
            self._motion += _MOTION_RATE * (moved - self._motion)
            self._look += _LOOK_RATE * (face.seen.look - self._look)
        else:
            self._look = face.seen.look.astype(np.float32)
        self.landmarks, self._last_look, self.last_seen = face.landmarks, face.seen.look, index
        self.sightings += 1


class PersonFactory:
    """Makes people whose rows go to files with different names."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._made = 0

    def make(self, shot: int, start: int) -> Person:
        """A person first seen on plate frame `start`."""
        self._made += 1
        return Person(shot, start, self._folder, self._made)


def assign(people: Sequence[Person], found: Sequence[Face], index: int, gap: int) -> list[int | None]:
    """Which of the missing people each found face is; None for somebody new. The best match as a whole."""
    answers: list[int | None] = [None] * len(found)
    if not people or not found:
        return answers
    impossible = 1e6
    cost = np.full((len(found), len(people)), impossible)
    for row, face in enumerate(found):
        for column, person in enumerate(people):
            claim = person.claim(face, index, gap)
            if claim is not None:
                cost[row, column] = claim
    for row, column in zip(*linear_sum_assignment(cost), strict=True):
        if cost[row, column] < impossible:
            answers[row] = int(column)
    return answers


def drop_doubles(people: Sequence[Person], faces: Sequence[Face | None], index: int, gap: int) -> list[Face | None]:
    """Where two people were followed to the same face, leave it to whom it fits better; the other is lost for now."""
    kept = list(faces)
    for a, b in itertools.combinations(range(len(kept)), 2):
        one, two = kept[a], kept[b]
        if one is None or two is None or overlap(box_of(one.landmarks), box_of(two.landmarks)) < _SAME_FACE:
            continue
        first, second = people[a].claim(one, index, gap), people[b].claim(two, index, gap)
        loser = b if second is None or (first is not None and first <= second) else a
        kept[loser] = None
    return kept


def _quality(face: Face) -> NDArray[np.void]:
    row = np.zeros((), QUALITY)
    seen, landmarks = face.seen, face.landmarks[None]
    poses = fit_poses(landmarks)
    box = box_of(face.landmarks)
    row["found"] = True
    row["presence"], row["sharpness"], row["inside"] = face.presence, seen.sharpness, seen.inside
    row["mouth_px"] = poses.scale[0] * MOUTH_SIZE / UNIT_PX
    row["yaw"], row["pitch"], row["roll"] = poses.angles()[0]
    row["aperture"] = lip_aperture(landmarks)[0]
    row["covered"] = seen.covered
    row["box"] = (box.x0, box.y0, box.x1, box.y1)
    return row
