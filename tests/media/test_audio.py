"""Sound in: exact in length, in place, in rate."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import signal

from julnet_plugin.errors import MediaError
from julnet_plugin.media.audio import audio_info, iter_audio, read_audio, resample_mono_16k

Make = Callable[..., Path]
Samples = NDArray[np.float32]


def chirp(duration_s: float, rate: int, channels: int = 1) -> Samples:
    """A sweep that is like itself at no other place. (n, channels)."""
    time = np.arange(round(duration_s * rate)) / rate
    wave = 0.5 * signal.chirp(time, 200, duration_s, 3000)
    return np.stack([wave * 0.8**k for k in range(channels)], axis=1).astype(np.float32)


def lag(heard: Samples, played: Samples) -> int:
    """By how many samples `heard` comes later than `played`."""
    match = signal.correlate(heard[:, 0], played[:, 0], "full", method="fft")
    return int(match.argmax()) - (len(played) - 1)


@pytest.mark.parametrize(
    ("name", "codec", "rate", "channels", "exact"),
    [
        ("a.wav", "pcm_s16le", 44100, 2, 2e-5),
        ("a.wav", "pcm_s24le", 48000, 1, 1e-6),
        ("a.wav", "pcm_f32le", 96000, 2, 0),
        ("a.flac", "flac", 22050, 1, 2e-5),
        ("a.mp3", "libmp3lame", 44100, 2, None),
        ("a.m4a", "aac", 48000, 2, None),
        ("a.m4a", "aac", 44100, 6, None),
        ("a.ogg", "libopus", 48000, 1, None),
        ("a.mka", "aac", 16000, 1, None),
    ],
)
def test_every_kind_of_dub_is_read_in_place(
    make_sound: Make, name: str, codec: str, rate: int, channels: int, exact: float | None
) -> None:
    played = chirp(1.3, rate, channels)
    heard, heard_rate = read_audio(make_sound(name, played, rate, codec))
    assert (heard_rate, heard.shape[1], heard.dtype) == (rate, channels, np.float32)
    assert 0 <= len(heard) - len(played) <= (1024 if name.endswith("mka") else 0)
    assert abs(lag(heard, played)) <= 1
    if exact is not None:
        np.testing.assert_allclose(heard, played, atol=exact)


def test_each_track_of_a_movie_is_its_own(make_movie: Make) -> None:
    first, second = chirp(0.5, 48000, 2), chirp(0.5, 44100)[::-1].copy()
    path = make_movie(sounds=[("pcm_s16le", 48000, first), ("pcm_s16le", 44100, second)], frames=12)
    heard, rate = read_audio(path, track=1)
    assert (rate, heard.shape) == (44100, second.shape)
    np.testing.assert_allclose(heard, second, atol=2e-5)
    assert [info.channels for info in audio_info(path)] == [2, 1]


def test_a_late_track_begins_with_silence(make_movie: Make, tmp_path: Path) -> None:
    import av

    played = chirp(0.4, 48000)
    plate = make_movie(sounds=[("pcm_s16le", 48000, played)])
    late = tmp_path / "late.mkv"
    with av.open(str(plate)) as source, av.open(str(late), "w") as target:
        streams = {
            s.index: target.add_stream_from_template(s) for s in (source.streams.video[0], source.streams.audio[0])
        }
        for packet in source.demux(source.streams.video[0], source.streams.audio[0]):
            if packet.size:
                if packet.stream.type == "audio":
                    packet.pts = packet.dts = packet.pts + 4800  # a tenth of a second
                packet.stream = streams[packet.stream.index]
                target.mux(packet)
    heard, _ = read_audio(late)
    assert lag(heard, played) == 4800
    assert not heard[:4700].any()


def test_blocks_are_the_same_samples(make_sound: Make) -> None:
    path = make_sound("a.flac", chirp(0.7, 44100, 2), 44100, "flac")
    whole, _ = read_audio(path)
    blocks = list(iter_audio(path))
    assert len(blocks) > 3
    np.testing.assert_array_equal(np.concatenate(blocks), whole)


def test_a_dub_cut_short_is_read_as_far_as_it_goes_or_refused(make_sound: Make) -> None:
    path = make_sound("a.wav", chirp(1.0, 16000), 16000)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    heard, _ = read_audio(path)
    assert 7000 < len(heard) < 8100
    path.write_bytes(data[:20])
    with pytest.raises(MediaError):
        read_audio(path)


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 24000, 44100, 48000, 96000])
def test_resampling_keeps_length_pitch_and_place(rate: int) -> None:
    time = np.arange(rate + 7) / rate
    click = np.exp(-(((time - 0.5) / 0.004) ** 2)) * np.cos(2 * np.pi * 1000 * (time - 0.5))
    out = resample_mono_16k(np.stack([click, click], axis=1).astype(np.float32), rate)
    assert len(out) == -(-(rate + 7) * 16000 // rate)
    assert out.dtype == np.float32
    assert abs(int(np.abs(out).argmax()) - 8000) <= 1
    assert out.max() == pytest.approx(1.0, abs=0.03)


def test_resampling_removes_what_sixteen_kilohertz_cannot_hold() -> None:
    time = np.arange(48000) / 48000
    audible, beyond = np.sin(2 * np.pi * 1000 * time), np.sin(2 * np.pi * 10000 * time)
    kept = resample_mono_16k(audible.astype(np.float32)[:, None], 48000)[400:-400]
    folded = resample_mono_16k(beyond.astype(np.float32)[:, None], 48000)[400:-400]
    assert np.sqrt((kept**2).mean()) == pytest.approx(np.sqrt(0.5), abs=1e-3)
    assert np.sqrt((folded**2).mean()) < 1e-3


def test_resampling_mixes_channels_evenly_and_gives_the_same_twice() -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, (5000, 2)).astype(np.float32)
    once, twice = resample_mono_16k(samples, 44100), resample_mono_16k(samples, 44100)
    np.testing.assert_array_equal(once, twice)
    np.testing.assert_allclose(once, resample_mono_16k(samples[:, ::-1], 44100), atol=1e-6)


def test_no_sound_is_resampled_to_no_sound() -> None:
    assert len(resample_mono_16k(np.zeros((0, 2), np.float32), 44100)) == 0


@pytest.mark.footage
def test_real_dubs_can_all_be_read(footage: Path) -> None:
    dubs = sorted((footage / "dub").iterdir())
    lengths = [len(read_audio(dub)[0]) / read_audio(dub)[1] for dub in dubs[:6]]
    assert min(lengths) > 1
