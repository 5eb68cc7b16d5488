"""Movies out: the plate's size, rate, clock, timecode and tags, its code values, and the dub cut to the shot."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from julnet_plugin.errors import MediaError
from julnet_plugin.media.audio import read_audio
from julnet_plugin.media.bands import BandEncoder
from julnet_plugin.media.movie_writer import (
    H264,
    MATTE,
    PRORES,
    PRORES_4444,
    DubPictures,
    MattePictures,
    MatteWriter,
    MovieKind,
)
from julnet_plugin.media.planes import plane
from julnet_plugin.media.probe import probe
from julnet_plugin.media.reader import PlateFrame, open_plate
from julnet_plugin.media.writer import Deliveries, julnet_writers
from julnet_plugin.types import DeliveryJob, FrameRange, MediaInfo, Patch, Rect

Make = Callable[..., Path]
Number = Callable[[NDArray[Any]], int]
WRITERS = {writer.name: writer for writer in julnet_writers()}
RECT = Rect(x0=31, y0=41, x1=90, y1=80)
IPHONE_PORTRAIT = (0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30)
VFR_TICKS = [0, 33, 80, 200, 233, 266, 300, 341, 400, 433, 471, 512]


def mouth(frame: PlateFrame) -> Patch | None:
    """A round grey patch with a soft edge on every frame but each third."""
    if frame.index % 3 == 2:
        return None
    rows, columns = np.mgrid[0 : RECT.height, 0 : RECT.width]
    distance = np.hypot((rows - RECT.height / 2) / RECT.height, (columns - RECT.width / 2) / RECT.width)
    coverage = np.clip(2.2 - 5 * distance, 0, 1).astype(np.float32)
    under = frame.rgb[RECT.slices]
    peak = np.iinfo(under.dtype).max if under.dtype.kind == "u" else 1.0
    blended = under * (1 - coverage[..., None]) + 0.55 * peak * coverage[..., None]
    pixels = np.rint(blended) if under.dtype.kind == "u" else blended
    pixels = np.where(coverage[..., None] > 0, pixels, under).astype(under.dtype)
    sigma = (coverage * 0.2).astype(np.float32)
    return Patch(rect=RECT, pixels=pixels, coverage=coverage, sigma=sigma, error=sigma, matte=coverage)


def chunks_of(frames: FrameRange, size: int) -> tuple[FrameRange, ...]:
    starts = range(frames.start, frames.stop, size)
    return tuple(FrameRange(start=start, stop=min(frames.stop, start + size)) for start in starts)


def job_for(
    folder: Path, info: MediaInfo, *, size: int = 5, frames: FrameRange | None = None, **more: Any
) -> DeliveryJob:
    frames = frames or FrameRange(start=0, stop=info.frame_count)
    work = folder / ".work"
    work.mkdir(parents=True, exist_ok=True)
    return DeliveryJob(folder=folder, work=work, info=info, frames=frames, chunks=chunks_of(frames, size), **more)


def render(job: DeliveryJob, names: list[str], stop_after: int | None = None) -> dict[str, str]:
    """Write what is missing of a take; stop in the middle of a chunk if asked to."""
    deliveries = Deliveries([WRITERS[name] for name in names], job)
    written = 0
    try:
        with open_plate(job.info) as plate:
            for chunk in job.chunks:
                if deliveries.finished(chunk):
                    continue
                deliveries.begin(chunk)
                for frame in plate.frames(chunk):
                    if written == stop_after:
                        return {}
                    deliveries.write(frame, mouth(frame))
                    written += 1
                deliveries.end()
        return deliveries.close()
    finally:
        deliveries.abort()


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


PLATES = [
    {"rate": Fraction(24000, 1001), "timecode": "01:00:00:00"},
    {"rate": 25, "timecode": "10:00:00:00", "reel": "A001"},
    {"rate": Fraction(30000, 1001), "timecode": "00:59:59;20"},
    {"rate": 30, "timecode": None},
    {"rate": 50, "timecode": "09:59:59:40"},
    {"rate": Fraction(60000, 1001), "timecode": "01:00:00;00"},
    {"rate": 30, "times": VFR_TICKS, "time_base": Fraction(1, 1000)},
    {"rate": 15, "timecode": None},
]


@pytest.mark.parametrize("delivery", ["prores", "h264"])
@pytest.mark.parametrize("plate", PLATES, ids=lambda plate: str(plate["rate"]) + ("v" if "times" in plate else ""))
def test_rate_count_size_clock_and_timecode_are_the_plates(
    make_movie: Make, make_sound: Make, frame_number: Number, tmp_path: Path, plate: dict[str, Any], delivery: str
) -> None:
    info = probe(make_movie("plate.mp4", size=(128, 96), tags=(1, 1, 1, 1), **plate))
    dub = make_sound(rate=44100)
    render(job_for(tmp_path / "take", info, dub=dub), [delivery])
    for name in ("dub.mov", "matte.mov"):
        movie = probe(tmp_path / "take" / name)
        assert (movie.rate, movie.frame_count, movie.vfr) == (info.rate, info.frame_count, info.vfr)
        assert (movie.width, movie.height, movie.start_timecode) == (info.width, info.height, info.start_timecode)
        assert movie.frame_times_s == pytest.approx(info.frame_times_s, abs=1e-9)
        assert (movie.drop_frame, movie.reel) == (info.drop_frame, info.reel)
        assert movie.duration_s == pytest.approx(info.duration_s, abs=1e-9)
    dubbed = probe(tmp_path / "take" / "dub.mov")
    assert dubbed.colour == info.colour
    assert len(read_audio(tmp_path / "take" / "dub.mov")[0]) == round(info.duration_s * 44100)
    with open_plate(dubbed) as reader:
        assert [frame_number(frame.rgb) for frame in reader.frames()] == list(range(12))


@pytest.mark.parametrize("tags", [(1, 1, 1, 1), (6, 1, 6, 6), (5, 1, 5, 6), (9, 1, 9, 16), (9, 1, 9, 18), None])
@pytest.mark.parametrize("delivery", ["prores", "prores4444", "h264"])
def test_colour_tags_are_written_back_and_unknown_stays_unknown(
    make_movie: Make, tmp_path: Path, tags: tuple[int, int, int, int] | None, delivery: str
) -> None:
    info = probe(make_movie("plate.mp4", pixel_format="yuv420p10le", tags=tags, frames=3))
    render(job_for(tmp_path / "take", info), [delivery])
    assert probe(tmp_path / "take" / "dub.mov").colour == info.colour
    with av.open(str(tmp_path / "take" / "dub.mov")) as container:
        context = container.streams.video[0].codec_context
        in_container = (context.colorspace, context.color_primaries, context.color_trc)
    assert in_container == ((tags[0], tags[2], tags[3]) if tags else (2, 2, 2))


def test_a_full_range_plate_stays_full_in_h264_and_becomes_limited_in_prores(make_movie: Make, tmp_path: Path) -> None:
    info = probe(make_movie("plate.mp4", tags=(1, 2, 1, 1), frames=3))
    render(job_for(tmp_path / "take", info), ["h264", "prores"])
    full, limited = probe(tmp_path / "take" / "dub.mov"), probe(tmp_path / "take" / "dub.prores.mov")
    assert (info.colour.range, full.colour.range, limited.colour.range) == ("pc", "pc", "tv")
    pictures = []
    for movie in (info, full, limited):
        with open_plate(movie) as plate:
            rgb = plate.frame(2).rgb
            pictures.append(rgb / np.iinfo(rgb.dtype).max)
    assert np.abs(pictures[1] - pictures[0]).mean() < 0.006
    assert np.abs(pictures[2] - pictures[0]).mean() < 0.006


@pytest.mark.parametrize("kind", [PRORES, PRORES_4444, H264], ids=lambda kind: kind.name)
@pytest.mark.parametrize(
    ("pixel_format", "codec"),
    [("yuv420p", "libx264"), ("yuv420p10le", "libx264"), ("yuv422p10le", "prores_ks"), ("yuv444p", "libx264")],
)
def test_code_values_outside_the_coverage_reach_the_encoder_untouched(
    make_movie: Make, kind: Any, pixel_format: str, codec: str
) -> None:
    noise = np.random.default_rng(0).integers(20, 235, (3, 96, 128, 3)).astype(np.uint8)
    info = probe(make_movie(codec=codec, pixel_format=pixel_format, picture=noise.__getitem__, frames=3))
    pictures = DubPictures(kind, info)
    with open_plate(info) as plate:
        frame = plate.frame(0)
    patch = mouth(frame)
    assert patch is not None
    assert frame.native is not None
    bare, patched = pictures.picture(frame, None), pictures.picture(frame, patch)
    covered = np.zeros((96, 128), bool)
    covered[RECT.slices] = patch.coverage > 0
    # Luma: the plate's own code value, with zeros below it where the movie has more bits.
    native = plane(frame.native, 0).astype(int)
    depth = frame.native.format.components[0].bits
    shifted = native << max(0, pictures.encoding.bits - depth) >> max(0, depth - pictures.encoding.bits)
    np.testing.assert_array_equal(plane(bare, 0), shifted)
    np.testing.assert_array_equal(plane(patched, 0)[~covered], shifted[~covered])
    assert np.abs(plane(patched, 0)[covered].astype(int) - shifted[covered]).max() > 0
    across, down = pictures.encoding.subsampling
    sites = covered.reshape(96 // down, down, 128 // across, across).any(axis=(1, 3))
    for index in (1, 2):
        np.testing.assert_array_equal(plane(patched, index)[~sites], plane(bare, index)[~sites])
        if bare.format.name == frame.native.format.name:
            np.testing.assert_array_equal(plane(bare, index), plane(frame.native, index))


def test_4444_carries_the_coverage_as_alpha(make_movie: Make, tmp_path: Path) -> None:
    info = probe(make_movie(frames=3))
    render(job_for(tmp_path / "take", info), ["prores4444"])
    with av.open(str(tmp_path / "take" / "dub.mov")) as container:
        alphas = [frame.to_ndarray(format="rgba64le")[..., 3] / 65535 for frame in container.decode(video=0)]
    with open_plate(info) as plate:
        patch = mouth(plate.frame(0))
    assert patch is not None
    assert np.abs(alphas[0][RECT.slices] - patch.coverage).max() < 0.005
    outside = np.ones((96, 128), bool)
    outside[RECT.slices] = False
    assert not alphas[0][outside].any()
    assert not alphas[2].any()


def test_the_matte_movie_is_white_where_to_look(make_movie: Make, tmp_path: Path) -> None:
    info = probe(make_movie(frames=3))
    render(job_for(tmp_path / "take", info), ["prores"])
    with open_plate(info) as plate:
        patch = mouth(plate.frame(0))
    assert patch is not None
    with open_plate(tmp_path / "take" / "matte.mov") as matte:
        first, third = (matte.frame(index).rgb[..., 1] / 65280 for index in (0, 2))
    assert np.abs(first[RECT.slices] - patch.matte).max() < 0.03
    assert first[:30].max() < 0.01
    assert third.max() < 0.01


def test_matte_levels_use_the_whole_legal_range(make_movie: Make) -> None:
    info = probe(make_movie(frames=1))
    with open_plate(info) as plate:
        frame = plate.frame(0)
    whole = np.ones((RECT.height, RECT.width), np.float32)
    patch = mouth(frame)
    assert patch is not None
    luma = plane(MattePictures(info).picture(frame, dataclasses.replace(patch, matte=whole)), 0)
    assert (luma.min(), luma.max(), MATTE.pixel_format(info)) == (64, 940, "yuv422p10le")


@pytest.mark.parametrize("size", [(127, 95), (128, 95), (127, 96)])
@pytest.mark.parametrize("delivery", ["prores", "prores4444", "h264"])
def test_odd_sizes_keep_every_pixel(make_movie: Make, tmp_path: Path, size: tuple[int, int], delivery: str) -> None:
    info = probe(make_movie(codec="prores_ks", pixel_format="yuv422p10le", size=size, frames=3))
    render(job_for(tmp_path / "take", info), [delivery])
    movie = probe(tmp_path / "take" / "dub.mov")
    assert (movie.width, movie.height) == size
    with open_plate(info) as before, open_plate(movie) as after:
        plate, dub = before.frame(2).rgb, after.frame(2).rgb
    assert np.abs(dub[-30:].astype(int) - plate[-30:]).mean() < 0.01 * 65535


@pytest.mark.parametrize(("kind", "pixel_format"), [(PRORES, "yuv420p"), (PRORES_4444, "yuv420p10le")])
def test_rows_that_fill_no_whole_vector_are_the_same_in_every_run(
    make_movie: Make, kind: MovieKind, pixel_format: str
) -> None:
    """Slices of one picture converted by several threads write over each other's first pixels."""
    info = probe(make_movie("a.mkv", codec="ffv1", pixel_format=pixel_format, size=(852, 828), frames=1))
    with open_plate(info) as plate:
        frame = plate.frame(0)
        digests = set()
        for _ in range(25):
            picture = DubPictures(kind, info).picture(frame, None)
            digests.add(hashlib.sha256(b"".join(plane(picture, index).tobytes() for index in range(3))).hexdigest())
    assert len(digests) == 1


_ENCODE = """
import hashlib, sys
from fractions import Fraction
import av
from julnet_plugin.media.movie_writer import H264, _options
from julnet_plugin.media.probe import probe

info = probe(sys.argv[1])
context = av.Codec(H264.encoder, "w").create("video")
context.width, context.height, context.pix_fmt = info.width, info.height, "yuv420p"
context.time_base, context.thread_count, context.options = 1 / info.rate, H264.threads, _options(H264, info)
packets = []
for index, frame in enumerate(av.open(sys.argv[1]).decode(video=0)):
    frame.pts, frame.time_base, frame.pict_type = index, 1 / info.rate, 0
    packets += context.encode(frame)
print(hashlib.sha256(b"".join(bytes(packet) for packet in [*packets, *context.encode(None)])).hexdigest())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc fills new memory as it is told")
def test_h264_does_not_depend_on_what_lies_in_new_memory(make_movie: Make) -> None:
    plate = make_movie("a.mkv", codec="ffv1", pixel_format="yuv420p", size=(320, 240), frames=12)
    made = set()
    for fill in ("1", "170"):
        memory = {"MALLOC_PERTURB_": fill, "MALLOC_MMAP_THRESHOLD_": "1000000000"}
        run = subprocess.run(
            [sys.executable, "-c", _ENCODE, str(plate)],
            env={**os.environ, **memory},
            capture_output=True,
            text=True,
            check=True,
        )
        made.add(run.stdout)
    assert len(made) == 1


def test_a_phones_plate_is_delivered_upright(make_movie: Make, tmp_path: Path, frame_number: Number) -> None:
    info = probe(make_movie("plate.mp4", size=(128, 96), display_matrix=IPHONE_PORTRAIT, frames=3))
    render(job_for(tmp_path / "take", info), ["h264"])
    movie = probe(tmp_path / "take" / "dub.mov")
    assert (movie.width, movie.height, movie.rotation) == (96, 128, 0)
    with open_plate(info) as before, open_plate(movie) as after:
        difference = before.frame(2).rgb.astype(int) - after.frame(2).rgb
    assert np.abs(difference).mean() < 3


def test_pixel_aspect_is_kept(make_movie: Make, tmp_path: Path) -> None:
    info = probe(make_movie("plate.mp4", aspect=Fraction(16, 15), frames=2))
    render(job_for(tmp_path / "take", info), ["prores", "h264"])
    assert {probe(tmp_path / "take" / name).pixel_aspect for name in ("dub.mov", "dub.h264.mov")} == {Fraction(16, 15)}


@pytest.mark.parametrize(
    ("codec", "pixel_format", "suffix"),
    [("png", "rgb24", "png"), ("png", "rgb48be", "png"), ("dpx", "gbrp10le", "dpx")],
)
def test_a_sequence_becomes_a_709_movie(
    make_sequence: Make, tmp_path: Path, codec: str, pixel_format: str, suffix: str
) -> None:
    pattern = make_sequence(f"a.%04d.{suffix}", codec=codec, pixel_format=pixel_format, frames=3, size=(128, 96))
    info = probe(pattern, rate=Fraction(24))
    render(job_for(tmp_path / "take", info), ["prores"])
    movie = probe(tmp_path / "take" / "dub.mov")
    assert (movie.rate, movie.frame_count, movie.colour.matrix, movie.colour.tagged) == (24, 3, "bt709", True)
    with open_plate(info) as before, open_plate(movie) as after:
        plate, dub = before.frame(2).rgb, after.frame(2).rgb
    plate = plate / np.iinfo(plate.dtype).max
    flat = (slice(60, 90), slice(10, 120))
    assert np.abs(dub[flat] / 65280 - plate[flat]).max() < 0.02


def test_a_linear_exr_plate_becomes_a_movie_as_a_display_shows_it(make_exr_sequence: Make, tmp_path: Path) -> None:
    grey = np.full((96, 128, 3), 0.18)
    info = probe(make_exr_sequence(size=(128, 96), picture=lambda _: grey))
    render(job_for(tmp_path / "take", info), ["prores"])
    with open_plate(tmp_path / "take" / "dub.mov") as movie:
        shown = movie.frame(2).rgb / 65280
    assert np.abs(shown - 0.383).max() < 0.01  # what the studio config's Rec.709 view makes of mid grey


@pytest.mark.parametrize("names", [["prores"], ["h264"], ["prores", "h264", "png", "exr"]])
def test_an_interrupted_render_ends_in_the_same_bytes(
    make_movie: Make, make_sound: Make, tmp_path: Path, names: list[str]
) -> None:
    info = probe(make_movie("plate.mp4", frames=12, timecode="01:00:00:00"))
    dub = make_sound()
    whole = job_for(tmp_path / "whole", info, dub=dub)
    render(whole, names)
    broken = job_for(tmp_path / "broken", info, dub=dub)
    assert render(broken, names, stop_after=7) == {}
    render(broken, names, stop_after=3)
    files = render(broken, names)
    for kind, pattern in files.items():
        for path in sorted(whole.folder.glob(pattern.replace("######", "*"))):
            assert digest(path) == digest(broken.folder / path.relative_to(whole.folder)), (kind, path.name)


def test_the_same_job_gives_the_same_bytes_twice(make_movie: Make, make_sound: Make, tmp_path: Path) -> None:
    info = probe(make_movie("plate.mp4"))
    for name in ("a", "b"):
        render(job_for(tmp_path / name, info, dub=make_sound()), ["h264", "prores4444"])
    for file in ("dub.mov", "dub.prores4444.mov", "matte.mov"):
        assert digest(tmp_path / "a" / file) == digest(tmp_path / "b" / file)


def test_part_of_a_plate_starts_at_its_own_timecode_and_with_its_own_sound(
    make_movie: Make, make_sound: Make, frame_number: Number, tmp_path: Path
) -> None:
    info = probe(make_movie("plate.mp4", frames=40, timecode="10:00:00:00"))
    played = np.random.default_rng(0).uniform(-0.5, 0.5, (48000, 1)).astype(np.float32)
    job = job_for(tmp_path / "take", info, frames=FrameRange(start=30, stop=38), dub=make_sound(samples=played))
    render(job, ["prores"])
    movie = probe(tmp_path / "take" / "dub.mov")
    assert (movie.frame_count, movie.start_timecode) == (8, "10:00:01:05")
    with open_plate(movie) as reader:
        assert frame_number(reader.frame(0).rgb) == 30
    heard, _ = read_audio(tmp_path / "take" / "dub.mov")
    np.testing.assert_allclose(heard, played[: 8 * 1920], atol=2e-5)


@pytest.mark.parametrize(
    ("offset", "dub_s"), [(0.0, 0.2), (0.1, 0.2), (-0.1, 0.3), (0.3, 1.0), (2.0, 0.2), (-5.0, 1.0)]
)
@pytest.mark.parametrize("delivery", ["prores", "h264"])
def test_the_dub_is_laid_from_its_offset_and_fills_the_shot(
    make_movie: Make, make_sound: Make, tmp_path: Path, offset: float, dub_s: float, delivery: str
) -> None:
    rate = 44100
    played = np.random.default_rng(1).uniform(-0.5, 0.5, (round(dub_s * rate), 2)).astype(np.float32)
    played = np.cumsum(played, axis=0) * 0.02  # low frequencies, which AAC keeps
    info = probe(make_movie("plate.mp4", frames=12))
    job = job_for(tmp_path / "take", info, dub=make_sound(samples=played, rate=rate), dub_offset_s=offset)
    render(job, [delivery])
    heard, heard_rate = read_audio(tmp_path / "take" / "dub.mov")
    length, shift = round(0.48 * rate), round(offset * rate)
    expected = np.zeros((length, 2), np.float32)
    start, skip = max(0, shift), max(0, -shift)
    part = played[skip : skip + max(0, length - start)]
    expected[start : start + len(part)] = part
    assert (heard_rate, heard.shape) == (rate, expected.shape)
    if delivery == "prores":
        np.testing.assert_allclose(heard, expected, atol=2e-5)
    else:  # AAC rings where a sound starts or ends abruptly
        difference = np.abs(heard - expected)
        assert np.sqrt((difference**2).mean()) < 0.02
        assert np.quantile(difference, 0.99) < 0.05


@pytest.mark.parametrize(
    ("name", "codec", "rate", "channels", "delivered"),
    [
        ("a.wav", "pcm_s16le", 16000, 1, "pcm_s16le"),
        ("a.wav", "pcm_s24le", 96000, 2, "pcm_s24le"),
        ("a.wav", "pcm_s16le", 48000, 6, "pcm_s16le"),
        ("a.mp3", "libmp3lame", 44100, 2, "pcm_s24le"),
        ("a.flac", "flac", 22050, 1, "pcm_s16le"),
    ],
)
def test_sound_keeps_its_rate_channels_and_depth(
    make_movie: Make,
    make_sound: Make,
    make_tone: Any,
    tmp_path: Path,
    name: str,
    codec: str,
    rate: int,
    channels: int,
    delivered: str,
) -> None:
    info = probe(make_movie(frames=6))
    dub = make_sound(name, make_tone(0.5, rate, channels), rate, codec)
    render(job_for(tmp_path / "take", info, dub=dub), ["prores"])
    (audio,) = probe(tmp_path / "take" / "dub.mov").audio
    assert (audio.codec, audio.sample_rate_hz, audio.channels) == (delivered, rate, channels)


def test_sound_and_picture_do_not_drift_apart_in_two_minutes(
    make_sequence: Make, make_sound: Make, tmp_path: Path
) -> None:
    # 600 frames of a sixth of 29.97 are 120.12 s; the last click must sound with the last frames.
    rate = Fraction(5000, 1001)
    info = dataclasses.replace(probe(make_sequence(frames=1, size=(16, 16)), rate=rate), frame_count=600)
    hz, clicks = 8000, np.zeros((8000 * 121, 1), np.float32)
    times = [float(index / rate) for index in (0, 300, 598)]
    for time in times:
        clicks[round(time * hz)] = 0.9
    job = job_for(tmp_path / "take", info, size=600, dub=make_sound(samples=clicks, rate=hz))
    deliveries = Deliveries([WRITERS["h264"]], job)
    black = np.zeros((16, 16, 3), np.uint8)
    deliveries.begin(job.chunks[0])
    for index in range(600):
        deliveries.write(PlateFrame(index, info.time_of(index), rgb=black), None)
    deliveries.end()
    deliveries.close()
    movie = probe(tmp_path / "take" / "dub.mov")
    heard, _ = read_audio(tmp_path / "take" / "dub.mov")
    assert (movie.frame_count, movie.rate) == (600, rate)
    assert len(heard) == round(600 / rate * hz)
    for time in times:
        near = slice(max(0, round(time * hz) - 400), round(time * hz) + 400)
        peak = near.start + int(np.abs(heard[near, 0]).argmax())
        assert abs(peak - round(time * hz)) <= 8  # a millisecond


def test_the_file_says_that_it_is_synthetic(make_movie: Make, tmp_path: Path) -> None:
    render(job_for(tmp_path / "take", probe(make_movie(frames=2))), ["prores"])
    with av.open(str(tmp_path / "take" / "dub.mov")) as container:
        assert "compositeWithTrainedAlgorithmicMedia" in container.metadata["comment"]


def test_a_full_disk_is_said_and_leaves_nothing_under_a_final_name(make_movie: Make, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (12, 96, 128, 3)).astype(np.uint8)
    info = probe(make_movie(picture=noise.__getitem__))
    job = job_for(tmp_path / "take", info)
    (job.work / ".prores.00000000-00000005.packets.tmp").symlink_to("/dev/full")
    with pytest.raises(MediaError, match=r"the disk is full: .* free space in"):
        render(job, ["prores"])
    assert not [path for path in job.folder.rglob("*") if path.is_file()]


def test_a_disk_that_fills_up_while_the_movie_is_put_together(make_movie: Make, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (12, 96, 128, 3)).astype(np.uint8)
    info = probe(make_movie(picture=noise.__getitem__))
    job = job_for(tmp_path / "take", info)
    (job.folder / ".dub.mov.tmp").symlink_to("/dev/full")
    with pytest.raises(MediaError, match="the disk is full"):
        render(job, ["prores"])
    assert not (job.folder / "dub.mov").exists()
    files = render(job, ["prores"])  # space was made; what is finished is not rendered again
    assert (job.folder / files["prores"]).is_file()


def test_a_folder_that_may_not_be_written_to_is_said(
    make_movie: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, *_: object, **__: object) -> object:
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    job = job_for(tmp_path / "take", probe(make_movie(frames=2)))
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(MediaError, match="check the permissions"):
        render(job, ["prores"])


def test_what_a_killed_process_left_of_a_chunk_is_written_over(make_movie: Make, tmp_path: Path) -> None:
    info = probe(make_movie("plate.mp4"))
    killed, whole = job_for(tmp_path / "killed", info), job_for(tmp_path / "whole", info)
    for name in ("prores", "matte"):
        (killed.work / f".{name}.00000000-00000005.packets.tmp").write_bytes(b"half a packet")
    (killed.folder / ".dub.mov.tmp").write_bytes(b"half a movie")
    render(killed, ["prores"])
    render(whole, ["prores"])
    assert digest(killed.folder / "dub.mov") == digest(whole.folder / "dub.mov")


def test_a_damaged_chunk_is_refused(make_movie: Make, tmp_path: Path) -> None:
    job = job_for(tmp_path / "take", probe(make_movie()))
    assert render(job, ["prores"], stop_after=11) == {}
    first = next(job.work.glob("prores.00000000*.packets"))
    first.write_bytes(first.read_bytes()[:-50])
    with pytest.raises(MediaError, match="is damaged"):
        render(job, ["prores"])
    assert not (job.folder / "dub.mov").exists()


def test_a_dub_without_sound_is_refused_before_anything_is_written(make_movie: Make, tmp_path: Path) -> None:
    silent = make_movie("silent.mp4", frames=2)
    job = job_for(tmp_path / "take", probe(make_movie(frames=2)), dub=silent)
    with pytest.raises(MediaError, match="holds no sound"):
        Deliveries([WRITERS["prores"]], job)


@pytest.mark.parametrize("size", [(1920, 1080), (128, 96), (127, 95), (720, 486)])
def test_a_matte_of_which_only_a_band_was_encoded_is_the_whole_pictures_matte_to_the_byte(
    make_movie: Make, tmp_path: Path, size: tuple[int, int]
) -> None:
    info = dataclasses.replace(probe(make_movie(frames=1)), width=size[0], height=size[1])
    pictures, rng = MattePictures(info), np.random.default_rng(0)
    session = MatteWriter().open(job_for(tmp_path, info))
    codec, (width, height) = session._codec, size
    bands = BandEncoder(codec, pictures.blank)
    frame = PlateFrame(0, 0.0, rgb=np.zeros((1, 1, 3), np.uint8))
    for top, bottom in ((0, height), (0, 5), (height // 3, 2 * height // 3), (height - 3, height), (15, 17), (9, 9)):
        patch = None
        if bottom > top:
            x0, x1 = width // 4, width - 7
            matte = rng.random((bottom - top, x1 - x0), np.float32)
            empty = np.zeros((*matte.shape, 3), np.uint8)
            rect = Rect(x0=x0, y0=top, x1=x1, y1=bottom)
            patch = Patch(rect=rect, pixels=empty, coverage=matte, sigma=matte, error=matte, matte=matte)
        whole = pictures.picture(frame, patch)
        codec.tag(whole)
        (wanted,) = (encoder := codec.encoder()).encode(whole) or encoder.encode(None)
        got = bands.encode(top, bottom, lambda band, first, patch=patch: pictures.draw(band, patch, first))
        assert got == bytes(wanted), (top, bottom)
