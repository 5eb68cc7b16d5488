"""Other libraries' exceptions are ours by the time a caller sees them."""

from __future__ import annotations

import errno

import av
import pytest
import safetensors
import soundfile
import torch
from onnxruntime.capi import onnxruntime_pybind11_state as onnx_errors

from julnet_plugin.errors import (
    CheckpointError,
    DeviceError,
    InputError,
    JulnetError,
    MediaError,
    ModelError,
    SettingsError,
    TakeError,
)
from julnet_plugin.foreign import translated

AV_ERRORS = [
    value for value in vars(av.error).values() if isinstance(value, type) and issubclass(value, av.error.FFmpegError)
]
ONNX_ERRORS = [
    value for value in vars(onnx_errors).values() if isinstance(value, type) and issubclass(value, Exception)
]


@pytest.mark.parametrize("kind", AV_ERRORS, ids=lambda kind: kind.__name__)
def test_every_error_of_the_codec_library_is_the_user_s_media(kind: type[av.error.FFmpegError]) -> None:
    error = translated(kind(errno.EINVAL, "bad data", "clip.mov"))
    assert isinstance(error, MediaError)
    assert "clip.mov" in str(error)


@pytest.mark.parametrize("kind", ONNX_ERRORS, ids=lambda kind: kind.__name__)
def test_every_error_of_the_onnx_library_is_the_model_s(kind: type[Exception]) -> None:
    assert isinstance(translated(kind("shape mismatch")), ModelError)


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/out/dub.mov"), TakeError, "/out/dub.mov: the disk is full"),
        (av.error.OSError(errno.ENOSPC, "No space left", "/out/dub.mov"), TakeError, "the disk is full"),
        (PermissionError(errno.EACCES, "Permission denied", "/out"), TakeError, "change its permissions"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "x.wav"), TakeError, "No such file"),
        (OSError("something"), TakeError, "something"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid"), SettingsError, "UTF-8"),
        (soundfile.LibsndfileError(1), MediaError, "convert it to WAV"),
        (safetensors.SafetensorError("header too large"), CheckpointError, "damaged"),
        (
            safetensors.SafetensorError('Error: I/O error: No space left (os error 28) at path "/run/.tmp1"'),
            TakeError,
            "/run/.tmp1: the disk is full",
        ),
        (MemoryError(), ModelError, "out of memory"),
        (ImportError("libGL.so.1: cannot open shared object file"), ModelError, "julnet doctor"),
        (torch.OutOfMemoryError("CUDA out of memory"), DeviceError, "--device cpu"),
    ],
)
def test_known_errors_say_what_to_do(error: Exception, kind: type[JulnetError], words: str) -> None:
    ours = translated(error)
    assert type(ours) is kind
    assert words in str(ours)


def test_what_only_we_can_have_done_is_nobody_else_s_error() -> None:
    for error in (KeyError("x"), ValueError("x"), TypeError("x"), RuntimeError("x"), AssertionError()):
        assert translated(error) is None


def test_our_own_errors_stay_as_they_are() -> None:
    ours = InputError("as it is")
    assert translated(ours) is ours
