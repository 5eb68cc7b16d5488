"""One frame of a re-dub: what is asked for, and what is remembered."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from julnet_plugin import RedubRequest
from julnet_plugin.errors import InputError, MediaError
from julnet_plugin.manager import make_manager
from julnet_plugin.preview import BLOCK, ROUGH, THUMBNAIL, Previews, _inside, block_around, write_picture
from julnet_plugin.types import FrameRange

np = pytest.importorskip("numpy")


def test_near_frames_share_a_stretch_and_every_stretch_holds_its_frame() -> None:
    wanted = FrameRange(start=10, stop=400)
    blocks = {frame: block_around(frame, wanted, 500) for frame in range(10, 400)}
    for frame, block in blocks.items():
        assert frame in block
        assert wanted.start <= block.start < block.stop <= wanted.stop
        assert len(block) <= BLOCK
    assert len({(block.start, block.stop) for block in blocks.values()}) < 2 * 390 / BLOCK + 2
    assert blocks[200] == blocks[201]


def test_a_frame_outside_the_range_is_refused_in_one_sentence() -> None:
    with pytest.raises(InputError, match="frame 3 would not be re-dubbed: the range is 10 to 19"):
        block_around(3, FrameRange(start=10, stop=20), 30)


def test_references_outside_the_stretch_are_left_out() -> None:
    block = FrameRange(start=10, stop=20)
    assert _inside("auto", block) == "auto"
    assert _inside("3, 12,19,20", block) == "12,19"
    assert _inside("3,40", block) == "auto"


def test_what_was_made_is_made_once_and_little_is_kept(tmp_path: Path) -> None:
    previews = Previews(manager=None, folder=tmp_path / "kept")  # type: ignore[arg-type]
    made: list[int] = []
    for key in (1, 2, 1, 3, 4, 1, 2):
        assert previews._keep("kind", key, lambda key=key: made.append(key) or key) == key  # type: ignore[misc]
    assert made == [1, 2, 3, 4, 2]  # 2 was used longest ago when 4 came
    (tmp_path / "kept").mkdir()
    previews.close()
    assert not (tmp_path / "kept").exists()


def test_a_picture_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (6, 5, 3)).astype(np.uint8)
    write_picture(tmp_path / "frame.png", picture)
    cv2 = pytest.importorskip("cv2")
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "frame.png"))[..., ::-1], picture)
    with pytest.raises(MediaError, match="cannot write"):
        write_picture(tmp_path / "missing" / "frame.png", picture)


@pytest.fixture
def asked(tiny_model: Path, plate: Path, line: Path, tmp_path: Path) -> RedubRequest:
    settings = {"render.threads": 2}
    return RedubRequest(
        plate=plate, dub=line, take_dir=tmp_path / "never", model=str(tiny_model), device="cpu", settings=settings
    )


def test_frames_that_play_are_the_frames_that_are_asked_for_one_by_one(asked: RedubRequest, tmp_path: Path) -> None:
    previews = Previews(manager=make_manager(), folder=tmp_path / "previews")
    single = {n: previews.frame(asked, n, lambda *_: None) for n in (3, 4, 9, 5)}
    played = list(previews.frames(asked, FrameRange(start=2, stop=12), lambda *_: None))
    assert [preview.frame for preview in played] == list(range(2, 12))
    for n, preview in single.items():
        assert preview.redubbed
        np.testing.assert_array_equal(preview.picture, played[n - 2].picture)
    previews.close()


def test_a_rough_preview_looks_at_a_few_frames_and_gives_way_to_the_final_one(
    asked: RedubRequest, tmp_path: Path
) -> None:
    looked_at: list[int] = []

    def progress(stage: str, done: int, total: int) -> None:
        looked_at.append(total)

    previews = Previews(manager=make_manager(), folder=tmp_path / "previews")
    rough = previews.frame(asked, 7, progress, rough=True)
    assert (rough.rough, rough.redubbed, rough.frame) == (True, True, 7)
    assert set(looked_at) == {ROUGH}
    assert set(rough.references) <= set(range(5, 9))
    assert rough.thumbnails.shape == (len(rough.references), THUMBNAIL, THUMBNAIL, 3)
    final = previews.frame(asked, 7, progress)
    assert not final.rough
    assert rough.picture.shape == final.picture.shape
    known = previews.frame(asked, 7, progress, rough=True)  # the stretch was looked at: nothing to be rough about
    assert not known.rough
    np.testing.assert_array_equal(known.picture, final.picture)
    previews.close()


def test_a_preview_after_a_change_is_the_one_that_a_fresh_start_gives(asked: RedubRequest, tmp_path: Path) -> None:
    used = Previews(manager=make_manager(), folder=tmp_path / "used")
    changes: list[dict[str, Any]] = [{"refs": "2,5"}, {"dub_offset_s": 0.2}, {"refs": "auto"}]
    for change in changes:
        request = replace(asked, **change)
        fresh = Previews(manager=make_manager(), folder=tmp_path / "fresh")
        wanted = fresh.frame(request, 7, lambda *_: None)
        fresh.close()
        np.testing.assert_array_equal(used.frame(request, 7, lambda *_: None).picture, wanted.picture)
    assert not (tmp_path / "never").exists()
    used.close()


def test_a_scene_that_comes_back_draws_its_own_crops_whatever_was_asked_between(
    plate: Path, line: Path, sharp_model: Path, tmp_path: Path
) -> None:
    previews = Previews(manager=make_manager(), folder=tmp_path / "kept")
    request = RedubRequest(plate=plate, dub=line, take_dir=tmp_path / "take", model=str(sharp_model), device="cpu")
    try:
        before = previews.frame(request, 4, lambda *_: None)
        assert previews._latest is not None
        engine = previews._latest[1].job.engine
        assert engine.info.crop_size == (208, 160)
        engine.use_crops((416, 320))  # as a stretch does whose references then prove wrong
        np.testing.assert_array_equal(previews.frame(request, 4, lambda *_: None).picture, before.picture)
    finally:
        previews.close()
