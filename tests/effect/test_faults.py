"""Storage that goes away, errs or dawdles, and clocks that jump, cost time and nothing else."""

from __future__ import annotations

import errno
import itertools
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from julnet_plugin.errors import InputError
from julnet_plugin.media import sequence_writer
from julnet_plugin.model.engine import TorchEngine
from julnet_plugin.outcome import sentence_of
from julnet_plugin.pipeline import workfolder
from julnet_plugin.types import ProgressFn, Take

Render = Callable[..., Take]
Contents = Callable[[Path], dict[str, str]]


@pytest.fixture(scope="module")
def frames(portrait: list[NDArray[np.uint8]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plate of six stills on a disk of its own."""
    folder = tmp_path_factory.mktemp("share") / "frames"
    folder.mkdir()
    for k, picture in enumerate(portrait[:6]):
        sequence_writer.write_picture(folder / f"p.{k:04d}.png", picture)
    return folder


@pytest.fixture(scope="module")
def short(render: Render, frames: Path) -> Render:
    """Renders that plate, in chunks of two."""
    settings = {"render.chunk_frames": 2, "render.threads": 1}
    return lambda folder, progress=None, **more: render(folder, progress, plate=frames, settings=settings, **more)


@pytest.fixture(scope="module")
def whole(short: Render, contents: Contents, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What nobody disturbed."""
    return contents(short(tmp_path_factory.mktemp("whole") / "take").path)


def at(stage: str, done: int, happen: Callable[[], object]) -> ProgressFn:
    """Progress at which something happens, once."""
    calls = itertools.count()

    def progress(now: str, count: int, total: int) -> None:
        if (now, count) == (stage, done) and next(calls) == 0:
            happen()

    return progress


def one_sentence(error: BaseException) -> str:
    said = sentence_of(error)
    assert "unexpected" not in said
    assert "\n" not in said
    return said


def test_a_plate_whose_storage_goes_away_is_taken_up_again_when_it_is_back(
    short: Render, frames: Path, whole: dict[str, str], contents: Contents, tmp_path: Path
) -> None:
    away = frames.with_name("away")
    with pytest.raises(InputError) as caught:
        short(tmp_path / "take", at("render", 2, lambda: frames.rename(away)))
    away.rename(frames)
    assert "p.0000.png cannot be read" in one_sentence(caught.value)
    assert not (tmp_path / "take").exists()
    assert contents(short(tmp_path / "take", resume=True).path) == whole


def test_an_output_whose_storage_goes_away_is_one_sentence_and_a_new_render_is_whole(
    short: Render, whole: dict[str, str], contents: Contents, tmp_path: Path
) -> None:
    out = tmp_path / "share"
    out.mkdir()
    with pytest.raises(InputError) as caught:
        short(out / "take", at("render", 2, lambda: shutil.rmtree(out)))
    one_sentence(caught.value)
    assert not (out / "take").exists()
    shutil.rmtree(out, ignore_errors=True)
    assert contents(short(out / "take").path) == whole


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE])
def test_storage_that_errs_keeps_the_work_and_resume_finishes_it(
    number: int,
    short: Render,
    whole: dict[str, str],
    contents: Contents,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    genuine, calls = sequence_writer.write_picture, itertools.count()

    def erring(path: Path, pixels: NDArray[Any]) -> None:
        if next(calls) == 4:
            raise OSError(number, os.strerror(number), str(path))
        genuine(path, pixels)

    with monkeypatch.context() as patched:
        patched.setattr(sequence_writer, "write_picture", erring)
        with pytest.raises(InputError) as caught:
            short(tmp_path / "take")
    assert "--resume" in one_sentence(caught.value)
    assert contents(short(tmp_path / "take", resume=True).path) == whole


def test_slow_storage_and_a_clock_that_jumps_change_nothing(
    short: Render, whole: dict[str, str], contents: Contents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine_flush, genuine_write, clock = workfolder.flush, sequence_writer.write_picture, time.time
    jumps = itertools.cycle([0.0, -4e8, 3.0, 9e8])

    def late(path: Path) -> None:
        time.sleep(0.05)
        genuine_flush(path)

    def slow(path: Path, pixels: NDArray[Any]) -> None:
        time.sleep(0.02)
        genuine_write(path, pixels)

    monkeypatch.setattr(workfolder, "flush", late)
    monkeypatch.setattr(sequence_writer, "write_picture", slow)
    monkeypatch.setattr(time, "time", lambda: clock() + next(jumps))
    assert contents(short(tmp_path / "take").path) == whole


def test_what_a_device_could_not_do_is_said_in_the_take(
    short: Render, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "the device cuda:0 ran out of memory: going on with one frame at once"
    monkeypatch.setattr(TorchEngine, "setbacks", (said,))
    assert said in short(tmp_path / "take", out_point="2").manifest["warnings"]
