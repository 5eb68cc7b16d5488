"""Follow every face through a clip, shot by shot.

One picture at a time, in order: faces seen in the previous picture are followed, faces that were lost or that come in
are searched for. What a picture gives depends only on the pictures before it in the same shot, so that two runs over a
range agree to the bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from julnet_plugin import hookimpl
from julnet_plugin.errors import PluginError
from julnet_plugin.face.detect import Effort, MediaPipeFaceMesh, Sighting
from julnet_plugin.face.people import Face, Person, PersonFactory, assign, drop_doubles
from julnet_plugin.face.shots import split_shots
from julnet_plugin.face.tracks import LANDMARKS, FaceTrack, Tracking, part_folder, publish
from julnet_plugin.types import FrameRange

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from julnet_plugin.interfaces import FaceTracker
    from julnet_plugin.types import FloatArray, MediaInfo, ProgressFn

Picture = NDArray[np.uint8]
Float32 = NDArray[np.float32]


@runtime_checkable
class FollowingTracker(Protocol):
    """What a face tracker may offer on top of `FaceTracker`; without it every face is searched for in every picture."""

    def search(
        self, picture: Picture, max_faces: int, known: Sequence[Float32] = (), effort: Effort = "thorough"
    ) -> list[Sighting]:
        """Find faces other than those already known; see `MediaPipeFaceMesh.search`."""
        ...

    def follow(self, picture: Picture, faces: Sequence[Float32]) -> list[Sighting | None]:
        """Find the same faces again in the next picture; see `MediaPipeFaceMesh.follow`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackSettings:
    """How faces are followed."""

    max_faces: int = 8  #: most faces at a time; the largest are kept
    search_s: float = 0.5  #: how often to look for people who come in
    gap_s: float = 0.5  #: a face that comes back within this time may have moved and turned freely
    min_frames: int = 5  #: faces seen on fewer frames of a longer shot are dropped as chance
    min_face_px: float = 24.0  #: faces smaller than this are not followed

    def __post_init__(self) -> None:
        if self.max_faces < 1 or self.search_s <= 0 or self.gap_s < 0 or self.min_frames < 1:
            msg = f"not settings to track faces with: {self}"
            raise ValueError(msg)


@hookimpl
def julnet_face_trackers() -> list[FaceTracker]:
    """The built-in tracker; its networks load with the first picture."""
    return [MediaPipeFaceMesh()]


def track_plate(
    frames: Iterable[tuple[int, Picture]],
    info: MediaInfo,
    tracker: FaceTracker,
    settings: TrackSettings | None = None,
    progress: ProgressFn | None = None,
    *,
    span: FrameRange | None = None,
    folder: Path | None = None,
) -> Tracking:
    """Find and follow all faces.

    Args:
        frames: plate frame number and display-referred 8-bit RGB (H, W, 3) at plate size, in order, without holes.
        info: the plate; its size and rate are used.
        tracker: finds faces in a picture; one with `follow` and `search` is faster and steadier.
        settings: defaults where None.
        progress: called as `progress("track", done, total)` after every picture.
        span: plate frames that `frames` will give; the whole plate where None.
        folder: where to keep the tracking; memory then does not grow with the clip. In memory where None.

    Returns:
        The tracking; when `folder` is given, opened from there.

    Raises:
        PluginError: the tracker breaks its contract.
        RedubCancelled: from `progress`; nothing is left at `folder`.
    """
    settings = settings or TrackSettings()
    span = span or FrameRange(start=0, stop=info.frame_count)
    part = None if folder is None else part_folder(folder)
    factory = PersonFactory(part)
    shots: list[FrameRange] = []
    tracks: list[FaceTrack] = []
    shot: _Shot | None = None
    next_index = span.start
    for index, picture, starts in split_shots(frames):
        if starts or shot is None:
            if shot is not None:
                shots.append(shot.frames())
                tracks += shot.finish(len(tracks))
            shot = _Shot(len(shots), index, tracker, settings, float(info.rate), factory)
        shot.see(index, picture)
        next_index = index + 1
        if progress is not None:
            progress("track", next_index - span.start, len(span))
    if shot is not None:
        shots.append(shot.frames())
        tracks += shot.finish(len(tracks))
    tracking = Tracking(
        span=FrameRange(start=span.start, stop=next_index),
        shots=tuple(shots),
        tracks=tuple(tracks),
        width=info.width,
        height=info.height,
        rate=info.rate,
        tracker=tracker.name,
    )
    if part is None or folder is None:
        return tracking
    publish(part, folder, tracking)
    return Tracking.load(folder)


class _Shot:
    """The faces of one shot while it is read."""

    def __init__(
        self,
        number: int,
        start: int,
        tracker: FaceTracker,
        settings: TrackSettings,
        rate: float,
        factory: PersonFactory,
    ) -> None:
        self._number, self._start, self._stop = number, start, start
        self._tracker, self._settings, self._factory = tracker, settings, factory
        self._gap = max(1, round(settings.gap_s * rate))
        self._search_every = max(1, round(settings.search_s * rate))
        self._searched = self._searched_well = start - 10**9
        self._glanced = False
        self._people: list[Person] = []

    def frames(self) -> FrameRange:
        """The plate frames seen so far."""
        return FrameRange(start=self._start, stop=self._stop)

    def see(self, index: int, picture: Picture) -> None:
        """Look at the next picture."""
        self._stop = index + 1
        picture = np.ascontiguousarray(picture)
        faces = self._follow(index, picture)
        taken = [face.landmarks for face in faces if face is not None]
        missing = [person for person, face in zip(self._people, faces, strict=True) if face is None]
        found = self._search(index, picture, taken, missing)
        for face, match in zip(found, assign(missing, found, index, self._gap), strict=True):
            if match is not None:
                faces[self._people.index(missing[match])] = face
            elif sum(f is not None for f in faces) < self._settings.max_faces:
                self._people.append(self._factory.make(self._number, index))
                faces.append(face)
        for person, seen in zip(self._people, faces, strict=True):
            if seen is not None:
                person.see(index, seen)

    def finish(self, first_index: int) -> list[FaceTrack]:
        """Close the shot; its faces are numbered from `first_index`, in the order in which they came in."""
        least = min(self._settings.min_frames, self._stop - self._start)
        kept: list[FaceTrack] = []
        for person in self._people:
            if person.sightings >= least:
                kept.append(person.finish(first_index + len(kept)))
            else:
                person.drop()
        return kept

    def _follow(self, index: int, picture: Picture) -> list[Face | None]:
        """Look for everyone who was there one picture ago. One answer a person, None for who wasn't or is gone."""
        answers: list[Face | None] = [None] * len(self._people)
        there = [k for k, person in enumerate(self._people) if person.last_seen == index - 1]
        if not isinstance(self._tracker, FollowingTracker) or not there:
            return answers
        followed = self._tracker.follow(picture, [self._people[k].landmarks for k in there])
        for k, sighting in zip(there, followed, strict=True):
            if sighting is not None:
                face = Face.of(picture, sighting)
                answers[k] = face if self._people[k].accepts(face, index) else None
        return drop_doubles(self._people, answers, index, self._gap)

    def _search(self, index: int, picture: Picture, taken: list[Float32], missing: list[Person]) -> list[Face]:
        """Look for faces other than those in `taken`, when it is time to."""
        if not isinstance(self._tracker, FollowingTracker):
            plain = self._tracker.detect(picture, self._settings.max_faces)
            found = [Sighting(self._checked(face)) for face in plain]
        elif (effort := self._effort(index, bool(taken), missing)) is None:
            return []
        else:
            found = self._tracker.search(picture, self._settings.max_faces, taken, effort)
        return [Face.of(picture, sighting) for sighting in found if self._large_enough(sighting.landmarks)]

    def _effort(self, index: int, anybody: bool, missing: list[Person]) -> Effort | None:
        """How hard to search in this picture, None for not at all.

        Every picture right after a loss, often while people are missing, else now and then, in turns close and coarse:
        a search costs as much as following several faces.
        """
        gone_for = min((index - person.last_seen for person in missing), default=0)
        just_lost = 0 < gone_for <= self._gap
        missed = not anybody or 0 < gone_for <= 6 * self._gap
        every = 1 if just_lost else min(4, self._search_every) if missed else self._search_every
        if index - self._searched < every:
            return None
        self._searched = index
        if not anybody and index - self._searched_well >= 4 * self._search_every:
            self._searched_well = index
            return "thorough"
        self._glanced = not self._glanced
        return "glance" if self._glanced and not just_lost else "look"

    def _checked(self, landmarks: FloatArray) -> Float32:
        face = np.asarray(landmarks, np.float32)
        if face.shape != (LANDMARKS, 3):
            wanted = (LANDMARKS, 3)
            msg = f"the face tracker {self._tracker.name} gave landmarks of shape {face.shape}; {wanted} is needed"
            raise PluginError(msg, self._tracker.name)
        return face

    def _large_enough(self, landmarks: Float32) -> bool:
        return bool(np.ptp(landmarks[:, :2], axis=0).max() >= self._settings.min_face_px)
