"""What the viewer mixes, and frames in any order."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gui.decoding import FrameCache, RandomAccess
from gui.picture import OVERLAY, WIPE_LINE, tinted, wiped
from julnet_plugin.errors import TimeRangeError
from julnet_plugin.media.probe import probe

GREY = np.full((6, 10, 3), 100, np.uint8)
DARK = np.full((6, 10, 3), 20, np.uint8)


def test_a_wipe_shows_the_first_picture_left_of_the_line() -> None:
    mixed = wiped(GREY, DARK, 0.5)
    assert (mixed[:, :5] == 100).all()
    assert (mixed[:, 5] == WIPE_LINE).all()
    assert (mixed[:, 6:] == 20).all()


@pytest.mark.parametrize(("share", "picture"), [(0.0, DARK), (1.0, GREY), (-1.0, DARK), (2.0, GREY)])
def test_a_wipe_at_an_end_is_one_picture(share: float, picture: Any) -> None:
    np.testing.assert_array_equal(wiped(GREY, DARK, share), picture)


def test_the_overlay_tints_where_the_matte_is_white_and_nowhere_else() -> None:
    matte = np.zeros((6, 10), np.uint8)
    matte[2, 3], matte[2, 5] = 255, 128
    result = tinted(GREY, matte, 1.0)
    np.testing.assert_array_equal(result[2, 3], OVERLAY)
    np.testing.assert_allclose(result[2, 5], (np.array(OVERLAY) + 100) / 2, atol=1)
    matte[2, [3, 5]] = 0
    assert (result != GREY).any(axis=2).sum() == 2
    assert tinted(GREY, matte, 1.0) is GREY


def test_the_cache_forgets_what_was_not_used_for_longest_and_holds_its_size() -> None:
    cache = FrameCache(3 * GREY.nbytes)
    for index in (1, 2, 3):
        cache.put(index, GREY)
    assert cache.get(1) is not None
    cache.put(4, GREY)
    assert [cache.get(index) is not None for index in (1, 2, 3, 4)] == [True, False, True, True]
    cache.put(9, np.zeros((60, 100, 3), np.uint8))
    assert len(cache) == 1


def test_frames_in_any_order_are_the_frames_that_were_asked_for(
    make_movie: Callable[..., Path], frame_number: Callable[[Any], int]
) -> None:
    """A seek, a jump, a step back across a key frame: the number that is drawn into the frame must be the index."""
    info = probe(make_movie("long.mov", frames=60, options={"g": "12", "bf": "2", "crf": "4"}))
    reader = RandomAccess(info, most_bytes=6 * 128 * 96 * 3)
    chance = random.Random(1)
    walk = [0, 1, 2, 30, 29, 28, 27, 40, 41, 59, 58, 0, *(chance.randrange(60) for _ in range(30))]
    assert [frame_number(reader.frame(index)) for index in walk] == walk
    reader.close()


def test_a_frame_that_is_not_there_is_refused_and_the_next_one_still_comes(
    plate: Path, frame_number: Callable[[Any], int]
) -> None:
    reader = RandomAccess(probe(plate))
    with pytest.raises(TimeRangeError):
        reader.frame(500)
    assert frame_number(reader.frame(3)) == 3
    reader.close()
