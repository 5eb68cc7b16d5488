from __future__ import annotations

from collections.abc import Iterable, Iterator

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from julnet_plugin.face.shots import difference, split_shots, thumbnail

Picture = NDArray[np.uint8]


def scene(seed: int, height: int = 90, width: int = 160) -> Picture:
    """A picture of large soft shapes."""
    noise = np.random.default_rng(seed).uniform(0, 255, (9, 16, 3)).astype(np.float32)
    return np.clip(cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC), 0, 255).astype(np.uint8)


def wobble(picture: Picture, frame: int) -> Picture:
    """Noise and a hand-held camera: no two frames are the same."""
    rng = np.random.default_rng(frame)
    move = np.array([[1, 0, 2.5 * np.sin(frame / 4)], [0, 1, 1.5 * np.sin(frame / 5)]])
    size = picture.shape[1], picture.shape[0]
    moved = cv2.warpAffine(picture, move, size, borderMode=cv2.BORDER_REFLECT)
    return np.clip(moved + rng.normal(0, 3, picture.shape), 0, 255).astype(np.uint8)


def cuts(pictures: Iterable[Picture]) -> list[int]:
    return [index for index, _, starts in split_shots(enumerate(pictures)) if starts]


def test_hard_cuts_start_shots_exactly_where_they_are() -> None:
    lengths = (17, 9, 30, 5)
    pictures = [wobble(scene(k), i) for k, length in enumerate(lengths) for i in range(length)]
    assert cuts(pictures) == [0, 17, 26, 56]


def test_pictures_come_out_as_they_went_in() -> None:
    pictures = [wobble(scene(i // 10), i) for i in range(25)]
    out = list(split_shots(enumerate(pictures, start=1000)))
    assert [index for index, _, _ in out] == list(range(1000, 1025))
    assert all(a is b for a, (_, b, _) in zip(pictures, out, strict=True))


def test_a_cut_just_before_the_end_is_found() -> None:
    assert cuts([wobble(scene(i // 20), i) for i in range(21)]) == [0, 20]


@pytest.mark.parametrize("length", [1, 2, 3])
def test_a_flash_is_no_cut(length: int) -> None:
    pictures = [wobble(scene(0), i) for i in range(30)]
    for i in range(12, 12 + length):
        pictures[i] = np.clip(pictures[i] * 1.4 + 110.0, 0, 255).astype(np.uint8)
    assert cuts(pictures) == [0]


def test_a_lamp_switched_on_is_no_cut() -> None:
    pictures = [(wobble(scene(0), i) * (0.5 if i < 15 else 0.95)).astype(np.uint8) for i in range(30)]
    assert cuts(pictures) == [0]


def test_a_fast_pan_is_no_cut() -> None:
    wide = scene(3, 90, 1600)
    start = [0] * 12 + [28 * i for i in range(1, 31)] + [840] * 12
    assert cuts([wide[:, x : x + 160] for x in start]) == [0]


@pytest.mark.parametrize("bump", [(3, 0), (9, 5), (0, -12)])
def test_a_bump_into_the_camera_is_no_cut(bump: tuple[int, int]) -> None:
    wide = scene(5, 120, 200)
    offsets = [(20, 15)] * 12 + [(20 + bump[0], 15 + bump[1])] * 12
    assert cuts([wide[y : y + 90, x : x + 160] for x, y in offsets]) == [0]


def test_a_slow_zoom_is_no_cut(portrait: Picture) -> None:
    def zoomed(i: int) -> Picture:
        side = 512 - 4 * i
        return cv2.resize(portrait[i : i + side, i : i + side], (160, 160), interpolation=cv2.INTER_AREA)

    assert cuts([zoomed(i) for i in range(50)]) == [0]


def test_a_cut_between_two_framings_of_one_person_is_found(portrait: Picture) -> None:
    near = cv2.resize(portrait[30:230, 130:330], (200, 200))
    far = cv2.resize(portrait, (200, 200))
    assert cuts([wobble(near if i < 14 else far, i) for i in range(30)]) == [0, 14]


def test_a_title_that_appears_is_no_cut(portrait: Picture) -> None:
    pictures = [portrait.copy() for _ in range(20)]
    for picture in pictures[9:]:
        cv2.putText(picture, "LIVE FROM ORBIT", (120, 470), cv2.FONT_HERSHEY_DUPLEX, 1.0, (255, 255, 255), 2)
    assert cuts(pictures) == [0]


def test_somebody_who_pops_up_is_no_cut() -> None:
    pictures = [wobble(scene(0), i) for i in range(24)]
    for picture in pictures[12:]:
        cv2.circle(picture, (120, 50), 24, (240, 10, 10), -1)
    assert cuts(pictures) == [0]


def test_at_most_three_pictures_are_held_back() -> None:
    taken = 0

    def source() -> Iterator[tuple[int, Picture]]:
        nonlocal taken
        for i in range(40):
            taken = i + 1
            yield i, wobble(scene(i // 20), i)

    ahead = [taken - index - 1 for index, _, _ in split_shots(source())]
    assert max(ahead) == 3
    assert ahead.count(0) > 30


def test_brightness_alone_makes_no_difference() -> None:
    a = thumbnail(scene(0))
    assert difference(a, a * 0.7 + 12) < 0.1 < difference(a, thumbnail(scene(1)))


def test_an_empty_clip_has_no_shots() -> None:
    assert cuts([]) == []
