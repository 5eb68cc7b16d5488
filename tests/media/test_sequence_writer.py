"""Sequences out: pixels outside the coverage are the plate's, σ is exact, numbers and headers fit the plate."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import OpenEXR
import pytest

from julnet_plugin.errors import MediaError
from julnet_plugin.media.probe import probe
from julnet_plugin.media.reader import PlateFrame, open_plate
from julnet_plugin.media.writer import Deliveries, julnet_writers
from julnet_plugin.types import DeliveryJob, FrameRange, MediaInfo, Patch, Rect

Make = Callable[..., Path]
WRITERS = {writer.name: writer for writer in julnet_writers()}
RECT = Rect(x0=11, y0=13, x1=50, y1=41)


def patch_of(frame: PlateFrame) -> Patch | None:
    """Noise over an oval, with coverages down to almost nothing; the second frame passes through."""
    if frame.index == 1:
        return None
    rng = np.random.default_rng(frame.index)
    shape = (RECT.height, RECT.width)
    coverage = np.clip(rng.normal(0.2, 0.5, shape), 0, 1).astype(np.float32)
    coverage[0, :5] = [1e-7, 1e-4, 0.001, 0.5, 1.0]
    under = frame.rgb[RECT.slices]
    peak = np.iinfo(under.dtype).max if under.dtype.kind == "u" else 1.0
    # Where the coverage is 0 the pixels are nonsense on purpose: a writer must not look at them.
    pixels = (rng.random((*shape, 3)) * peak).astype(under.dtype)
    sigma, error, matte = (rng.random(shape).astype(np.float32) for _ in range(3))
    st = rng.random((*shape, 2)).astype(np.float32)
    return Patch(rect=RECT, pixels=pixels, coverage=coverage, sigma=sigma, error=error, matte=matte, st=st)


def deliver(folder: Path, info: MediaInfo, name: str) -> DeliveryJob:
    frames = FrameRange(start=0, stop=info.frame_count)
    work = folder / ".work"
    work.mkdir(parents=True)
    job = DeliveryJob(folder=folder, work=work, info=info, frames=frames, chunks=(frames,))
    deliveries = Deliveries([WRITERS[name]], job)
    deliveries.begin(frames)
    with open_plate(info) as plate:
        for frame in plate.frames():
            deliveries.write(frame, patch_of(frame))
    deliveries.end()
    deliveries.close()
    return job


def read_png(path: Path) -> np.ndarray:
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert picture is not None
    return picture[..., ::-1] if picture.ndim == 3 else picture


PLATES = [
    ({"name": "a.mp4", "pixel_format": "yuv420p"}, np.uint8),
    ({"name": "a.mp4", "pixel_format": "yuv420p10le"}, np.uint16),
    ({"name": "a.mov", "codec": "prores_ks", "pixel_format": "yuv422p10le"}, np.uint16),
    ({"name": "a.mkv", "codec": "ffv1", "pixel_format": "gbrp10le"}, np.uint16),
]


@pytest.mark.parametrize(("options", "dtype"), PLATES)
def test_png_outside_the_coverage_is_the_decoded_plate_exactly(
    make_movie: Make, tmp_path: Path, options: dict[str, Any], dtype: type
) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (3, 48, 64, 3)).astype(np.uint8)
    info = probe(make_movie(**options, size=(64, 48), frames=3, picture=noise.__getitem__, tags=(1, 1, 1, 1)))
    job = deliver(tmp_path / "take", info, "png")
    with open_plate(info) as plate:
        for frame in plate.frames():
            number = f"{frame.index:06d}.png"
            dub, coverage, matte = (
                read_png(job.folder / "png" / f"{kind}.{number}") for kind in ("dub", "coverage", "uncertainty")
            )
            assert (dub.dtype, coverage.dtype, matte.dtype) == (dtype, dtype, dtype)
            np.testing.assert_array_equal(dub[coverage == 0], frame.rgb[coverage == 0])
            patch = patch_of(frame)
            if patch is None:
                assert not coverage.any()
                assert not matte.any()
                continue
            covered = patch.coverage > 0
            np.testing.assert_array_equal(coverage[RECT.slices] > 0, covered)
            np.testing.assert_array_equal(dub[RECT.slices][covered], patch.pixels[covered])
            peak = np.iinfo(dtype).max
            np.testing.assert_allclose(matte[RECT.slices] / peak, patch.matte, atol=0.51 / peak)


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p10le"])
def test_png_equals_what_pyav_decodes_by_itself(make_movie: Make, tmp_path: Path, pixel_format: str) -> None:
    import av

    path = make_movie("a.mp4", pixel_format=pixel_format, size=(64, 48), frames=2, tags=(1, 1, 1, 1))
    job = deliver(tmp_path / "take", probe(path), "png")
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    decoded = frames[1].to_ndarray(format="rgb24" if pixel_format == "yuv420p" else "rgb48le")
    np.testing.assert_array_equal(read_png(job.folder / "png" / "dub.000001.png"), decoded)


def test_files_are_numbered_as_the_plates(make_sequence: Make, tmp_path: Path) -> None:
    job = deliver(tmp_path / "take", probe(make_sequence(first=1001, frames=3)), "png")
    names = sorted(path.name for path in (job.folder / "png").iterdir())
    assert names == [f"{kind}.{n:06d}.png" for kind in ("coverage", "dub", "uncertainty") for n in (1001, 1002, 1003)]


def test_a_float_plate_gives_sixteen_bit_pictures_to_look_at(make_exr_sequence: Make, tmp_path: Path) -> None:
    info = probe(make_exr_sequence(frames=2, picture=lambda _: np.full((48, 64, 3), 0.18)))
    job = deliver(tmp_path / "take", info, "png")
    shown = read_png(job.folder / "png" / "dub.001002.png")
    assert shown.dtype == np.uint16
    assert np.abs(shown / 65535 - 0.383).max() < 0.002


def exr(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray], tuple[slice, slice]]:
    """Header, channels, and where the data window lies in the display window."""
    with OpenEXR.File(str(path), separate_channels=True) as file:
        header = dict(file.header())
        channels = {name: np.array(channel.pixels) for name, channel in file.channels().items()}
    (x0, y0), (x1, y1) = header["dataWindow"]
    return header, channels, (slice(y0, y1 + 1), slice(x0, x1 + 1))


def over(
    plate: np.ndarray, channels: dict[str, np.ndarray], window: tuple[slice, slice], layer: str = ""
) -> np.ndarray:
    """The patch over the plate as any compositing program does it, plate values on 0 to 1."""
    comp = plate.astype(np.float64) / (np.iinfo(plate.dtype).max if plate.dtype.kind == "u" else 1)
    a = channels[f"{layer}A"].astype(np.float64)[..., None]
    comp[window] = np.stack([channels[f"{layer}{c}"] for c in "RGB"], axis=-1) + comp[window] * (1 - a)
    return comp


def test_exr_holds_the_maps_bit_for_bit_in_a_window_as_tight_as_the_patch(make_movie: Make, tmp_path: Path) -> None:
    info = probe(make_movie("a.mp4", size=(64, 48), frames=2))
    job = deliver(tmp_path / "take", info, "exr")
    header, channels, window = exr(job.folder / "exr" / "layers.000000.exr")
    with open_plate(info) as plate:
        frame = plate.frame(0)
    patch = patch_of(frame)
    assert patch is not None
    assert patch.st is not None
    maps = {
        "uncertainty.sigma": patch.sigma,
        "uncertainty.error": patch.error,
        "uncertainty.matte": patch.matte,
        "st.s": patch.st[..., 0],
        "st.t": patch.st[..., 1],
    }
    assert set(channels) == {*maps, "R", "G", "B", "A"}
    assert window == RECT.slices
    assert [tuple(corner) for corner in header["displayWindow"]] == [(0, 0), (63, 47)]
    for name, values in maps.items():
        assert channels[name].dtype == np.float32
        np.testing.assert_array_equal(channels[name], values)
    assert {channels[name].dtype for name in "RGBA"} == {np.dtype(np.float16)}
    np.testing.assert_array_equal(channels["A"], patch.coverage.astype(np.float16))
    _, through, window = exr(job.folder / "exr" / "layers.000001.exr")
    assert not any(plane.any() for plane in through.values())
    assert window == (slice(0, 1), slice(0, 1))


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv420p10le"])
def test_the_patch_over_the_plate_is_the_comp_and_the_plate_where_nothing_is_covered(
    make_movie: Make, tmp_path: Path, pixel_format: str
) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (2, 48, 64, 3)).astype(np.uint8)
    info = probe(make_movie("a.mp4", pixel_format=pixel_format, size=(64, 48), frames=2, picture=noise.__getitem__))
    job = deliver(tmp_path / "take", info, "exr")
    with open_plate(info) as plate:
        for frame in plate.frames():
            header, channels, window = exr(job.folder / "exr" / f"layers.{frame.index:06d}.exr")
            comp, under = over(frame.rgb, channels, window), frame.rgb / np.iinfo(frame.rgb.dtype).max
            untouched = np.ones((48, 64), bool)
            untouched[window] = channels["A"] == 0
            np.testing.assert_array_equal(comp[untouched], under[untouched])
            patch = patch_of(frame)
            if patch is not None:
                full = patch.coverage == 1
                wanted = patch.pixels[full] / np.iinfo(frame.rgb.dtype).max
                np.testing.assert_allclose(comp[window][full], wanted, atol=2.0**-12)
            assert "code values" in header["julnet.values"]


def test_soft_edges_of_the_patch_come_out_as_they_were_blended(make_movie: Make, tmp_path: Path) -> None:
    from julnet_plugin.compose.paste import blend
    from julnet_plugin.media.exr_writer import premultiplied

    rng = np.random.default_rng(2)
    for dtype in (np.uint8, np.uint16):
        peak = np.iinfo(dtype).max
        plate, generated = (rng.integers(0, peak, (20, 30, 3)).astype(dtype) for _ in range(2))
        coverage = np.where(rng.random((20, 30)) < 0.2, 0, rng.random((20, 30))).astype(np.float32)
        comp = blend(plate, generated.astype(np.float32), coverage)
        rgba = premultiplied(plate, comp, coverage).astype(np.float64)
        again = rgba[..., :3] + plate / peak * (1 - rgba[..., 3:])
        np.testing.assert_allclose(again, comp / peak, atol=2.0**-11 + 0.5 / peak)
        assert not rgba[coverage == 0].any()


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_exr_plates_are_composited_in_their_own_linear_values(
    make_exr_sequence: Make, tmp_path: Path, dtype: type
) -> None:
    picture = np.random.default_rng(1).normal(0.5, 3, (48, 64, 3)).astype(dtype)
    picture[:2] = np.inf
    info = probe(make_exr_sequence(dtype=dtype, picture=lambda _: picture, frames=2))
    job = deliver(tmp_path / "take", info, "exr")
    header, channels, window = exr(job.folder / "exr" / "layers.001001.exr")
    untouched = np.ones((48, 64), bool)
    untouched[window] = channels["A"] == 0
    np.testing.assert_array_equal(over(picture, channels, window)[untouched], picture[untouched].astype(np.float64))
    assert all(np.isfinite(channels[name]).all() for name in "RGBA")
    assert "scene-linear" in header["julnet.values"]


def test_exr_opens_in_openimageio_and_ffmpeg_too(make_movie: Make, tmp_path: Path) -> None:
    import av

    oiio = pytest.importorskip("OpenImageIO")
    info = probe(make_movie("a.mov", size=(64, 48), frames=2, timecode="01:00:00:00", rate=Fraction(24000, 1001)))
    path = deliver(tmp_path / "take", info, "exr").folder / "exr" / "layers.000000.exr"
    _, channels, window = exr(path)
    image = oiio.ImageInput.open(str(path))
    spec = image.spec()
    pixels = image.read_image(0, 0, 0, spec.nchannels, "float")
    image.close()
    assert set(spec.channelnames) == set(channels)
    assert (spec.x, spec.y, spec.width, spec.height) == (RECT.x0, RECT.y0, RECT.width, RECT.height)
    assert (spec.full_width, spec.full_height) == (64, 48)
    for number, name in enumerate(spec.channelnames):
        np.testing.assert_array_equal(pixels[..., number], channels[name].astype(np.float32))
    assert spec.getattribute("smpte:TimeCode")[0] == 0x01000000, "01:00:00:00 in decimal digits"
    assert Fraction(*spec.getattribute("FramesPerSecond")) == Fraction(24000, 1001)
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
    assert (frame.width, frame.height) == (64, 48)
    for plane, name in zip(frame.planes, "GBRA", strict=True):
        values = np.frombuffer(plane, np.float16).reshape(48, -1)[:, :64]
        np.testing.assert_array_equal(values[window], channels[name])
        assert np.count_nonzero(values) == np.count_nonzero(channels[name])


def test_a_held_plate_leaves_the_whole_patch_in_a_layer_of_its_own(make_movie: Make, tmp_path: Path) -> None:
    from julnet_plugin.media.exr_writer import LayersSession

    info = probe(make_movie("a.mp4", size=(64, 48), frames=2))
    (tmp_path / "take" / ".work").mkdir(parents=True)
    chunk = FrameRange(start=0, stop=2)
    job = DeliveryJob(
        folder=tmp_path / "take",
        work=tmp_path / "take" / ".work",
        info=info,
        frames=chunk,
        chunks=(chunk,),
        settings={"holds_plate": True},
    )
    session = LayersSession(job)
    with open_plate(info) as plate:
        frame = plate.frame(0)
    patch = patch_of(frame)
    assert patch is not None
    full = np.ones_like(patch.coverage)
    session.write_files(frame, dataclasses.replace(patch, unheld=(patch.pixels, full)))
    session.write_files(plate.frame(1), None)
    _, channels, window = exr(session.path("exr", 0))
    np.testing.assert_array_equal(channels["patch.A"], np.ones_like(channels["A"]))
    np.testing.assert_allclose(over(frame.rgb, channels, window, "patch.")[window], patch.pixels / 255, atol=2.0**-11)
    assert set(exr(session.path("exr", 1))[1]) == set(channels), "all files of a sequence have the same layers"


@pytest.mark.parametrize(
    ("rate", "start", "second"),
    [
        ("24000/1001", "01:00:00:23", "01:00:01:00"),
        ("30000/1001", "00:59:59;29", "01:00:00;00"),
        ("50", "01:00:00:48", "01:00:00:49"),
        ("60000/1001", "00:00:59;59", "00:01:00;04"),
    ],
)
def test_exr_headers_carry_timecode_rate_and_primaries(
    make_movie: Make, tmp_path: Path, rate: str, start: str, second: str
) -> None:
    path = make_movie(
        "a.mov", size=(64, 48), frames=2, rate=Fraction(rate), timecode=start, reel="B002", tags=(9, 1, 9, 16)
    )
    job = deliver(tmp_path / "take", probe(path), "exr")
    labels = [probe(job.folder / "exr" / f"layers.{n:06d}.exr") for n in (0, 1)]
    assert labels[0].rate == Fraction(rate)
    assert labels[0].start_timecode == start
    header, _, _ = exr(job.folder / "exr" / "layers.000001.exr")
    assert header["framesPerSecond"] == Fraction(rate)
    assert header["chromaticities"][0] == pytest.approx(0.708)
    assert (header["reelName"], str(header["compression"])) == ("B002", "Compression.ZIP_COMPRESSION")
    single = tmp_path / "single"
    single.mkdir()
    (job.folder / "exr" / "layers.000001.exr").rename(single / "layers.000001.exr")
    assert probe(single / "layers.000001.exr").start_timecode == second


def test_an_unfinished_sequence_cannot_be_closed(make_movie: Make, tmp_path: Path) -> None:
    info = probe(make_movie(frames=4))
    chunks = (FrameRange(start=0, stop=2), FrameRange(start=2, stop=4))
    (tmp_path / "take" / ".work").mkdir(parents=True)
    job = DeliveryJob(
        folder=tmp_path / "take",
        work=tmp_path / "take" / ".work",
        info=info,
        frames=FrameRange(start=0, stop=4),
        chunks=chunks,
    )
    deliveries = Deliveries([WRITERS["png"]], job)
    deliveries.begin(chunks[0])
    with open_plate(info) as plate:
        for frame in plate.frames(chunks[0]):
            deliveries.write(frame, None)
    deliveries.end()
    assert (deliveries.finished(chunks[0]), deliveries.finished(chunks[1])) == (True, False)
    with pytest.raises(MediaError, match="lacks frames 2 to 3"):
        deliveries.close()


@pytest.mark.parametrize("name", ["png", "exr"])
def test_a_full_disk_is_said(make_movie: Make, tmp_path: Path, name: str) -> None:
    file = {"png": "png/.dub.000000.png.tmp", "exr": "exr/.layers.000000.exr.tmp"}[name]
    target = tmp_path / "take" / file
    target.parent.mkdir(parents=True)
    target.symlink_to("/dev/full")
    with pytest.raises(MediaError, match="the disk is full"):
        deliver(tmp_path / "take", probe(make_movie(frames=2, size=(64, 48))), name)
    assert not [path for path in target.parent.iterdir() if path.is_file()]
