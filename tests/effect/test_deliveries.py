"""Mattes in every form that programs take, and the timeline beside a take."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import OpenEXR
import opentimelineio as otio

from julnet_plugin.interchange.otio import take_timeline
from julnet_plugin.media.probe import probe
from julnet_plugin.media.reader import open_plate
from julnet_plugin.pipeline.takedata import TakeData
from julnet_plugin.recomp import rederive_matte
from julnet_plugin.take import frames_of
from julnet_plugin.types import Take

Contents = Callable[[Path], dict[str, str]]


def exr_channel(path: Path, name: str) -> np.ndarray:
    """One channel over the display window."""
    with OpenEXR.File(str(path), separate_channels=True) as file:
        header = file.header()
        (x0, y0), (x1, y1) = header["dataWindow"]
        right, bottom = header["displayWindow"][1]
        whole = np.zeros((bottom + 1, right + 1), np.float32)
        whole[y0 : y1 + 1, x0 : x1 + 1] = file.channels()[name].pixels
    return whole


def test_every_form_of_the_matte_shows_the_same_one(held_take: Take) -> None:
    folder = held_take.path
    with open_plate(folder / "matte.luma.mp4") as luma, open_plate(folder / "matte.prores4444.mov") as alpha:
        movies = list(zip(luma.frames(), alpha.frames(), strict=True))
    for frame, (grey, picture) in zip((4, 5, 6), movies, strict=True):
        number = f"{frame:06d}"
        matte = exr_channel(folder / f"exr/layers.{number}.exr", "uncertainty.matte")
        assert matte.max() > 0.1
        np.testing.assert_array_equal(exr_channel(folder / f"matte/exr/matte.{number}.exr", "Y"), matte)
        for kind, suffix in (("png", "png"), ("tif", "tif")):
            codes = cv2.imread(str(folder / f"matte/{kind}/matte.{number}.{suffix}"), cv2.IMREAD_UNCHANGED)
            assert (codes.dtype, codes.ndim) == (np.uint16, 2)
            assert np.abs(codes - matte.astype(np.float64) * 65535).max() <= 0.51
        away = np.abs(grey.rgb[..., 0] / 255 - matte)
        assert away.mean() < 0.5 / 255
        assert away.max() < 10 / 255, "this matte is noise, the worst that a compressed movie can meet"
        native = picture.native
        assert native is not None
        a = native.to_ndarray(format="rgba64le")[..., 3] / 65535
        assert np.abs(a - matte).max() < 2 / 1023
        assert np.abs(picture.rgb[..., 1].astype(float) / 257 - grey_of(folder, number)).mean() < 2, "the dub's picture"


def grey_of(folder: Path, number: str) -> np.ndarray:
    return cv2.imread(str(folder / f"png/dub.{number}.png"))[..., 1].astype(float)


def test_mattes_have_the_plates_rate_timecode_and_size(held_take: Take) -> None:
    rate = Fraction(24000, 1001)
    for name in ("matte.luma.mp4", "matte.prores4444.mov", "matte/exr", "exr", "crop"):
        info = probe(held_take.path / name)
        assert (info.rate, info.start_timecode, info.frame_count) == (rate, "01:00:00:04", 3), name
        assert (info.width, info.height) == ((160, 208) if name == "crop" else (320, 240))
    assert probe(held_take.path / "matte.luma.mp4").bit_depth == 8


def test_the_crop_holds_what_the_network_said_bit_for_bit(held_take: Take) -> None:
    data = TakeData(held_take.path, frames_of(held_take), chunk_frames=7)
    for frame in (4, 5, 6):
        path = held_take.path / f"crop/layers.{frame:06d}.exr"
        np.testing.assert_array_equal(exr_channel(path, "uncertainty.sigma"), data.drawn_sigma(frame))
        np.testing.assert_array_equal(exr_channel(path, "uncertainty.error"), data.error(frame))


def test_sigma_is_that_of_the_finished_picture(held_take: Take) -> None:
    """Nothing is marked where the plate shows, whatever the network thinks of what it drew there."""
    data = TakeData(held_take.path, frames_of(held_take), chunk_frames=7)
    drawn, finished, coverage = data.drawn_sigma(4), data.sigma(4), data.coverage(4)
    assert drawn is not None
    assert finished is not None
    np.testing.assert_allclose(finished, drawn * coverage, rtol=1e-6)
    assert ((drawn > 0.01) & (coverage == 0)).any()
    frame = held_take.path / "exr/layers.000004.exr"
    sigma, matte, alpha = (exr_channel(frame, name) for name in ("uncertainty.sigma", "uncertainty.matte", "A"))
    assert sigma.max() > 0.1
    assert sigma[cv2.dilate((alpha > 0).astype(np.uint8), np.ones((5, 5))) == 0].max(initial=0) < 1e-3
    assert matte.max() > 0.1


def test_st_coordinates_find_the_crops_pixels(held_take: Take) -> None:
    frame = held_take.path / "exr/layers.000004.exr"
    s, t = exr_channel(frame, "st.s"), exr_channel(frame, "st.t")
    crop = TakeData(held_take.path, frames_of(held_take), chunk_frames=7).sigma(4)
    assert crop is not None
    x, y = s * 160 - 0.5, (1 - t) * 208 - 0.5
    looked_up = cv2.remap(crop, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR)
    sigma = exr_channel(frame, "uncertainty.sigma")
    inside = cv2.erode((sigma > 0).astype(np.uint8), np.ones((9, 9))) > 0
    assert inside.sum() > 200
    assert np.corrcoef(looked_up[inside], sigma[inside])[0, 1] > 0.9, (
        "the untrained network's σ is noise at the crop's finest scale"
    )


def test_further_deliveries_of_a_finished_take_are_kept_up_to_date(
    render: Callable[..., Take], tmp_path: Path, contents: Contents
) -> None:
    take = render(tmp_path / "take", deliver=("png",), out_point="3").path
    before = contents(take)
    made = rederive_matte(take, deliver=("matte-png", "matte-exr"))
    assert made.files["matte-png"] == "matte/png/matte.######.png"
    assert made.manifest["deliveries"] == ["png", "matte-png", "matte-exr"]
    changed = {name for name, value in contents(take).items() if before.get(name) != value and "report" not in name}
    assert changed == {f"matte/{s}/matte.{n:06d}.{s}" for s in ("png", "exr") for n in range(3)} | {"take.json"}
    old = contents(take)
    rederive_matte(take, {"matte.low_cv": 100.0, "matte.high_cv": 255.0})
    assert contents(take)["matte/png/matte.000001.png"] != old["matte/png/matte.000001.png"]
    added = rederive_matte(take, deliver=("exr",))
    assert {"exr", "nuke", "fusion"} <= set(added.files)
    assert (take / "comp.nk").is_file()


def test_the_timeline_loads_back_with_the_worst_stretches_as_markers(held_take: Take, tmp_path: Path) -> None:
    manifest = dict(held_take.manifest)
    manifest["review"] = [
        {"start": 5, "stop": 6, "peak": 5, "expected_cv": 17.2, "reasons": ["fast head turn (90° a second)"]},
        {"start": 4, "stop": 5, "peak": 4, "expected_cv": 9.0, "reasons": ["no single cause found"]},
    ]
    path = tmp_path / "timeline.otio"
    otio.adapters.write_to_file(take_timeline(manifest, "line", str(held_take.path)), str(path))
    timeline = otio.adapters.read_from_file(str(path))
    assert [track.name for track in timeline.tracks] == ["Video 1", "Video 2", "Video 3", "Audio 1"]
    dub = timeline.tracks[1][0]
    assert dub.media_reference.target_url == str(held_take.path / "dub.mov")
    rate = 24000 / 1001
    assert dub.source_range.start_time == otio.opentime.RationalTime(86404, rate)
    assert dub.source_range.duration == otio.opentime.RationalTime(3, rate)
    first, second = dub.markers
    assert (first.marked_range.start_time.value, first.color) == (86405, "RED")
    assert "fast head turn" in first.comment
    assert second.color == "ORANGE"
    plate = timeline.tracks[0][0]
    assert plate.available_range().start_time.value == 86400
    assert plate.available_range().duration.value == 12


def test_the_timeline_beside_the_take_is_relative_to_it(held_take: Take, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(held_take.path, tmp_path / "moved"))
    timeline = otio.adapters.read_from_file(str(moved / "timeline.otio"))
    urls = [track[0].media_reference.target_url for track in timeline.tracks]
    assert urls == [held_take.manifest["plate"]["file"], "dub.mov", "matte.mov", "dub.mov"]
    assert all((moved / url).is_file() for url in urls[1:])
    assert timeline.metadata["julnet"]["synthetic"]["statement"]
