from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from julnet_plugin.compose.paste import apply_patch
from julnet_plugin.compose.report import (
    ReportHeader,
    choose_frames,
    render_report,
    report_frame,
    verdict,
    write_report,
)
from julnet_plugin.compose.report_draw import fitted, font, heat, matte_panel, wrapped, write
from julnet_plugin.matte.spans import FrameStats, ReviewSpan
from julnet_plugin.types import Patch, Rect

H, W = 90, 120


@dataclass(frozen=True)
class Scale:
    peak: float = 255

    def to_display(self, pixels):
        return pixels.astype(np.float32) / self.peak

    def to_plate(self, display):
        return display * self.peak


def patch_at(x0=40, y0=50, dtype=np.uint8):
    h, w = 30, 40
    ones = np.ones((h, w), np.float32)
    pixels = np.full((h, w, 3), 200, dtype)
    rect = Rect(x0=x0, y0=y0, x1=x0 + w, y1=y0 + h)
    return Patch(rect=rect, pixels=pixels, coverage=ones, sigma=ones * 0.1, error=ones * 0.1, matte=ones * 0.5)


def plate(dtype=np.uint8):
    return np.random.default_rng(0).integers(0, 255, (H, W, 3)).astype(dtype)


def takes(levels, found=None):
    found = [True] * len(levels) if found is None else found
    return [
        FrameStats(frame=10 + i, found=f, sigma_mean_cv=v, sigma_p95_cv=2 * v)
        for i, (v, f) in enumerate(zip(levels, found, strict=True))
    ]


HEADER = ReportHeader(plate="plate.mov", dub="line.wav", model="rt", facts=("120×90", "25 fps"))
SPAN = ReviewSpan(start=20, stop=30, peak=24, expected_cv=14, score=50, reasons=("low light (mean 4% of white)",))


def test_the_worst_frames_come_first_and_no_two_are_neighbours():
    levels = np.full(100, 5.0)
    levels[40:50], levels[80] = 20, 15
    chosen = choose_frames(takes(levels.tolist()))
    assert [choice for _, choice in chosen] == ["worst"] * 3 + ["typical"] * 2
    frames = [f for f, _ in chosen]
    assert frames[0] in range(50, 60)
    assert 90 in frames[:3]
    assert min(abs(a - b) for a in frames for b in frames if a != b) >= 6


@given(st.lists(st.tuples(st.floats(0, 60), st.booleans()), max_size=40))
def test_only_frames_with_a_face_are_chosen_each_once(pairs):
    stats = takes([v for v, _ in pairs], [f for _, f in pairs])
    frames = [f for f, _ in choose_frames(stats)]
    assert len(set(frames)) == len(frames)
    assert set(frames) <= {s.frame for s in stats if s.found}
    assert bool(frames) == any(s.found for s in stats)


@pytest.mark.parametrize("corner", [(40, 50), (0, 0), (80, 60)])
def test_a_row_shows_the_plate_and_the_dub_around_the_patch(corner):
    picture, patch = plate(), patch_at(*corner)
    row = report_frame(3, "worst", picture, patch, Scale())
    both = np.argwhere((row.plate != row.dub).any(axis=-1))
    assert both.size
    assert row.dub[both[0][0], both[0][1]].tolist() == [200, 200, 200]
    assert row.region.sum() == 30 * 40
    np.testing.assert_allclose(row.expected_cv[row.region > 0], 25.5, rtol=1e-5)
    whole = apply_patch(picture, patch)
    assert any(
        np.array_equal(whole[y : y + row.dub.shape[0], x : x + row.dub.shape[1]], row.dub)
        for y in range(H)
        for x in range(W)
    )


def test_the_heat_map_shows_calibrated_errors():
    row = report_frame(3, "worst", plate(), patch_at(), Scale(), calibrate=lambda sigma: sigma / 2 + 0.01)
    np.testing.assert_allclose(row.expected_cv[row.region > 0], 255 * 0.06, rtol=1e-5)
    assert not row.expected_cv[row.region == 0].any()


def test_deep_plates_are_shown_in_eight_bits():
    row = report_frame(3, "worst", plate(np.uint16) * 257, patch_at(dtype=np.uint16), Scale(65535))
    assert row.plate.dtype == np.uint8
    assert row.plate.max() > 200


def test_a_plate_held_by_the_matte_still_shows_where_the_model_drew():
    held = replace(patch_at(), coverage=np.zeros((30, 40), np.float32))
    assert report_frame(0, "worst", plate(), held, Scale()).region.sum() == 30 * 40


def test_the_sheet_is_the_same_for_the_same_take_and_changes_with_it(tmp_path):
    stats = takes([5.0] * 30 + [14.0] * 10)
    rows = [report_frame(f, c, plate(), patch_at(), Scale()) for f, c in choose_frames(stats)]
    for name in ("a.png", "b.png"):
        write_report(tmp_path / name, HEADER, rows, stats, [SPAN])
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    shown = np.asarray(Image.open(tmp_path / "a.png"))
    assert shown.shape[1] == 1600
    assert not np.array_equal(shown, render_report(HEADER, rows, stats, []))


@pytest.mark.parametrize("found", [[False] * 5, [True], [False, True, False], []])
def test_odd_takes_have_a_sheet_too(found):
    stats = takes([6.0] * len(found), found)
    rows = [report_frame(f, c, plate(), patch_at(), Scale()) for f, c in choose_frames(stats)]
    sheet = render_report(HEADER, rows, stats, [])
    assert sheet.ndim == 3
    assert sheet.std() > 1


@pytest.mark.parametrize(
    ("levels", "spans", "words"),
    [
        ([5.0] * 30, [], "no stretch stands out"),
        ([5.0] * 20 + [14.0] * 10, [SPAN], "review 1 stretch, 10 frames"),
        ([15.0] * 30, [], "uncertain throughout: review all of it"),
        ([15.0] * 20 + [30.0] * 10, [SPAN], "uncertain throughout: review all of it"),
        ([], [], "nothing was re-dubbed"),
    ],
)
def test_the_verdict_says_when_all_of_a_take_is_uncertain_and_nothing_stands_out(levels, spans, words):
    assert verdict(takes(levels), spans)[0] == words


def test_a_long_take_keeps_its_peaks_in_the_graph():
    """One bad frame in ten minutes: a column of the graph must show it."""
    levels = [5.0] * 15_000
    calm = render_report(HEADER, [], takes(levels), [])
    levels[7_000] = 40.0
    assert not np.array_equal(render_report(HEADER, [], takes(levels), []), calm)


def test_long_names_and_many_reasons_stay_on_the_sheet():
    header = replace(HEADER, plate="x" * 300, dub="y" * 300, facts=("z" * 400,), warnings=("w" * 400,) * 5)
    stats = takes([5.0] * 30)
    span = replace(SPAN, start=0, stop=99, reasons=("something long about it all",) * 12)
    rows = [report_frame(f, c, plate(), patch_at(), Scale()) for f, c in choose_frames(stats)]
    assert render_report(header, rows, stats, [span] * 15).shape[1] == 1600


def test_text_is_cut_in_its_middle_and_wrapped_to_the_lines_there_are():
    short = fitted("a_very_long_name_of_a_plate_v001.mov", 20, 150)
    assert "…" in short
    assert short.startswith("a_")
    assert short.endswith("mov")
    assert font(20).getlength(short) <= 150
    lines = wrapped("one two three four five six seven eight nine ten", 13, 80, 3)
    assert len(lines) == 3
    assert all(font(13).getlength(line) <= 80 for line in lines)


def test_the_heat_map_gets_brighter_with_the_error():
    brightness = heat(np.float32([[0, 8, 16, 24, 32, 99]])).astype(float).sum(axis=-1)[0]
    assert (np.diff(brightness[:5]) > 0).all()
    assert brightness[5] == brightness[4]


def test_the_matte_is_red_light_only_where_it_is_white():
    grey = np.full((40, 40, 3), 100, np.uint8)
    matte = np.zeros((40, 40), np.float32)
    matte[10:20, 10:20] = 1
    panel = matte_panel(grey, matte, np.zeros((40, 40), np.float32)).astype(int)
    assert (panel[..., 0] - panel[..., 2])[10:20, 10:20].min() > 60
    assert np.ptp(panel[30, 30]) == 0


@pytest.mark.parametrize(
    "text", ["two\nlines\n\tand a tab", "zero\0byte", "half a pair \ud800", "turned \u202e round", ""]
)
def test_text_that_no_font_can_draw_is_drawn_without_what_cannot_be(text):
    sheet = Image.new("RGB", (200, 40))
    assert "\n" not in fitted(text, 12, 150)
    assert "\0" not in fitted(text, 12, 150)
    assert write(sheet, (0, 20), text, 12) <= 200
    assert all(row.isprintable() for row in wrapped(text, 12, 60, 3))
