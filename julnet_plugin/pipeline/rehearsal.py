"""How far the network errs on this very person: it draws some of the plate's frames by the plate's own sound.

There the truth is known. A network that says σ of anybody is off by a constant for somebody: it is too timid with one
face and too bold with another, and it is so in the same places of the mouth all through a shot. What it got wrong on a
few frames, over what it said, is that constant for every place; σ is multiplied by it.

As in an honest reconstruction, a frame is drawn with references that lie `GAP_S` away from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from julnet_plugin.face.crop import mouth_square, region_mask
from julnet_plugin.face.references import CLEAR, around, choose_references

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from julnet_plugin.face.tracks import FaceTrack
    from julnet_plugin.pipeline.inputs import Job
    from julnet_plugin.pipeline.mouths import Mouth, Speech

Float32 = NDArray[np.float32]

FRAMES = 8  #: drawn in each shot; twice as many change the order of pixels by nothing that can be measured
GAP_S = 1.0  #: least distance in time of a frame from its references
GRID = 64  #: cells along the mouth square
_PRIOR = 3.0  #: frames after which half of what was measured (in its logarithm) is believed
_SMOOTH = 8.0  #: Gaussian, in cells: where in the mouth, not which pore
_EVERYWHERE = 0.3  #: weight of the whole square's factor in every cell, in mean σ
_MOST = 4.0  #: a factor beyond this, or below its inverse, is another defect than a wrong σ


def in_cells(values: Float32) -> Float32:
    """Means over the cells of the mouth square: (h, w), a map of a crop, to (GRID, GRID)."""
    import cv2

    square = values[mouth_square((values.shape[0], values.shape[1]))]
    return np.asarray(cv2.resize(square, (GRID, GRID), interpolation=cv2.INTER_AREA), np.float32)


def sigma_gain(error: Float32, sigma: Float32, share: float = 1.0) -> Float32:
    """What to multiply σ by.

    Args:
        error: true |error| of every cell, 0 outside the mask.
        sigma: what the network said of it, the same.
        share: how much of what was measured counts, in [0, 1].

    Shape:
        error, sigma: (n, GRID, GRID), of any number of frames.
        returns: (GRID, GRID); ones where there is no frame.
    """
    import cv2

    count = len(error)
    if not count or not (sigma > 0).any():
        return np.ones((GRID, GRID), np.float32)
    wrong, said = (cv2.GaussianBlur(x.mean(axis=0), (0, 0), _SMOOTH) for x in (error, sigma))
    everywhere = float(error.sum(dtype=np.float64) / sigma.sum(dtype=np.float64))
    some = _EVERYWHERE * float(sigma.sum(dtype=np.float64) / (sigma > 0).sum())
    measured = np.clip((wrong + some * everywhere) / (said + some), 1 / _MOST, _MOST)
    return np.asarray(measured ** (share * count / (count + _PRIOR)), np.float32)


def over_crop(gain: Float32, size: tuple[int, int]) -> Float32:
    """A gain (GRID, GRID) as a map of a crop of `size` (h, w); 1 outside the mouth square."""
    import cv2

    whole = np.ones(size, np.float32)
    square = mouth_square(size)
    side = square[0].stop - square[0].start
    whole[square] = cv2.resize(gain, (side, side), interpolation=cv2.INTER_LINEAR)
    return whole


def spread_out(candidates: NDArray[np.integer[Any]], count: int = FRAMES) -> NDArray[np.int64]:
    """Some of (n,) candidates, evenly over all of them, the first and the last among them."""
    if not len(candidates):
        return np.zeros(0, np.int64)
    at = np.unique(np.linspace(0, len(candidates) - 1, min(count, len(candidates))).round().astype(int))
    return np.asarray(candidates[at], np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """What a plate shows of a face.

    Shape:
        crop: (h, w, 3) uint16 display RGB.
        region: (P, 2), see `Plan`.
    """

    crop: NDArray[np.uint16]
    region: Float32

    @property
    def picture(self) -> Float32:
        """(h, w, 3) display RGB in [0, 1]."""
        return np.asarray(self.crop / np.float32(65535), np.float32)


def rehearsal_frames(track: FaceTrack, speech: Speech | None) -> tuple[int, ...]:
    """Plate frames of a shot that are worth drawing: the face is whole and clear, and its speech is heard."""
    if speech is None or speech.theirs <= 0:
        return ()
    rows = slice(speech.frames.start - track.frames.start, speech.frames.stop - track.frames.start)
    quality = track.quality[rows]
    clear = quality["found"] & (quality["covered"] <= CLEAR) & (quality["inside"] >= 1)
    return tuple(int(row) + speech.frames.start for row in spread_out(np.flatnonzero(clear)))


def rehearsed(
    job: Job, track: FaceTrack, mouth: Mouth, shown: Mapping[int, Shown], frames: Sequence[int]
) -> Float32 | None:
    """Draw some frames of a shot by the plate's own sound, and tell what to multiply its σ by.

    Args:
        job: what is rendered; its engine forgets the references that it was given last.
        track: the face in the shot.
        mouth: the same.
        shown: plate frames that may serve as references for one another, in order; `frames` are among them.
        frames: those to draw; one that too few others are far enough from is passed over.

    Returns:
        (GRID, GRID), or None where no frame could be drawn.
    """
    from julnet_plugin.model.lips import inner_gap
    from julnet_plugin.pipeline.mouths import lips_in_face

    if mouth.speech is None:
        return None
    engine, rate_hz = job.engine, float(job.info.rate)
    lips = {f: lips_in_face(track.landmarks[[f - track.frames.start]])[0] for f in shown}
    closed = [mouth.closed, mouth.spoken]
    errors, sigmas = [], []
    for frame in frames:
        far = set(shown).difference(around(frame, rate_hz, GAP_S))
        if len(far) < engine.info.n_refs:
            continue
        near = set(range(track.frames.start, track.frames.stop)) - far
        chosen = choose_references(track, engine.info.n_refs, exclude=near, seed=job.request.seed)
        order = [chosen[k] for k in np.argsort(inner_gap(np.stack([lips[f] for f in chosen])), kind="stable")]
        engine.set_references(
            np.stack([shown[f].picture for f in order]), np.stack([*(lips[f] for f in order), *closed])
        )
        truth, mask = shown[frame].picture, region_mask(shown[frame].region, engine.info.crop_size)
        sound = mouth.speech.windows(np.array([frame]), engine.info.audio_window)
        drawn = engine.run((truth * (1 - mask[..., None]))[None], mask[None], sound)
        errors.append(in_cells(np.abs(drawn.image[0] - truth).mean(axis=-1) * mask))
        sigmas.append(in_cells(drawn.sigma[0]))
    return sigma_gain(np.stack(errors), np.stack(sigmas), mouth.speech.theirs) if errors else None


class Rehearsals:
    """Tries every shot of a clip as soon as all that it is tried with was read: a clip of many is never held whole.

    Args:
        job: what is rendered; its engine forgets the references that it was given last.
        tracks: the face in each shot.
        mouths: of the shots that are to be tried.
        groups: shots and their reference frames, which a shot's frames may borrow from too.
    """

    def __init__(
        self,
        job: Job,
        tracks: Mapping[int, FaceTrack],
        mouths: Mapping[int, Mouth],
        groups: Iterable[tuple[int, Sequence[int]]],
    ) -> None:
        self._job, self._tracks, self._mouths = job, tracks, mouths
        self._drawn = {s: own for s, m in mouths.items() if (own := rehearsal_frames(tracks[s], m.speech))}
        self._needed = {shot: set(own) for shot, own in self._drawn.items()}
        for shot, frames in groups:
            if shot in self._needed:
                self._needed[shot].update(f for f in frames if tracks[shot].row(f) is not None)
        self._shown: dict[int, Shown] = {}
        self.gains: dict[int, Float32] = {}  #: (GRID, GRID) of each shot that could be tried
        self.frames = {frame for own in self._drawn.values() for frame in own}  #: to be read besides the references

    def see(self, frame: int, shown: Shown) -> None:
        """Take one of the frames, which come in order; others are passed over."""
        if any(frame in needed for needed in self._needed.values()):
            self._shown[frame] = shown
        for shot in [shot for shot, needed in self._needed.items() if max(needed) <= frame]:
            needed = self._needed.pop(shot)
            seen = {f: self._shown[f] for f in sorted(needed)}
            gain = rehearsed(self._job, self._tracks[shot], self._mouths[shot], seen, self._drawn[shot])
            if gain is not None:
                self.gains[shot] = gain
            for done in needed.difference(*self._needed.values()):
                del self._shown[done]
