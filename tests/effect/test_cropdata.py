"""What the model said, kept with the take."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from julnet_plugin.errors import TakeError
from julnet_plugin.pipeline.cropdata import ChunkBuilder, CropChunk, read_arrays, write_arrays

BOX = (4, 12, 2, 14)
SIZE = (26, 20)


def drawn(*, deep: bool = False) -> tuple[CropChunk, list[NDArray[np.float32]]]:
    rng = np.random.default_rng(1)
    images = [rng.random((*SIZE, 3), np.float32) for _ in range(2)]
    maps = [rng.random(SIZE, np.float32) for _ in range(2)]
    builder = ChunkBuilder([5, 9], BOX, SIZE, deep=deep)
    for image, values in zip(images, maps, strict=True):
        builder.add(image, values, values)
    return builder.finish(), images


@pytest.mark.parametrize("deep", [False, True])
def test_what_is_read_back_is_what_was_composited(tmp_path: Path, deep: bool) -> None:
    chunk, images = drawn(deep=deep)
    chunk.save(tmp_path / "chunk.npz")
    again = CropChunk.load(tmp_path / "chunk.npz")
    assert np.array_equal(again.image_of(9), chunk.image_of(9))
    assert np.array_equal(again.sigma_of(5), chunk.sigma_of(5))
    step = 1 / 65535 if deep else 1 / 255
    inside = (slice(4, 12), slice(2, 14))
    assert np.abs(again.image_of(9) - images[1])[inside].max() <= 0.5 * step + 1e-6
    assert np.array_equal(again.image_of(9)[0], again.image_of(9)[4]), "the box's edge is repeated outwards"
    assert again.sigma_of(9)[0].max() == 0


def test_equal_chunks_give_equal_files(tmp_path: Path) -> None:
    drawn()[0].save(tmp_path / "a.npz")
    drawn()[0].save(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_frames_that_passed_through_are_not_in_a_chunk() -> None:
    chunk, _ = drawn()
    assert 5 in chunk
    assert 6 not in chunk
    with pytest.raises(KeyError):
        chunk.sigma_of(6)


def test_arrays_are_compressed(tmp_path: Path) -> None:
    write_arrays(tmp_path / "z.npz", {"zeros": np.zeros(100_000, np.float16)})
    assert (tmp_path / "z.npz").stat().st_size < 10_000


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 broken"])
def test_damaged_data_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "c.npz").write_bytes(content)
    with pytest.raises(TakeError, match="render it again"):
        read_arrays(tmp_path / "c.npz", ("x",))
