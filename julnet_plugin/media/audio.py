"""Sound in: any track of any file as float samples, exact to the sample."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
import soxr  # type: ignore[import-untyped]
from numpy.typing import NDArray

from julnet_plugin.errors import MediaError
from julnet_plugin.media.container import describe_audio, open_input, picture_stream, reason
from julnet_plugin.types import AudioInfo

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer

FEATURE_RATE_HZ = 16_000  #: what speech features are computed from

#: A hole in the time stamps longer than this is silence that the file does not store; shorter ones are rounding.
_HOLE_S = 0.04


def audio_info(path: str | Path) -> tuple[AudioInfo, ...]:
    """The audio streams of a file, in order; empty when it has none.

    Raises:
        MediaError: the file cannot be read as media.
    """
    with open_input(Path(path)) as container:
        return describe_audio(container)


def read_audio(path: str | Path, track: int = 0) -> tuple[NDArray[np.float32], int]:
    """All samples of one audio stream.

    Args:
        path: a sound file, or a movie.
        track: which audio stream, counted from 0.

    Returns:
        Samples (n, channels) float32 in [-1, 1], and their rate in hertz. For a movie, sample 0 sounds with its first
        frame: what the track says before is left out, and a late track begins with silence.

    Raises:
        MediaError: no such file or stream, nothing in the stream, or it cannot be decoded to its end.
    """
    path = Path(path)
    info = audio_stream_info(path, track)
    samples = np.empty((max(1, round(info.duration_s * info.sample_rate_hz)), info.channels), np.float32)
    count = 0
    for block in iter_audio(path, track):
        if count + len(block) > len(samples):
            samples.resize((max(count + len(block), len(samples) * 5 // 4), info.channels), refcheck=False)
        samples[count : count + len(block)] = block
        count += len(block)
    return samples[:count], info.sample_rate_hz


def audio_stream_info(path: Path, track: int = 0) -> AudioInfo:
    """One audio stream of a file.

    Raises:
        MediaError: the file has no sound, not so many streams of it, or the stream cannot be heard.
    """
    streams = audio_info(path)
    if not streams:
        msg = f"{path.name} holds no sound; give a sound file, or a movie with an audio track, as the dub"
        raise MediaError(msg, path)
    if not 0 <= track < len(streams):
        count = f"{len(streams)} audio track{'s' if len(streams) > 1 else ''}"
        msg = f"{path.name} has {count}, counted from 0; there is no track {track}"
        raise MediaError(msg, path)
    found = streams[track]
    if found.sample_rate_hz <= 0 or found.channels <= 0:
        msg = f"audio track {track} of {path.name} is no sound we can decode (unknown codec or rate); export it"
        raise MediaError(msg, path)
    return found


def iter_audio(path: str | Path, track: int = 0) -> Iterator[NDArray[np.float32]]:
    """The samples of `read_audio`, block by block, in constant memory.

    Yields:
        (n, channels) float32 blocks, none of them empty.

    Raises:
        MediaError: as `read_audio`.
    """
    path = Path(path)
    info = audio_stream_info(path, track)
    count = 0
    try:
        with open_input(path) as container:
            stream = container.streams.audio[track]
            for block in _aligned(_decoded(container, stream, info.sample_rate_hz), info, _time_zero(container)):
                count += len(block)
                yield block
    except (av.FFmpegError, ValueError) as exc:
        at_s = count / max(1, info.sample_rate_hz)
        msg = f"the sound of {path.name} cannot be decoded beyond {at_s:.2f} s ({reason(exc)}); export it again"
        raise MediaError(msg, path) from exc
    if count == 0:
        msg = f"audio track {track} of {path.name} holds no sound that can be decoded; export it again"
        raise MediaError(msg, path)


def _time_zero(container: InputContainer) -> Fraction | None:
    """When a movie's first frame is shown on the file's clock; None for a file without moving pictures."""
    picture = picture_stream(container)
    if picture is None or picture.time_base is None:
        return None
    return (picture.start_time or 0) * picture.time_base


def _decoded(
    container: InputContainer, stream: AudioStream, rate: int
) -> Iterator[tuple[Fraction | None, NDArray[np.float32]]]:
    """Blocks of samples and when they sound, as float whatever the codec stores."""
    # The rate is the stream's own; naming it keeps a stream that changes it midway (broadcast captures do) in time.
    resampler = av.AudioResampler(format="flt", rate=rate)
    left = _stated_samples(container, stream, rate)
    for frame in itertools.chain(container.decode(stream), [None]):
        for part in resampler.resample(frame):
            time, samples = _placed(part)
            if left is not None:
                samples = samples[:left]
                left -= len(samples)
            yield time, samples


def _stated_samples(container: InputContainer, stream: AudioStream, rate: int) -> int | None:
    """How many samples a MOV-family file says it holds: the codec's padding after the last one is not sound."""
    if not container.format.name.startswith("mov,mp4") or not stream.duration or stream.time_base is None:
        return None
    return round(stream.duration * stream.time_base * rate)


def _placed(frame: av.AudioFrame) -> tuple[Fraction | None, NDArray[np.float32]]:
    time = frame.pts * frame.time_base if frame.pts is not None and frame.time_base else None
    samples = frame.to_ndarray().reshape(-1, len(frame.layout.channels))
    return time, samples.astype(np.float32, copy=False)


def _aligned(
    blocks: Iterator[tuple[Fraction | None, NDArray[np.float32]]], info: AudioInfo, zero: Fraction | None
) -> Iterator[NDArray[np.float32]]:
    """The blocks laid on a movie's clock: what sounds before its first frame cut, holes filled with silence.

    Time stamps place the first block and reveal holes; otherwise samples simply follow one another, so that rounded
    time stamps (Matroska's milliseconds) can make the sound neither drift nor click. Sound alone begins at sample 0.
    """
    position: int | None = None  # where the next sample lies; negative = before the first frame
    for time, samples in blocks:
        stamped = None if time is None or zero is None else round((time - zero) * info.sample_rate_hz)
        if position is None:
            position, hole_from = stamped or 0, 0
        elif stamped is not None and stamped - position > _HOLE_S * info.sample_rate_hz:
            position, hole_from = stamped, max(0, position)
        else:
            hole_from = position
        if position > hole_from:
            yield np.zeros((position - hole_from, info.channels), np.float32)
        heard = samples[max(0, -position) :]
        position += len(samples)
        if len(heard):
            yield heard


def resample_mono_16k(samples: NDArray[np.float32], rate_hz: int) -> NDArray[np.float32]:
    """One channel at 16 kHz, as speech features want it.

    Band-limited (soxr, high quality), linear phase, without delay, the same numbers on every run.

    Shape:
        samples: (n, channels) or (n,) float32.
        return: (ceil(n * 16000 / rate_hz),) float32.
    """
    mono = samples.mean(axis=1, dtype=np.float32) if samples.ndim == 2 else samples.astype(np.float32, copy=False)
    if rate_hz == FEATURE_RATE_HZ or len(mono) == 0:
        return np.ascontiguousarray(mono)
    wanted = -(-len(mono) * FEATURE_RATE_HZ // rate_hz)
    resampled = soxr.resample(mono, rate_hz, FEATURE_RATE_HZ, quality="HQ").astype(np.float32, copy=False)
    return np.pad(resampled, (0, max(0, wanted - len(resampled))))[:wanted]
