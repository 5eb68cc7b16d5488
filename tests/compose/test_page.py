from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from julnet_plugin.compose.page import MAX_BYTES, PageFacts, page_frames, render_page
from julnet_plugin.compose.report import ReportFrame, ReportHeader
from julnet_plugin.matte.spans import FrameStats, ReviewSpan, find_spans

VOID = {"meta", "img", "input", "path", "rect", "br"}


class Reader(HTMLParser):
    """Checks that every element is closed in order; collects what a page refers to."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.sources: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        assert len(values) == len(attrs), f"<{tag}> has an attribute twice"
        self.ids += [values["id"] or ""] if "id" in values else []
        self.links += [values["href"] or ""] if "href" in values else []
        self.sources += [values["src"] or ""] if "src" in values else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in VOID

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


def take(count: int = 200) -> list[FrameStats]:
    level = 6 + 9.0 * ((np.arange(count) % 100 > 50) & (np.arange(count) % 100 < 70))
    return [
        FrameStats(frame=i, sigma_mean_cv=float(v), sigma_p95_cv=float(2 * v), yaw_deg=50.0 if v > 10 else 0.0,
                   found=not 5 <= i < 9)
        for i, v in enumerate(level)
    ]  # fmt: skip


def shown(frame: int, size: tuple[int, int] = (90, 120)) -> ReportFrame:
    rng = np.random.default_rng(frame)
    plain = rng.random(size, np.float32)
    return ReportFrame(
        frame=frame, choice="worst", plate=rng.integers(0, 255, (*size, 3), np.uint8),
        dub=rng.integers(0, 255, (*size, 3), np.uint8), expected_cv=plain * 30, matte=plain, region=plain,
    )  # fmt: skip


def facts(plate: str = "shot.mov", warnings: tuple[str, ...] = ()) -> PageFacts:
    return PageFacts(
        header=ReportHeader(plate=plate, dub="line.wav", model="rt", facts=("25 fps",), warnings=warnings),
        within_80=1.6,
        provenance=[("model", "rt"), ("software", "julnet 1")],
        statement="The mouth was generated.",
        drives="nothing",
    )


def page(stats: list[FrameStats], spans: list[ReviewSpan], plate: str = "shot.mov") -> str:
    frames = [shown(frame) for frame, _ in page_frames(stats, spans)]
    return render_page(facts(plate), frames, stats, spans, lambda frame: f"01:00:00:{frame:02d}")


def test_a_page_is_whole_offline_and_says_the_numbers() -> None:
    stats = take()
    spans = find_spans(stats, 25.0)
    assert len(spans) == 2
    text = page(stats, spans)
    reader = read(text)
    assert text.startswith("<!DOCTYPE html>")
    assert "expect ±15 code values here" in text
    assert "head turned far to the side (50°)" in text
    assert "01:00:00:51" in text
    assert all(source.startswith("data:image/jpeg;base64,") for source in reader.sources)
    assert not re.search(r"https?:|//[a-z]|@import|url\((?!#)", re.sub(r'base64,[^"]*', "", text))
    assert len(reader.ids) == len(set(reader.ids))
    assert {link.removeprefix("#") for link in reader.links} <= set(reader.ids)
    assert "#stretch-2" in reader.links


def test_equal_takes_give_equal_pages() -> None:
    stats = take()
    assert page(stats, find_spans(stats, 25.0)) == page(stats, find_spans(stats, 25.0))


def test_text_from_outside_is_escaped() -> None:
    stats = take()
    text = page(stats, find_spans(stats, 25.0), plate="<script>alert(\"x\")</script> & 'co'.mov")
    assert "<script>alert" not in text
    assert "<script>alert(\"x\")</script> & 'co'.mov" in "".join(read(text).text)


def test_every_stretch_has_a_place_to_link_to_also_without_a_picture() -> None:
    stats = [FrameStats(frame=i, sigma_mean_cv=20.0 if i % 40 < 10 else 3.0) for i in range(800)]
    spans = find_spans(stats, 25.0)
    assert len(spans) > 12
    reader = read(page(stats, spans))
    assert {f"stretch-{rank}" for rank in range(1, len(spans) + 1)} <= set(reader.ids)


def test_a_long_take_of_large_pictures_stays_within_the_limit() -> None:
    stats = [FrameStats(frame=i, sigma_mean_cv=20.0 if i % 400 < 30 else 3.0) for i in range(8_000)]
    spans = find_spans(stats, 25.0)
    frames = [shown(frame, (450, 700)) for frame, _ in page_frames(stats, spans)]
    assert len(frames) == 9
    assert len(render_page(facts(), frames, stats, spans).encode()) < MAX_BYTES // 2


@pytest.mark.parametrize("stats", [[], [FrameStats(frame=0, found=False)], [FrameStats(frame=7, sigma_mean_cv=3.0)]])
def test_a_take_with_next_to_nothing_in_it_has_a_page_too(stats: list[FrameStats]) -> None:
    read(page(stats, find_spans(stats, 25.0)))
