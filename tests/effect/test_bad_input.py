"""Whatever is wrong with a request: one sentence, an error the user can mend, and nothing written or lost."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from julnet_plugin.errors import CheckpointError, InputError, MediaError, SettingsError, TakeError, TimeRangeError
from julnet_plugin.media import sequence_writer
from julnet_plugin.model.checkpoint import read_info, save_checkpoint
from julnet_plugin.model.info import CheckpointInfo
from julnet_plugin.types import Take

Render = Callable[..., Take]
Contents = Callable[[Path], dict[str, str]]


class Case(NamedTuple):
    """One mistake."""

    change: Callable[[Path, Path, Path, Path], dict[str, Any]]  #: (folder, plate, line, model) to request fields
    error: type[InputError]
    words: str


def written(folder: Path, name: str, data: bytes) -> Path:
    (folder / name).write_bytes(data)
    return folder / name


def truncated(folder: Path, plate: Path) -> Path:
    data = plate.read_bytes()
    return written(folder, "cut.mov", data[: len(data) // 2])


def folder_of(folder: Path) -> Path:
    (folder / "nothing").mkdir()
    return folder / "nothing"


def interlaced(folder: Path) -> Path:
    path = folder / "interlaced.mov"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("prores_ks", rate=25, options={"flags": "+ildct"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv422p10le"
        for k in range(4):
            frame = av.VideoFrame.from_ndarray(np.full((64, 96, 3), 40 * k, np.uint8), format="rgb24")
            container.mux(stream.encode(frame.reformat(format="yuv422p10le")))
        container.mux(stream.encode())
    return path


def flipped(folder: Path, model: Path) -> Path:
    data = bytearray(model.read_bytes())
    data[-100] ^= 0xFF
    return written(folder, "flipped.safetensors", bytes(data))


def other_architecture(folder: Path, model: Path) -> Path:
    info = read_info(model)
    module = torch.nn.Linear(2, 2)
    foreign = CheckpointInfo(
        kind="generator",
        architecture="dreamlips",
        config={},
        crop_size=info.crop_size,
        audio_feature=info.audio_feature,
        audio_size=info.audio_size,
        audio_window=info.audio_window,
        n_refs=5,
    )
    save_checkpoint(module, foreign, folder / "other.safetensors")
    return folder / "other.safetensors"


def pickled(folder: Path) -> Path:
    torch.save({"weights": torch.zeros(2)}, folder / "model.pth")
    return folder / "model.pth"


CASES = {
    "missing plate": Case(lambda f, p, d, m: {"plate": f / "gone.mov"}, MediaError, "gone.mov"),
    "empty folder": Case(lambda f, p, d, m: {"plate": folder_of(f)}, MediaError, "nothing"),
    "empty file": Case(lambda f, p, d, m: {"plate": written(f, "empty.mp4", b"")}, MediaError, "empty"),
    "text as mp4": Case(lambda f, p, d, m: {"plate": written(f, "t.mp4", b"dear diary " * 99)}, MediaError, "t.mp4"),
    "truncated": Case(lambda f, p, d, m: {"plate": truncated(f, p)}, MediaError, "cut.mov"),
    "audio-only plate": Case(lambda f, p, d, m: {"plate": d}, MediaError, "line.wav"),
    "video-only dub": Case(lambda f, p, d, m: {"dub": p}, MediaError, "no sound"),
    "missing dub": Case(lambda f, p, d, m: {"dub": f / "gone.wav"}, MediaError, "gone.wav"),
    "no such track": Case(lambda f, p, d, m: {"dub_track": 2}, MediaError, "track"),
    "interlaced": Case(lambda f, p, d, m: {"plate": interlaced(f)}, MediaError, "interlaced"),
    "zero-length range": Case(lambda f, p, d, m: {"in_point": "5", "out_point": "5"}, TimeRangeError, "empty"),
    "range outside": Case(
        lambda f, p, d, m: {"in_point": "10", "out_point": "99"}, TimeRangeError, "outside the plate"
    ),
    "offset beyond": Case(lambda f, p, d, m: {"dub_offset_s": 30.0}, TimeRangeError, "leaves nothing"),
    "bad timecode": Case(lambda f, p, d, m: {"in_point": "soon"}, TimeRangeError, "soon"),
    "unknown model": Case(lambda f, p, d, m: {"model": "rtt"}, CheckpointError, "rtt"),
    "damaged weights": Case(lambda f, p, d, m: {"model": str(flipped(f, m))}, CheckpointError, "damaged"),
    "other architecture": Case(
        lambda f, p, d, m: {"model": str(other_architecture(f, m))}, CheckpointError, "dreamlips"
    ),
    "pickle": Case(lambda f, p, d, m: {"model": str(pickled(f))}, CheckpointError, "pickle"),
    "unknown setting": Case(lambda f, p, d, m: {"settings": {"matte.gama": 2}}, SettingsError, "matte.gamma"),
    "unknown tracker": Case(lambda f, p, d, m: {"settings": {"face.tracker": "mediapip"}}, SettingsError, "mediapipe"),
    "unknown delivery": Case(lambda f, p, d, m: {"deliver": ("pgn",)}, SettingsError, "png"),
    "no delivery": Case(lambda f, p, d, m: {"deliver": ()}, SettingsError, "prores"),
    "unknown colour space": Case(lambda f, p, d, m: {"colour_space": "ACEScgg"}, SettingsError, "ACEScg"),
    "unknown device": Case(lambda f, p, d, m: {"device": "abacus"}, SettingsError, "abacus"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_mistake_is_one_sentence_and_writes_nothing(
    name: str, render: Render, tmp_path: Path, plate: Path, line: Path, tiny_model: Path
) -> None:
    inputs, outputs = tmp_path / "in", tmp_path / "out"
    inputs.mkdir()
    case = CASES[name]
    with pytest.raises(case.error, match=case.words) as caught:
        render(outputs / "deep" / "take", **case.change(inputs, plate, line, tiny_model))
    assert "\n" not in str(caught.value)
    assert not outputs.exists()


def test_an_output_below_a_file_is_refused(render: Render, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"precious")
    with pytest.raises(TakeError, match="choose another output"):
        render(tmp_path / "file" / "take")
    assert (tmp_path / "file").read_bytes() == b"precious"


def test_somebody_elses_folder_is_left_alone(render: Render, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.jpg").write_bytes(b"precious")
    with pytest.raises(TakeError, match="choose another output"):
        render(tmp_path / "photos")
    assert [path.name for path in tmp_path.rglob("*")] == ["photos", "one.jpg"]


def test_a_disk_that_cannot_hold_the_take_is_refused_before_any_work(
    render: Render, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 1000))
    with pytest.raises(TakeError, match="free some space"):
        render(tmp_path / "take")
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_up_keeps_the_work_and_resume_finishes_it(
    render: Render, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, contents: Contents
) -> None:
    written = 0
    genuine = sequence_writer.write_picture

    def full(path: Path, pixels: NDArray[Any]) -> None:
        nonlocal written
        written += 1
        if written > 30:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        genuine(path, pixels)

    monkeypatch.setattr(sequence_writer, "write_picture", full)
    with pytest.raises(InputError, match="disk is full"):
        render(tmp_path / "take")
    assert not (tmp_path / "take").exists()
    monkeypatch.setattr(sequence_writer, "write_picture", genuine)
    made = render(tmp_path / "take", resume=True)
    assert contents(made.path) == contents(render(tmp_path / "other").path)


def test_a_plate_that_breaks_off_in_the_middle_is_refused_and_leaves_nothing(
    render: Render, tmp_path: Path, portrait: list[NDArray[np.uint8]]
) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    for k, picture in enumerate(portrait[:8]):
        sequence_writer.write_picture(folder / f"p.{k:04d}.png", picture)
    (folder / "p.0005.png").write_bytes((folder / "p.0005.png").read_bytes()[:300])
    with pytest.raises(MediaError, match=r"p\.0005\.png"):
        render(tmp_path / "take", plate=folder)
    assert [path.name for path in tmp_path.iterdir()] == ["frames"]
