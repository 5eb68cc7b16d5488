"""The dub under a take: from its offset, padded with silence or cut to the shot, rate and channels kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
from numpy.typing import NDArray

from julnet_plugin.media.audio import audio_stream_info, iter_audio

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import OutputContainer

    from julnet_plugin.types import AudioInfo, DeliveryJob

Float32 = NDArray[np.float32]

_BLOCK = 1024  #: samples in a packet: AAC's frame, and a fair one for PCM
_AAC_RATES = frozenset({96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350})
_AAC_CHANNELS = 8
_LAYOUTS = {1: "mono", 2: "stereo", 3: "2.1", 4: "quad", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """What the take's sound is made from."""

    dub: Path
    track: int
    info: AudioInfo
    length: int  #: samples: the shot's duration at the dub's own rate
    shift: int  #: samples of silence before the dub; negative skips its beginning


def sound_of(job: DeliveryJob) -> Sound | None:
    """The sound of a take; None when it has no dub.

    Raises:
        MediaError: the dub cannot be read or has no such track.
    """
    if job.dub is None:
        return None
    info = audio_stream_info(job.dub, job.dub_track)
    rate = info.sample_rate_hz
    last_s = job.info.time_of(job.frames.stop - 1) - job.info.time_of(job.frames.start)
    return Sound(
        dub=job.dub,
        track=job.dub_track,
        info=info,
        length=round((last_s + 1 / float(job.info.rate)) * rate),
        shift=round(job.dub_offset_s * rate),
    )


def laid(sound: Sound) -> Iterator[Float32]:
    """The shot's samples, exactly `sound.length` of them, in blocks of 1024; the last may be shorter.

    Shape:
        (n, channels) float32 in [-1, 1].
    """
    waiting = np.zeros((0, sound.info.channels), np.float32)
    done = 0
    for part in _parts(sound):
        waiting = np.concatenate([waiting, part])
        whole = len(waiting) // _BLOCK * _BLOCK
        for start in range(0, whole, _BLOCK):
            yield waiting[start : start + _BLOCK]
        waiting = waiting[whole:]
        done += len(part)
    if len(waiting):
        yield waiting


def _parts(sound: Sound) -> Iterator[Float32]:
    """Silence, dub, silence: together exactly as long as the shot."""
    left = sound.length
    for part in _shifted(sound):
        if left <= 0:
            return
        yield part[:left]
        left -= len(part)
    while left > 0:
        yield np.zeros((min(left, _BLOCK), sound.info.channels), np.float32)
        left -= _BLOCK


def _shifted(sound: Sound) -> Iterator[Float32]:
    for start in range(0, min(max(0, sound.shift), sound.length), _BLOCK):
        yield np.zeros((min(_BLOCK, sound.shift - start), sound.info.channels), np.float32)
    if sound.shift >= sound.length:
        return
    skip = max(0, -sound.shift)
    for block in iter_audio(sound.dub, sound.track):
        yield block[skip:]
        skip = max(0, skip - len(block))


class SoundTrack:
    """Encodes and muxes a sound little by little, so that it interleaves with the picture."""

    def __init__(self, container: OutputContainer, sound: Sound, *, compressed: bool) -> None:
        self._container = container
        self._sound = sound
        self._blocks = laid(sound)
        self._sent = 0
        self._stream = _add_stream(container, sound.info, compressed=compressed)
        if sound.info.language:
            self._stream.metadata["language"] = sound.info.language

    def mux_until(self, time_s: float) -> None:
        """Send what sounds before a time, counted from the first frame."""
        target = time_s * self._sound.info.sample_rate_hz
        while self._sent < target and (block := next(self._blocks, None)) is not None:
            self._mux(block)

    def finish(self) -> None:
        """Send the rest."""
        for block in self._blocks:
            self._mux(block)
        self._container.mux(self._stream.encode(None))

    def _mux(self, block: Float32) -> None:
        rate = self._sound.info.sample_rate_hz
        frame = _frame(block, self._stream.format.name, self._stream.layout.name)
        frame.sample_rate = rate
        frame.pts = self._sent
        frame.time_base = Fraction(1, rate)
        self._sent += len(block)
        self._container.mux(self._stream.encode(frame))


def _add_stream(container: OutputContainer, info: AudioInfo, *, compressed: bool) -> AudioStream:
    rate, channels = info.sample_rate_hz, info.channels
    layout = _layout(info)
    if compressed and rate in _AAC_RATES and channels <= _AAC_CHANNELS and layout in _LAYOUTS.values():
        stream = container.add_stream("aac", rate=rate, layout=layout)
        stream.bit_rate = channels * min(160_000, 6 * rate)
    elif info.bits <= 16:
        stream = container.add_stream("pcm_s16le", rate=rate, layout=layout)
    else:
        stream = container.add_stream("pcm_s24le", rate=rate, layout=layout)
    return stream


def _layout(info: AudioInfo) -> str:
    """The dub's own layout, or the usual one for its channel count where it does not say."""
    try:
        known = av.AudioLayout(info.layout)
    except ValueError:
        known = None
    if known is not None and known.nb_channels == info.channels and "channels" not in info.layout:
        return info.layout
    return _LAYOUTS.get(info.channels, f"{info.channels} channels")


def _frame(block: Float32, sample_format: str, layout: str) -> av.AudioFrame:
    """Samples in an encoder's format; whole numbers are rounded, and come back as they were."""
    if sample_format.startswith("flt"):
        planar = np.ascontiguousarray(block.T)
        return av.AudioFrame.from_ndarray(planar, "fltp", layout)
    if sample_format == "s16":
        values = np.clip(np.rint(block * np.float64(2**15)), -(2**15), 2**15 - 1).astype(np.int16)
    else:
        values = np.clip(np.rint(block * np.float64(2**23)), -(2**23), 2**23 - 1).astype(np.int32) << 8
    return av.AudioFrame.from_ndarray(values.reshape(1, -1), sample_format, layout)
