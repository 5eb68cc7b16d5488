"""Tiny media for every test: the frame's own number is drawn into its pixels, so an off-by-one shows itself."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import OpenEXR
import pytest
from hypothesis import HealthCheck, settings
from numpy.typing import NDArray

BITS = 8  #: of the number that is drawn: frames 0 to 255
IPHONE_PORTRAIT = (0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30)  #: display matrix of a phone held upright: 90° clockwise

# The same examples in every run, so a change is judged by what it changed. HYPOTHESIS_PROFILE=default looks anew.
settings.register_profile("repeatable", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))

Picture = Callable[[int], NDArray[Any]]


@pytest.fixture(scope="session", autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Tests and the processes that they start keep their certificate to themselves, and know nothing of each other."""
    os.environ["JULNET_HOME"] = str(tmp_path_factory.mktemp("home"))
    os.environ["JULNET_CACHE"] = "off"


def numbered_picture(number: int, width: int, height: int) -> NDArray[np.uint8]:
    """A grey ramp with the frame's number as eight blocks along the top edge, highest bit left. (H, W, 3) uint8."""
    picture = np.empty((height, width, 3), np.uint8)
    picture[..., 0] = np.linspace(60, 190, width, dtype=np.uint8)
    picture[..., 1] = np.linspace(70, 180, height, dtype=np.uint8)[:, None]
    picture[..., 2] = 110
    block, rows = width // BITS, height // 4
    for bit in range(BITS):
        on = number >> (BITS - 1 - bit) & 1
        picture[:rows, bit * block : (bit + 1) * block] = 225 if on else 25
    return picture


def read_number(rgb: NDArray[Any]) -> int:
    """The number that `numbered_picture` drew, from a decoded picture of any dtype."""
    peak = float(np.iinfo(rgb.dtype).max) if rgb.dtype.kind == "u" else 1.0
    height, width = rgb.shape[:2]
    block, row = width // BITS, height // 8
    levels = [rgb[row, bit * block + block // 2].astype(np.float64).mean() / peak for bit in range(BITS)]
    return sum((level > 0.5) << (BITS - 1 - bit) for bit, level in enumerate(levels))


@pytest.fixture(scope="session")
def frame_number() -> Callable[[NDArray[Any]], int]:
    """Reads the number off a decoded frame."""
    return read_number


def encode_movie(
    path: Path,
    *,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    rate: Fraction | int = 25,
    frames: int = 12,
    size: tuple[int, int] = (128, 96),
    options: dict[str, str] | None = None,
    times: Sequence[int] | None = None,
    time_base: Fraction | None = None,
    timecode: str | None = None,
    reel: str | None = None,
    tags: tuple[int, int, int, int] | None = None,
    display_matrix: Sequence[int] | None = None,
    aspect: Fraction | None = None,
    picture: Picture | None = None,
    native: Callable[[int], av.VideoFrame] | None = None,
    sounds: Iterable[tuple[str, int, NDArray[np.float32]]] = (),
    container_options: dict[str, str] | None = None,
) -> Path:
    """Encode a movie.

    Args:
        path: its suffix chooses the container.
        codec: FFmpeg's name of the encoder.
        pixel_format: of the encoded frames.
        rate: frames per second.
        frames: how many.
        size: width, height.
        options: of the encoder.
        times: presentation times in ticks of `time_base`, for variable frame rate.
        time_base: the stream's clock.
        timecode: start timecode.
        reel: reel name.
        tags: H.273 numbers of matrix, range (1 limited, 2 full), primaries, transfer.
        display_matrix: nine numbers, 16.16 fixed point.
        aspect: of one pixel.
        picture: index to an RGB array; the numbered picture by default.
        native: index to a ready frame in `pixel_format`, instead of `picture`: exact code values.
        sounds: (codec, rate, samples (n, channels)) of every audio track.
        container_options: of the muxer.
    """
    rate = Fraction(rate)
    width, height = size
    draw = picture or (lambda index: numbered_picture(index, width, height))
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=rate, options=options or {})
        context = stream.codec_context
        stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
        clock = time_base or 1 / rate
        stream.time_base = context.time_base = clock
        if aspect:
            context.sample_aspect_ratio = aspect
        if tags:
            context.colorspace, context.color_range, context.color_primaries, context.color_trc = tags
        stream.metadata.update({k: v for k, v in {"timecode": timecode, "reel_name": reel}.items() if v})
        if display_matrix:
            stream.set_display_matrix(display_matrix)
        tracks = [(container.add_stream(name, rate=hz, layout=_layout(data)), hz, data) for name, hz, data in sounds]
        for index in range(frames):
            frame = native(index) if native else _converted(draw(index), pixel_format, tags)
            if tags:
                frame.colorspace, frame.color_range, frame.color_primaries, frame.color_trc = tags
            frame.pts = times[index] if times else index
            frame.time_base = clock
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        for track, hz, data in tracks:
            _mux_sound(container, track, hz, data)
    return path


def _converted(rgb: NDArray[Any], pixel_format: str, tags: tuple[int, int, int, int] | None) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(rgb, "rgb24" if rgb.dtype == np.uint8 else "rgb48le")
    if not tags:
        return frame.reformat(format=pixel_format)
    matrix = {6: 5}.get(tags[0], tags[0])  # swscale's number of BT.601
    return frame.reformat(format=pixel_format, dst_colorspace=matrix, dst_color_range=tags[1])


def _layout(samples: NDArray[np.float32]) -> str:
    return {1: "mono", 2: "stereo", 6: "5.1"}[samples.shape[1]]


def _mux_sound(container: Any, stream: Any, rate: int, samples: NDArray[np.float32]) -> None:
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.T), "fltp", _layout(samples))
    frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
    blocks = av.AudioResampler(
        format=stream.format, layout=stream.layout, rate=rate, frame_size=stream.codec_context.frame_size or 1024
    )
    for block in [*blocks.resample(frame), *blocks.resample(None)]:
        container.mux(stream.encode(block))
    container.mux(stream.encode(None))


@pytest.fixture
def make_movie(tmp_path: Path) -> Callable[..., Path]:
    """`make_movie("plate.mov", codec="prores_ks", …)`: see `encode_movie`."""

    def make(name: str = "plate.mov", **options: Any) -> Path:
        return encode_movie(tmp_path / name, **options)

    return make


@pytest.fixture
def make_sequence(tmp_path: Path) -> Callable[..., Path]:
    """`make_sequence("shot.%04d.png", codec="png", pixel_format="rgb24", first=1001, frames=6)` gives the pattern."""

    def make(
        name: str = "shot.%04d.png",
        *,
        codec: str = "png",
        pixel_format: str = "rgb24",
        first: int = 1001,
        frames: int = 6,
        size: tuple[int, int] = (64, 48),
        picture: Picture | None = None,
    ) -> Path:
        draw = picture or (lambda index: numbered_picture(index, *size))
        for index in range(frames):
            encoder = av.CodecContext.create(codec, "w")
            encoder.width, encoder.height, encoder.pix_fmt = *size, pixel_format
            encoder.time_base = Fraction(1, 25)
            frame = _converted(draw(index), pixel_format, None)
            frame.pts = 0
            data = b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])
            (tmp_path / (name % (first + index))).write_bytes(data)
        return tmp_path / name

    return make


@pytest.fixture
def make_exr_sequence(tmp_path: Path) -> Callable[..., Path]:
    """`make_exr_sequence("shot.%04d.exr", dtype=np.float16, header={…}, picture=…)` gives the pattern."""

    def make(
        name: str = "shot.%04d.exr",
        *,
        dtype: type = np.float16,
        first: int = 1001,
        frames: int = 3,
        size: tuple[int, int] = (64, 48),
        header: dict[str, Any] | None = None,
        picture: Picture | None = None,
    ) -> Path:
        draw = picture or (lambda index: numbered_picture(index, *size) / 255)
        for index in range(frames):
            full = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage, **(header or {})}
            OpenEXR.File(full, {"RGB": draw(index).astype(dtype)}).write(str(tmp_path / (name % (first + index))))
        return tmp_path / name

    return make


def tone(duration_s: float, rate: int, channels: int = 1, hz: float = 440.0) -> NDArray[np.float32]:
    """A sine, each channel an octave above the last and 3 dB quieter. (n, channels) float32."""
    time = np.arange(round(duration_s * rate)) / rate
    waves = [0.5 * 0.7**k * np.sin(2 * np.pi * hz * 2**k * time) for k in range(channels)]
    return np.stack(waves, axis=1).astype(np.float32)


@pytest.fixture(scope="session")
def make_tone() -> Callable[..., NDArray[np.float32]]:
    """`make_tone(duration_s, rate, channels=1, hz=440)`: samples."""
    return tone


@pytest.fixture
def make_sound(tmp_path: Path) -> Callable[..., Path]:
    """`make_sound("dub.wav", samples, rate, codec="pcm_s16le")`; without samples, a second of 440 Hz."""

    def make(
        name: str = "dub.wav",
        samples: NDArray[np.float32] | None = None,
        rate: int = 48_000,
        codec: str = "pcm_s16le",
    ) -> Path:
        data = tone(1.0, rate) if samples is None else samples
        path = tmp_path / name
        with av.open(str(path), "w") as container:
            stream = container.add_stream(codec, rate=rate, layout=_layout(data))
            _mux_sound(container, stream, rate, data)
        return path

    return make


@pytest.fixture(scope="session")
def footage() -> Path:
    """The folder of real clips; tests that need it are skipped where it is absent."""
    import os

    repository = Path(__file__).resolve().parents[1]
    folder = Path(os.environ.get("JULNET_FOOTAGE", repository.parent / "shared" / "footage"))
    if not (folder / "val").is_dir():
        pytest.skip(f"no real footage in {folder}; set JULNET_FOOTAGE to a folder of clips")
    return folder
