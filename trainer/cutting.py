"""From one piece of footage to prepared clips: track, judge, crop, listen, write.

One movie is read twice: once to follow faces, once to cut crops out of the shots that are worth it. Pictures never pile
up: landmarks lie on disk, a clip is at most `piece_s` long.
"""

from __future__ import annotations

import logging
import math
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from julnet_plugin.errors import InputError, NoFaceFoundError
from julnet_plugin.face.crop import CropPlan, fit_poses, plan_crops, sample_crop
from julnet_plugin.model.lips import SHAPE_POINTS
from julnet_plugin.types import FrameRange
from trainer import gates as g
from trainer.dataset import SUFFIX, Clip, ClipHeader, encode_crop, select, write_clip
from trainer.footage import Source, file_name

if TYPE_CHECKING:
    from julnet_plugin.face.speaker import Choice
    from julnet_plugin.face.tracks import Tracking
    from julnet_plugin.interfaces import AudioFeatures, FaceTracker
    from julnet_plugin.manager import Manager
    from julnet_plugin.types import MediaInfo, ProgressFn

log = logging.getLogger(__name__)

FULL, HALF = (416, 320), (208, 160)  #: sizes that crops are stored at
_AROUND_S = 0.8  #: sound kept on both sides of a clip: the window of its outer frames at any offset
_AHEAD = 3

Float32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class CuttingSettings:
    """How footage is cut into clips."""

    features: str = "whisper-96"  #: name of the audio features
    tracker: str = "mediapipe"
    full_size_px: float = 150.0  #: a mouth of this many plate pixels or more is stored at 416x320, else at 208x160
    piece_s: float = 30.0  #: longest clip
    gates: g.Gates = field(default_factory=g.Gates)

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table: a clip that was kept, or a piece of footage and why it was not."""

    file: str
    speaker: str
    verdict: str  #: one of `gates.KEPT`, `LIPS_ONLY`, `REJECTED`
    reason: str = ""  #: one of the words of `gates`
    detail: str = ""  #: one sentence
    clip: str = ""  #: file name in the dataset
    split: str = ""
    first_frame: int = 0
    frames: int = 0  #: usable ones
    seconds: float = 0.0
    rate: float = 0.0
    mouth_px: float = 0.0
    yaw_deg: float = 0.0
    sharpness: float = 0.0
    offset_ms: float | None = None  #: of the sound; what is added to a frame's time to find it
    sync: float | None = None  #: correlation of heard and seen lips at that offset


class Cutter:
    """Cuts footage into clips; holds the face tracker and the audio features of one process."""

    def __init__(self, settings: CuttingSettings, manager: Manager) -> None:
        self.settings = settings
        self._tracker: FaceTracker = manager.face_tracker(settings.tracker)
        self._features: AudioFeatures = manager.audio_features(settings.features)

    def cut(self, source: Source, source_hash: str, folder: Path, progress: ProgressFn | None = None) -> list[Row]:
        """Write every usable clip of one source into `folder`, all of them or none.

        Returns:
            One row a clip or rejected shot, at least one. Whatever is wrong with the footage becomes a row.
        """
        part = folder / f".{file_name(source.name)}.part"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        try:
            rows = self._cut(source, source_hash, part, progress)
            for path in sorted(part.iterdir()):
                path.replace(folder / path.name)
        except NoFaceFoundError as exc:
            return [rejected(source, g.NO_FACE, str(exc))]
        except InputError as exc:
            return [rejected(source, g.CORRUPT, str(exc))]
        finally:
            shutil.rmtree(part, ignore_errors=True)
        return rows

    def _cut(self, source: Source, source_hash: str, folder: Path, progress: ProgressFn | None) -> list[Row]:
        from julnet_plugin.media.probe import probe
        from julnet_plugin.media.reader import refuse_interlaced

        info = probe(source.path)
        refuse_interlaced(info)
        least = self.settings.gates.min_frames
        if info.frame_count < least:
            return [rejected(source, g.SHORT, f"{info.frame_count} frames, {least} are needed", info)]
        if not info.audio:
            return [rejected(source, g.NO_AUDIO, "it has no sound", info)]
        samples, quiet = self._listen(info)
        if quiet:
            return [rejected(source, g.SILENT, quiet, info)]
        rows: list[Row] = []
        sound: Float32 | None = None
        with tempfile.TemporaryDirectory(prefix="julnet-prepare-") as scratch:
            tracking, choices = self._find_faces(info, samples, Path(scratch) / "faces", progress)
            for choice in choices:
                planned = self._plan(source, info, tracking, choice)
                if isinstance(planned, _Shot) and self.settings.gates.alone:
                    planned = self._alone(source, info, tracking, choice, samples) or planned
                if isinstance(planned, Row):
                    rows.append(planned)
                    continue
                if sound is None:
                    sound = self._features.extract(samples)
                for number, piece in enumerate(self._pieces(planned)):
                    name = _clip_name(source, choice.shot if len(choices) > 1 else None, number)
                    clip = self._clip(source, info, planned, piece, sound, source_hash, name)
                    rows.append(self._keep(source, info, planned, piece, clip, folder / f"{name}{SUFFIX}"))
        return rows

    def _listen(self, info: MediaInfo) -> tuple[Float32, str]:
        """The sound, and why it cannot be used."""
        from julnet_plugin.audio.features import silence
        from julnet_plugin.pipeline.dub import read_mono_16k

        samples = read_mono_16k(info.path, 0)
        speech_s = float((~silence(samples)).sum()) * 0.02
        if speech_s < self.settings.gates.min_speech_s:
            return samples, f"{speech_s:.2f} s of sound above silence, {self.settings.gates.min_speech_s:g} are needed"
        return samples, ""

    def _find_faces(
        self, info: MediaInfo, samples: Float32, folder: Path, progress: ProgressFn | None
    ) -> tuple[Tracking, list[Choice]]:
        """Follow every face, and choose the one that speaks in each shot."""
        from julnet_plugin.face.speaker import choose_track, speech_envelope
        from julnet_plugin.face.track import track_plate
        from julnet_plugin.pipeline.threads import prefetch

        ahead = prefetch(_pictures(info, FrameRange(start=0, stop=info.frame_count)), _AHEAD)
        try:
            tracking = track_plate(ahead, info, self._tracker, progress=progress, folder=folder)
        finally:
            ahead.close()
        times = [info.time_of(index) for index in range(info.frame_count)]
        return tracking, choose_track(tracking, "auto", speech_envelope(samples, 16_000, times))

    def _plan(self, source: Source, info: MediaInfo, tracking: Tracking, choice: Choice) -> _Shot | Row:
        """Where the crops of a shot lie, and which frames are usable; or why the shot is not."""
        from julnet_plugin.pipeline.schedule import mouth_in_frame

        gates = self.settings.gates
        if choice.track is None:
            return rejected(source, g.NO_FACE, choice.why, info, choice.frames)
        landmarks, found = choice.track.over(choice.frames)
        plan = plan_crops(landmarks, found, float(info.rate))
        inside = mouth_in_frame(plan.plate_from_crop, plan.region, info.width, info.height)
        reasons = g.judge_frames(found, inside, plan.mouth_px, plan.angles[:, 0], gates)
        reason, detail = g.judge_shot(reasons, gates)
        if reason:
            return rejected(source, reason, detail, info, choice.frames)
        usable = np.array([not r for r in reasons])
        median_px = float(np.median(plan.mouth_px[usable]))
        lips = np.zeros((len(found), len(SHAPE_POINTS), 3), np.float32)
        seen = np.asarray(landmarks[found], np.float64)
        # The raw poses, not the smoothed ones: smoothing would leave the head's motion in the lips.
        lips[found] = fit_poses(seen).to_face(seen[:, SHAPE_POINTS])
        return _Shot(
            start=choice.frames.start,
            plan=plan,
            lips=lips,
            usable=usable,
            pictures=median_px >= gates.picture_mouth_px and not source.lips_only,
            size=FULL if median_px >= self.settings.full_size_px else HALF,
            times_s=np.array([info.time_of(k) for k in range(choice.frames.start, choice.frames.stop)]),
        )

    def _alone(
        self, source: Source, info: MediaInfo, tracking: Tracking, choice: Choice, samples: Float32
    ) -> Row | None:
        """The row of a shot in which others are heard as well; None where one voice speaks."""
        from julnet_plugin.face.speaker import talking_faces
        from trainer.voices import SAMPLE_RATE_HZ, overlapped_share

        talking = talking_faces(tracking, choice.shot)
        if len(talking) > 1:
            detail = f"{len(talking)} faces of the shot talk, and its sound is not of one of them alone"
            return rejected(source, g.TWO_VOICES, detail, info, choice.frames)
        first, stop = (
            round(float(info.time_of(k)) * SAMPLE_RATE_HZ) for k in (choice.frames.start, choice.frames.stop - 1)
        )
        share, most = overlapped_share(samples[first:stop]), self.settings.gates.max_overlap
        if share > most:  # not where there is too little sound to tell
            detail = (
                f"two voices, or music beside one, in {share:.0%} of its loud moments; at most {most:.1%} is allowed"
            )
            return rejected(source, g.TWO_VOICES, detail, info, choice.frames)
        return None

    def _pieces(self, shot: _Shot) -> Iterator[NDArray[np.intp]]:
        """The usable frames of a shot, cut so that no clip is too long; equal pieces, so that none is too short."""
        usable = np.flatnonzero(shot.usable)
        length = float(shot.times_s[usable[-1]] - shot.times_s[usable[0]])
        yield from np.array_split(usable, max(1, math.ceil(length / self.settings.piece_s)))

    def _clip(
        self,
        source: Source,
        info: MediaInfo,
        shot: _Shot,
        rows: NDArray[np.intp],
        sound: Float32,
        source_hash: str,
        name: str,
    ) -> Clip:
        """Cut one piece of a shot. Its clock starts with the sound that is kept for it."""
        step = self._features.step_s
        times = shot.times_s[rows]
        first = max(0, math.floor((times[0] - _AROUND_S) / step))
        stop = math.ceil((times[-1] + _AROUND_S) / step) + 1
        crops: list[NDArray[np.uint8]] = []
        sharp = np.zeros(len(rows), np.float32)
        if shot.pictures:
            for k, crop in enumerate(_crops(info, shot, rows)):
                crops.append(encode_crop(crop))
                sharp[k] = g.sharpness(np.clip(np.round(crop), 0, 255).astype(np.uint8))
        header = ClipHeader(
            name=name,
            speaker=source.speaker,
            split=source.split or "train",
            rate=float(info.rate),
            crop_size=shot.size,
            features=self._features.name,
            feature_step_s=step,
            has_pictures=shot.pictures,
            source=source.name,
            source_hash=source_hash,
        )
        return Clip(
            header=header,
            jpeg=crops,
            times_s=times - first * step,
            region=shot.plan.region[rows],
            lips=shot.lips[rows],
            angles=shot.plan.angles[rows].astype(np.float32),
            mouth_px=shot.plan.mouth_px[rows].astype(np.float32),
            sharpness=sharp,
            audio=sound[first:stop],
        )

    def _keep(
        self, source: Source, info: MediaInfo, shot: _Shot, rows: NDArray[np.intp], clip: Clip, path: Path
    ) -> Row:
        """Judge the sharpness of a clip, write what is left, and say so."""
        gates, why = self.settings.gates, ""
        if clip.header.has_pictures:
            sharp, why = g.judge_sharpness(clip.sharpness, gates)
            if not sharp.all() and not why:
                clip = select(clip, np.flatnonzero(sharp))
        if not why and len(clip) < gates.min_frames:
            span = FrameRange(start=shot.start + int(rows[0]), stop=shot.start + int(rows[-1]) + 1)
            return rejected(source, g.SHORT, f"{len(clip)} usable frames, {gates.min_frames} are needed", info, span)
        facts: dict[str, Any] = {
            "file": source.name,
            "speaker": source.speaker,
            "first_frame": shot.start + int(rows[0]),
            "frames": len(clip),
            "seconds": round(len(clip) / float(info.rate), 2),
            "rate": round(float(info.rate), 3),
            "mouth_px": round(float(np.median(clip.mouth_px)), 1),
            "yaw_deg": round(float(np.degrees(np.median(np.abs(clip.angles[:, 0])))), 1),
            "sharpness": round(float(np.median(clip.sharpness)), 1),
        }
        if why:
            return Row(**facts, verdict=g.REJECTED, reason=g.BLUR, detail=why)
        write_clip(clip, path)
        if clip.header.has_pictures or source.lips_only:
            verdict = g.KEPT if clip.header.has_pictures else g.LIPS_ONLY
            return Row(**facts, verdict=verdict, clip=path.name)
        detail = f"the mouth square is {facts['mouth_px']} px, pictures need {gates.picture_mouth_px:g}"
        return Row(**facts, verdict=g.LIPS_ONLY, reason=g.TINY, detail=detail, clip=path.name)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Shot:
    """A shot that is worth cutting.

    Shape:
        lips: (T, 48, 3) in face units; 0 where no face was found.
        usable: (T,).
        times_s: (T,) from the movie's first frame.
    """

    start: int  #: plate frame of the first row
    plan: CropPlan
    lips: Float32
    usable: NDArray[np.bool_]
    pictures: bool
    size: tuple[int, int]
    times_s: NDArray[np.float64]


def _clip_name(source: Source, shot: int | None, piece: int) -> str:
    where = "" if shot is None else f".s{shot:04d}"
    return f"{file_name(source.name)}{where}" + (f".p{piece:02d}" if piece else "")


def _pictures(info: MediaInfo, frames: FrameRange) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Display-referred 8-bit pictures of a plate, in order."""
    from julnet_plugin.media.colour import DisplayTransform
    from julnet_plugin.media.reader import open_plate

    transform = DisplayTransform(info)
    with open_plate(info) as plate:
        for frame in plate.frames(frames):
            yield frame.index, transform.to_preview(frame.rgb)


def _crops(info: MediaInfo, shot: _Shot, rows: NDArray[np.intp]) -> Iterator[Float32]:
    """The crops of some rows of a shot, in order."""
    wanted = set(rows.tolist())
    span = FrameRange(start=shot.start + int(rows[0]), stop=shot.start + int(rows[-1]) + 1)
    for index, picture in _pictures(info, span):
        row = index - shot.start
        if row in wanted:
            yield sample_crop(picture, shot.plan.plate_from_crop[row], shot.size)


def rejected(
    source: Source, reason: str, detail: str, info: MediaInfo | None = None, frames: FrameRange | None = None
) -> Row:
    """The row of footage, or of one shot of it, that cannot be used."""
    known: dict[str, Any] = {}
    if info is not None:
        count = info.frame_count if frames is None else len(frames)
        known = {"rate": round(float(info.rate), 3), "seconds": round(count / float(info.rate), 2)}
    return Row(
        file=source.name,
        speaker=source.speaker,
        verdict=g.REJECTED,
        reason=reason,
        detail=detail,
        first_frame=0 if frames is None else frames.start,
        **known,
    )
