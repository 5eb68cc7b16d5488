"""The sound of what is played: which recording sounds when, mixed to 48 kHz stereo. No Qt: it is easily tested."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from host_adapters.standalone import scene
from host_adapters.standalone.storage import absolute_path

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gui.session import Session
    from host_adapters.standalone.timeline import Clip, Timeline

RATE_HZ = 48_000
Samples = NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a file's sound at a place of what is played. Times in seconds."""

    path: Path
    at_s: float  #: where it begins to sound
    from_s: float  #: where it begins in the file
    length_s: float


def parts_of_timeline(timeline: Timeline, folder: Path | None) -> tuple[Part, ...]:
    """What a timeline sounds like. Sound that is linked to a re-dubbed picture is the shown take's.

    Where the take's own line lies on a track at the same time, the line is heard there and not a second time.
    """
    takes = {
        clip.link: clip
        for track in timeline.tracks
        if track.kind == "video" and not track.hidden
        for clip in track.clips
        if clip.take is not None and clip.link is not None
    }
    heard = [clip for _, clip in scene.heard_clips(timeline)]
    parts: list[Part] = []
    for clip in heard:
        parts += _clip_parts(clip, takes.get(clip.link) if clip.link else None, heard, timeline, folder)
    linked = {clip.link for track in timeline.tracks if track.kind == "audio" for clip in track.clips if clip.link}
    for track in timeline.tracks:  # a re-dubbed picture without sound of its own speaks all the same
        if track.kind == "video" and not track.hidden:
            for clip in track.clips:
                alone = clip.take is not None and clip.enabled and clip.link not in linked
                if alone and not _line_is_laid(clip, heard, folder):
                    parts += _take_parts(clip, clip, timeline, folder)
    return tuple(parts)


def _line_is_laid(picture: Clip, heard: list[Clip], folder: Path | None) -> bool:
    """Whether the line that a shown take was made from lies on a track under it."""
    assert picture.take is not None
    line = _line_of(absolute_path(picture.take.folder, folder))
    return line is not None and any(
        absolute_path(clip.media.path, folder) == line
        and clip.record_in < picture.record_out
        and clip.record_out > picture.record_in
        for clip in heard
    )


def _line_of(take: Path) -> Path | None:
    """The recording that a take was made from."""
    try:
        manifest = json.loads((take / "take.json").read_text("utf-8"))
        return Path(manifest["inputs"]["dub"]["path"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _clip_parts(
    clip: Clip, picture: Clip | None, heard: list[Clip], timeline: Timeline, folder: Path | None
) -> list[Part]:
    rate = timeline.rate
    whole = Part(
        absolute_path(clip.media.path, folder),
        float(clip.record_in / rate),
        float(clip.source.start / rate),
        float(len(clip.source) / rate),
    )
    if picture is None:
        return [whole]
    dubbed = _take_parts(clip, picture, timeline, folder)
    if not dubbed:
        return [whole]
    dub = dubbed[0]
    before, after = dub.at_s - whole.at_s, whole.at_s + whole.length_s - dub.at_s - dub.length_s
    rest = [] if _line_is_laid(picture, heard, folder) else dubbed
    if before > 1e-6:
        rest.append(Part(whole.path, whole.at_s, whole.from_s, before))
    if after > 1e-6:
        rest.append(Part(whole.path, dub.at_s + dub.length_s, whole.from_s + whole.length_s - after, after))
    return rest


def _take_parts(clip: Clip, picture: Clip, timeline: Timeline, folder: Path | None) -> list[Part]:
    take = picture.take
    assert take is not None
    path = absolute_path(take.folder, folder) / "dub.mov"
    first = clip.media.frame_of_native(take.frames.start) if clip.media.rate == picture.media.rate else 0
    stop = clip.media.frame_of_native(take.frames.stop) if clip.media.rate == picture.media.rate else 0
    if clip is picture or clip.media.path == picture.media.path:
        first, stop = picture.media.frame_of_native(take.frames.start), picture.media.frame_of_native(take.frames.stop)
    start, end = max(clip.source.start, first), min(clip.source.stop, stop)
    if end <= start or not path.is_file():
        return []
    rate = timeline.rate
    at = clip.record_in + start - clip.source.start
    return [Part(path, float(at / rate), float((start - first) / rate), float((end - start) / rate))]


def parts_of_source(session: Session) -> tuple[Part, ...]:
    """What the source monitor sounds like: the plate, or the take that is looked at."""
    from gui.session import Compare

    plate, take = session.plate, session.take
    if plate is None:
        return ()
    whole = (Part(plate.path, 0.0, 0.0, plate.duration_s),) if plate.audio else ()
    if take is None or session.compare is Compare.PLATE or not take.dub.audio:
        return whole
    start = plate.time_of(take.frames.start)
    return (Part(take.dub.path, start, 0.0, take.dub.duration_s),)


class SoundBank:
    """Recordings as 48 kHz stereo in memory, read on a thread; silence until they are there."""

    def __init__(self, most_bytes: int = 512 << 20) -> None:
        self._most = most_bytes
        self._sounds: OrderedDict[Path, Samples | None] = OrderedDict()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []

    def prepare(self, parts: Iterable[Part]) -> None:
        """Begin to read what will be needed."""
        for path in dict.fromkeys(part.path for part in parts):
            with self._lock:
                if path in self._sounds:
                    continue
                self._sounds[path] = None
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            thread = threading.Thread(target=self._read, args=(path,), name="julnet-sound", daemon=True)
            self._threads.append(thread)
            thread.start()

    def get(self, path: Path) -> Samples | None:
        """A recording, once it is read."""
        with self._lock:
            return self._sounds.get(path)

    def wait(self) -> None:
        """Until everything that was asked for is read."""
        for thread in self._threads:
            thread.join()

    def forget(self) -> None:
        """Files have changed."""
        with self._lock:
            self._sounds.clear()

    def _read(self, path: Path) -> None:
        try:
            samples = read_stereo(path)
        except Exception:  # noqa: BLE001 - a medium without sound is silent; what else is wrong the viewer says
            samples = np.zeros((0, 2), np.int16)
        with self._lock:
            self._sounds[path] = samples
            held = [p for p, s in self._sounds.items() if s is not None]
            total = sum(s.nbytes for s in self._sounds.values() if s is not None)
            for old in held[:-1]:
                if total <= self._most:
                    break
                dropped = self._sounds.pop(old)
                total -= 0 if dropped is None else dropped.nbytes


def read_stereo(path: Path) -> Samples:
    """A file's first audio track. (n, 2) int16 at 48 kHz.

    Raises:
        MediaError: it has none, or it cannot be decoded.
    """
    import soxr  # type: ignore[import-untyped]

    from julnet_plugin.media.audio import read_audio

    samples, rate = read_audio(path)
    if samples.shape[1] == 1:
        samples = np.repeat(samples, 2, axis=1)
    samples = samples[:, :2]
    if rate != RATE_HZ:
        samples = soxr.resample(samples, rate, RATE_HZ, quality="HQ")
    return np.asarray(np.clip(np.rint(samples * 32767), -32768, 32767), np.int16)


def mixed(parts: Iterable[Part], bank: SoundBank, start: int, count: int) -> Samples:
    """A stretch of sound.

    Args:
        parts: what sounds.
        bank: where it is.
        start: first sample, counted from the beginning of what is played.
        count: how many.

    Shape:
        return: (count, 2).
    """
    total = np.zeros((count, 2), np.int32)
    for part in parts:
        first = round(part.at_s * RATE_HZ)
        last = first + round(part.length_s * RATE_HZ)
        low, high = max(start, first), min(start + count, last)
        sound = bank.get(part.path) if high > low else None
        if sound is None:
            continue
        offset = round(part.from_s * RATE_HZ) + low - first
        heard = sound[max(offset, 0) : max(offset + high - low, 0)]
        total[low - start : low - start + len(heard)] += heard
    return np.clip(total, -32768, 32767).astype(np.int16)
