"""What `probe` says of a plate."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import OpenEXR
import pytest

from julnet_plugin.errors import MediaError
from julnet_plugin.media.colour import DisplayTransform
from julnet_plugin.media.probe import probe

Make = Callable[..., Path]
IPHONE_PORTRAIT = (0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30)
BT709, BT601, BT2020_PQ = (1, 1, 1, 1), (6, 1, 6, 6), (9, 1, 9, 16)
VFR_TICKS = [0, 33, 80, 200, 233, 266, 300, 341, 400, 433]


@pytest.mark.parametrize("rate", ["24000/1001", "24", "25", "30000/1001", "30", "50", "60000/1001", "60", "15", "22"])
@pytest.mark.parametrize("suffix", ["mov", "mkv"])
def test_the_rate_is_exact_in_a_frame_clock_and_in_milliseconds(make_movie: Make, rate: str, suffix: str) -> None:
    info = probe(make_movie(f"plate.{suffix}", rate=Fraction(rate), frames=20, size=(64, 48)))
    assert (info.rate, info.frame_count, info.vfr) == (Fraction(rate), 20, False)


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format", "bits"),
    [
        ("a.mp4", "libx264", "yuv420p", 8),
        ("a.mp4", "libx264", "yuv422p10le", 10),
        ("a.mp4", "libx265", "yuv420p10le", 10),
        ("a.mov", "prores_ks", "yuv422p10le", 10),
        ("a.mov", "dnxhd", "yuv422p", 8),
        ("a.mov", "mjpeg", "yuvj422p", 8),
        ("a.webm", "libvpx-vp9", "yuv420p", 8),
        ("a.mpg", "mpeg1video", "yuv420p", 8),
        ("a.avi", "mjpeg", "yuvj420p", 8),
        ("a.ts", "libx264", "yuv420p", 8),
        ("a.mkv", "ffv1", "gbrp10le", 10),
        ("a.mov", "png", "rgb48be", 16),
    ],
)
def test_codec_and_depth_are_told(make_movie: Make, name: str, codec: str, pixel_format: str, bits: int) -> None:
    options = {"profile": "dnxhr_hq"} if codec == "dnxhd" else {}
    info = probe(make_movie(name, codec=codec, pixel_format=pixel_format, options=options, size=(256, 128)))
    assert (info.bit_depth, info.frame_count, info.pixel_format) == (bits, 12, pixel_format)
    assert (info.width, info.height, info.rate) == (256, 128, 25)


def test_prores_4444_has_alpha_and_twelve_bits(make_movie: Make) -> None:
    options = {"profile": "4444", "alpha_bits": "16"}
    info = probe(make_movie(codec="prores_ks", pixel_format="yuva444p10le", options=options))
    assert (info.has_alpha, info.bit_depth) == (True, 12)


@pytest.mark.parametrize(
    ("rate", "timecode", "drop"),
    [
        ("25", "10:00:00:00", False),
        ("24000/1001", "01:00:00:12", False),
        ("30000/1001", "00:59:58;12", True),
        ("30000/1001", "01:00:00:00", False),
        ("60000/1001", "01:00:00;00", True),
        ("50", "09:59:59:49", False),
    ],
)
def test_the_start_timecode_is_read(make_movie: Make, rate: str, timecode: str, drop: bool) -> None:
    info = probe(make_movie(rate=Fraction(rate), timecode=timecode))
    assert (info.start_timecode, info.drop_frame) == (timecode, drop)


def test_a_reel_name_is_read(make_movie: Make) -> None:
    info = probe(make_movie(timecode="01:00:00:00", reel="A001C002"))
    assert info.reel == "A001C002"


def test_variable_frame_rate_is_told_from_time_stamps(make_movie: Make) -> None:
    path = make_movie("plate.mp4", rate=30, frames=10, times=VFR_TICKS, time_base=Fraction(1, 1000))
    info = probe(path)
    assert info.vfr
    assert info.frame_times_s == pytest.approx([tick / 1000 for tick in VFR_TICKS])
    assert info.rate == Fraction(30000, 1001)  # nearest to the median spacing of 34 ms
    assert info.duration_s == pytest.approx(0.433 + 1 / 29.97, abs=1e-4)


def test_a_dropped_frame_makes_a_plate_variable(make_movie: Make) -> None:
    ticks = [*range(6), *range(7, 13)]
    info = probe(make_movie("plate.avi", codec="mjpeg", pixel_format="yuvj420p", times=ticks))
    assert info.vfr
    assert info.rate == 25


def test_a_stream_that_starts_late_still_starts_at_its_first_frame(make_movie: Make) -> None:
    info = probe(make_movie("plate.ts", times=[tick + 250 for tick in range(12)]))
    assert (info.frame_count, info.vfr, info.time_of(0)) == (12, False, 0.0)


def test_one_frame_is_a_plate(make_movie: Make) -> None:
    info = probe(make_movie(frames=1))
    assert (info.frame_count, info.rate) == (1, 25)


def test_rotation_is_applied_to_the_size(make_movie: Make) -> None:
    info = probe(make_movie("plate.mp4", size=(128, 96), display_matrix=IPHONE_PORTRAIT))
    assert (info.rotation, info.width, info.height) == (90, 96, 128)


def test_pixel_aspect_is_read(make_movie: Make) -> None:
    assert probe(make_movie("plate.mp4", aspect=Fraction(16, 15))).pixel_aspect == Fraction(16, 15)


@pytest.mark.parametrize(
    ("tags", "names"),
    [
        (BT709, ("bt709", "tv", "bt709", "bt709")),
        (BT601, ("smpte170m", "tv", "smpte170m", "smpte170m")),
        (BT2020_PQ, ("bt2020nc", "tv", "bt2020", "smpte2084")),
        ((1, 2, 1, 13), ("bt709", "pc", "bt709", "iec61966-2-1")),
    ],
)
def test_colour_tags_are_read(
    make_movie: Make, tags: tuple[int, int, int, int], names: tuple[str, str, str, str]
) -> None:
    colour = probe(make_movie("plate.mp4", tags=tags)).colour
    assert (colour.matrix, colour.range, colour.primaries, colour.transfer) == names
    assert colour.tagged


@pytest.mark.parametrize(("size", "matrix"), [((128, 96), "smpte170m"), ((160, 720), "bt709")])
def test_untagged_colour_is_assumed_by_size_and_said_so(make_movie: Make, size: tuple[int, int], matrix: str) -> None:
    colour = probe(make_movie("plate.mp4", size=size, frames=2)).colour
    assert (colour.matrix, colour.range, colour.tagged) == (matrix, "tv", False)


def test_interlaced_is_told(make_movie: Make) -> None:
    interlaced = {"flags": "+ildct+ilme", "x264-params": "tff=1"}
    assert probe(make_movie("plate.mp4", options=interlaced)).interlaced
    assert not probe(make_movie("progressive.mp4")).interlaced


def test_every_audio_track_is_listed(make_movie: Make, make_tone: Callable[..., np.ndarray]) -> None:
    sounds = [("pcm_s16le", 48000, make_tone(0.5, 48000, 2)), ("pcm_s24le", 44100, make_tone(0.5, 44100, 1))]
    audio = probe(make_movie(sounds=sounds)).audio
    assert [(a.index, a.codec, a.sample_rate_hz, a.channels, a.bits) for a in audio] == [
        (0, "pcm_s16le", 48000, 2, 16),
        (1, "pcm_s24le", 44100, 1, 24),
    ]


@pytest.mark.parametrize("asked", ["shot.%04d.png", "shot.####.png", "shot.#.png", "shot.1003.png", "."])
def test_a_sequence_is_found_by_pattern_frame_or_folder(make_sequence: Make, asked: str) -> None:
    folder = make_sequence(first=1001, frames=6).parent
    info = probe(folder / asked)
    assert (info.kind, info.first_number, info.frame_count, info.path.name) == ("sequence", 1001, 6, "shot.1001.png")
    assert (info.width, info.height, info.bit_depth, info.rate_assumed) == (64, 48, 8, True)


def test_numbers_without_padding_are_in_order(make_sequence: Make) -> None:
    info = probe(make_sequence("take2_%d.png", first=8, frames=5))
    assert (info.first_number, info.frame_count) == (8, 5)


def test_a_sequence_runs_at_the_rate_that_is_given(make_sequence: Make) -> None:
    info = probe(make_sequence(), rate=Fraction(30000, 1001))
    assert (info.rate, info.rate_assumed) == (Fraction(30000, 1001), False)


@pytest.mark.parametrize(
    ("codec", "pixel_format", "suffix", "bits"),
    [
        ("png", "rgb48be", "png", 16),
        ("tiff", "rgb48le", "tif", 16),
        ("dpx", "gbrp10le", "dpx", 10),
        ("dpx", "gbrp12le", "dpx", 12),
        ("mjpeg", "yuvj444p", "jpg", 8),
    ],
)
def test_picture_kinds(make_sequence: Make, codec: str, pixel_format: str, suffix: str, bits: int) -> None:
    info = probe(make_sequence(f"a.%04d.{suffix}", codec=codec, pixel_format=pixel_format))
    assert (info.bit_depth, info.codec) == (bits, codec)


@pytest.mark.parametrize("pixel_format", ["rgb24", "gbrp10le"])
def test_a_dpx_header_that_calls_whole_numbers_linear_is_not_believed(make_sequence: Make, pixel_format: str) -> None:
    pattern = make_sequence("a.%04d.dpx", codec="dpx", pixel_format=pixel_format)
    for file in pattern.parent.glob("a.*.dpx"):
        data = bytearray(file.read_bytes())
        data[801] = 2  # SMPTE ST 268: transfer characteristic linear, as FFmpeg wrote it for years
        file.write_bytes(data)
    info = probe(pattern)
    assert info.colour.transfer == "unknown"
    assert DisplayTransform(info).identity


def test_exr_headers_give_rate_timecode_depth_and_primaries(make_exr_sequence: Make) -> None:
    timecode = OpenEXR.TimeCode()
    timecode.hours, timecode.frame = 1, 12
    ap1 = (0.713, 0.293, 0.165, 0.830, 0.128, 0.044, 0.32168, 0.33767)
    header = {"timeCode": timecode, "framesPerSecond": Fraction(24000, 1001), "chromaticities": ap1}
    info = probe(make_exr_sequence(header=header))
    assert (info.rate, info.rate_assumed, info.start_timecode) == (Fraction(24000, 1001), False, "01:00:00:12")
    assert (info.is_float, info.bit_depth, info.colour.transfer, info.colour.primaries) == (
        True,
        16,
        "linear",
        "aces-ap1",
    )


def test_float_exr_has_32_bits(make_exr_sequence: Make) -> None:
    assert probe(make_exr_sequence(dtype=np.float32)).bit_depth == 32


def test_an_old_exr_rate_stored_as_float_is_taken_for_the_ntsc_one(make_exr_sequence: Make) -> None:
    assert probe(make_exr_sequence(header={"framesPerSecond": 29.97})).rate == Fraction(30000, 1001)


def test_a_gap_in_the_numbers_is_refused(make_sequence: Make) -> None:
    pattern = make_sequence(frames=6)
    (pattern.parent / "shot.1003.png").unlink()
    with pytest.raises(MediaError, match=r"gap: frame 1003 is missing \(1 in all between 1001 and 1006\)"):
        probe(pattern)


def test_two_sequences_in_a_folder_are_refused_by_name(make_sequence: Make) -> None:
    folder = make_sequence("a.%04d.png").parent
    make_sequence("b.%04d.png")
    with pytest.raises(MediaError, match=r"2 sequences \(a\.####\.png, b\.####\.png\)"):
        probe(folder)


@pytest.mark.footage
def test_real_clips_can_all_be_probed(footage: Path) -> None:
    clips = sorted((footage / "val").glob("*.*"))
    infos = [probe(clip) for clip in clips]
    assert clips
    assert all(info.frame_count > 20 and 10 < info.rate < 61 for info in infos)
