"""Small parts of the effect."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from julnet_plugin.errors import SettingsError, TimeRangeError
from julnet_plugin.face.crop import coverage, region_mask
from julnet_plugin.media.reader import open_plate
from julnet_plugin.pipeline.hashing import file_hash, files_hash
from julnet_plugin.pipeline.inputs import parse_refs
from julnet_plugin.pipeline.manifest import to_text
from julnet_plugin.pipeline.outputs import split
from julnet_plugin.pipeline.plates import frames_at
from julnet_plugin.pipeline.staging import Staging
from julnet_plugin.pipeline.takedata import box_of
from julnet_plugin.types import FrameRange


@given(st.integers(0, 50), st.integers(1, 200), st.integers(1, 60))
def test_chunks_fill_the_range_without_overlap(start: int, count: int, length: int) -> None:
    chunks = split(FrameRange(start=start, stop=start + count), length)
    assert [frame for chunk in chunks for frame in range(chunk.start, chunk.stop)] == list(range(start, start + count))
    assert all(len(chunk) == length for chunk in chunks[:-1])


@given(
    st.lists(st.tuples(st.floats(20, 300), st.floats(110, 400)), min_size=3, max_size=12),
    st.sampled_from([(416, 320), (208, 160)]),
)
def test_the_stored_box_holds_everything_that_is_used(points: list[tuple[float, float]], size: tuple[int, int]) -> None:
    region = np.array(points, np.float32)
    top, bottom, left, right = box_of(region[None], size)
    outside = np.ones(size, bool)
    outside[top:bottom, left:right] = False
    assert not (region_mask(region, size)[outside] > 0).any()
    assert not (coverage(region, size)[outside] > 0).any()
    assert 0 <= top <= bottom <= size[0]
    assert 0 <= left <= right <= size[1]


def test_references_are_read_strictly() -> None:
    frames = FrameRange(start=10, stop=50)
    assert parse_refs(" auto ", frames) == ()
    assert parse_refs("12, 40,12", frames) == (12, 40)
    with pytest.raises(TimeRangeError, match="frames 10 to 49"):
        parse_refs("12,50", frames)
    for text in ("", "12;40", "-3", "12,"):
        with pytest.raises(SettingsError, match="not a choice of references"):
            parse_refs(text, frames)


def test_content_decides_the_hash_and_order_matters(tmp_path: Path) -> None:
    for name, data in (("a", b"1"), ("b", b"2"), ("c", b"1")):
        (tmp_path / name).write_bytes(data)
    a, b, c = (tmp_path / name for name in "abc")
    assert file_hash(a) == file_hash(c) != file_hash(b)
    assert files_hash([a, b]) != files_hash([b, a])


def test_scattered_frames_are_read_once_each_in_order(plate: Path, portrait: list[NDArray[np.uint8]]) -> None:
    with open_plate(plate) as reader:
        whole = [frame.rgb for frame in reader.frames()]
        some = list(frames_at(reader, [20, 3, 3, 7]))
    assert [frame.index for frame in some] == [3, 7, 20]
    assert all(np.array_equal(frame.rgb, whole[frame.index]) for frame in some)


def test_a_manifest_has_one_line_a_frame_and_reads_back() -> None:
    import json

    manifest: dict[str, Any] = {"schema": "x", "files": {}, "frames": [{"frame": 0}, {"frame": 1}]}
    text = to_text(manifest)
    assert json.loads(text) == manifest
    assert sum('"frame":' in row for row in text.splitlines()) == 2
    assert json.loads(to_text({"schema": "x", "frames": []})) == {"schema": "x", "frames": []}


def test_staged_files_replace_theirs_and_leave_the_rest(tmp_path: Path) -> None:
    (tmp_path / "png").mkdir()
    for name in ("png/dub.0.png", "png/matte.0.png", "dub.mov"):
        (tmp_path / name).write_text("old")
    with Staging(tmp_path) as staging:
        (staging.root / "png").mkdir()
        (staging.root / "png" / "matte.0.png").write_text("new")
        staging.swap_in()
    texts = {str(p.relative_to(tmp_path)): p.read_text() for p in tmp_path.rglob("*") if p.is_file()}
    assert texts == {"png/dub.0.png": "old", "png/matte.0.png": "new", "dub.mov": "old"}
    assert not (tmp_path / ".work").exists()
