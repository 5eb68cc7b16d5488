"""Engines run a generator on numpy pictures, on whatever device and in whatever precision is fast and exact enough.

An engine gives the same numbers for a frame whatever frames are beside it: batches have one fixed size, the last one is
filled up. So an interrupted render, resumed at another frame, continues with the same pixels.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils import convert_conv2d_weight_memory_format

from julnet_plugin.errors import CheckpointError, DeviceError, DeviceMemoryError, SettingsError, ShapeError
from julnet_plugin.model.checkpoint import find_model, load_checkpoint
from julnet_plugin.model.generator import Generator
from julnet_plugin.model.info import CheckpointInfo
from julnet_plugin.model.lips import SHAPE_POINTS, LipBasis

if TYPE_CHECKING:
    from julnet_plugin.interfaces import GeneratorFactory

Float32: TypeAlias = NDArray[np.float32]

_CUDA_BATCH = 8  #: frames at once on a GPU; on a CPU batches only cost cache


class EngineOutput(NamedTuple):
    """What the network made of T frames.

    Shape:
        image: (T, h, w, 3) RGB in [0, 1]; the masked source wherever the mask is 0, exactly.
        error: (T, h, w) predicted |error|, at most 1, 0 outside the mask.
        sigma: (T, h, w) σ, the Laplace scale of the error, uncalibrated, at most 1, 0 outside the mask.
    """

    image: Float32
    error: Float32
    sigma: Float32


class Engine(ABC):
    """A generator that is ready to run: `set_references` once a shot, then `run` as often as needed.

    Attributes:
        info: the header of its weights; `crop_size` is that of the crops in use.
        crop_sizes: (h, w) of all crops that it can draw; see `use_crops`.
        device: "cpu", "cuda:0" …
        precision: "float32" or "bfloat16".
        batch: frames at once.
        lip_basis: the lip shapes that the network was taught; None where it was taught none.
        setbacks: sentences on what it had to do without since it was made; see `EnduringEngine`.
    """

    info: CheckpointInfo
    crop_sizes: tuple[tuple[int, int], ...]
    device: str
    precision: str
    batch: int
    lip_basis: LipBasis | None = None
    setbacks: tuple[str, ...] = ()
    _references_set: bool = False

    def use_crops(self, size: tuple[int, int]) -> None:
        """Go on with crops of another size, (h, w); references must be set anew.

        Raises:
            ShapeError: not one of `crop_sizes`.
        """
        if size not in self.crop_sizes:
            msg = f"this network draws crops of {self.crop_sizes}, not of {size}"
            raise ShapeError(msg, size, self.crop_sizes)
        if size != self.info.crop_size:
            self.info = replace(self.info, crop_size=size)
            self._references_set = False

    def set_references(self, refs: Float32, lips: Float32 | None = None) -> None:
        """Encode the references of a shot; they hold until the next call.

        Args:
            refs: reference crops, most closed mouth first.
            lips: their lips, the shot's closed mouth, and perhaps the same as the person holds it in speech, in face
                units; see `Generator.encode_references`.

        Shape:
            refs: (N, h, w, 3) RGB in [0, 1].
            lips: (N + 1 or N + 2, 48, 3).

        Raises:
            ShapeError: another shape than the network was trained with.
            DeviceError: the device is out of memory.
        """
        _require("references", refs, (self.info.n_refs, *self.info.crop_size, 3))
        if lips is not None:
            if len(lips) == self.info.n_refs + 1:  # no habit is known: closed lips are held closed
                lips = np.concatenate([lips, lips[-1:]])
            _require("reference lips", lips, (self.info.n_refs + 2, len(SHAPE_POINTS), 3))
            lips = np.ascontiguousarray(lips, np.float32)
        self._encode(np.ascontiguousarray(refs, np.float32), lips)
        self._references_set = True

    def run(self, masked: Float32, mask: Float32, audio: Float32) -> EngineOutput:
        """Generate T frames with the references that were set last.

        Shape:
            masked: (T, h, w, 3) RGB in [0, 1], crop · (1 − mask).
            mask: (T, h, w), 1 where the network paints, 0 elsewhere.
            audio: (T, W, D) features around each frame's own time.

        Raises:
            ShapeError: another shape than the network was trained with.
            DeviceError: the device is out of memory.
            RuntimeError: no references were set.
        """
        if not self._references_set:
            msg = "set_references must be called before run"
            raise RuntimeError(msg)
        T, (h, w) = len(masked), self.info.crop_size
        _require("masked source", masked, (T, h, w, 3))
        _require("mask", mask, (T, h, w))
        _require("audio", audio, (T, self.info.audio_window, self.info.audio_size))
        output = EngineOutput(*(np.empty(shape, np.float32) for shape in ((T, h, w, 3), (T, h, w), (T, h, w))))
        for start in range(0, T, self.batch):
            stop = min(start + self.batch, T)
            frames = [min(index, T - 1) for index in range(start, start + self.batch)]  # the last one fills the batch
            inputs = (np.ascontiguousarray(x[frames], np.float32) for x in (masked, mask, audio))
            image, error, log_sigma = (y[: stop - start] for y in self._generate(*inputs))
            inside = mask[start:stop]
            output.image[start:stop] = image
            # no error of a picture in [0, 1] is larger than 1, whatever an untrained head says
            output.error[start:stop] = np.minimum(error, 1) * inside
            output.sigma[start:stop] = np.exp(np.minimum(log_sigma, 0)) * inside
        return output

    def hear_lips(self, audio: Float32) -> tuple[Float32, Float32] | None:
        """What the network hears of lips, whoever speaks.

        Returns:
            Lip shapes (T, K) and the share of speech (T,) in [0, 1] of sound (T, W, D); None where it cannot tell.
        """
        _require("audio", audio, (len(audio), self.info.audio_window, self.info.audio_size))
        return None

    def hear_silence(self, quiet: Float32) -> None:
        """Tell the network what silence sounds like, so that the mouth is closed there; see `Generator.hear_silence`.

        Args:
            quiet: (D,) the feature vector of silence.
        """
        _require("silence", quiet, (self.info.audio_size,))

    @abstractmethod
    def _encode(self, refs: Float32, lips: Float32 | None) -> None:
        """Keep what `_generate` needs of (N, h, w, 3) and (N + 2, 48, 3)."""

    @abstractmethod
    def _generate(self, masked: Float32, mask: Float32, audio: Float32) -> tuple[Float32, Float32, Float32]:
        """One batch: image (B, h, w, 3), error (B, h, w), log_sigma (B, h, w)."""


class TorchEngine(Engine):
    """Runs a generator with PyTorch.

    Args:
        network: stays as it is; the engine prepares a copy.
        info: the header of its weights.
        device: "auto", "cpu", "cuda" or "cuda:N".
        precision: "float32", "bfloat16", or None for what is fast on that device.
        batch: frames at once, or None for what suits that device.
    """

    def __init__(
        self,
        network: Generator,
        info: CheckpointInfo,
        device: str = "auto",
        precision: str | None = None,
        batch: int | None = None,
    ) -> None:
        self.info = info
        self.crop_sizes = (info.crop_size, *network.other_crops)
        self.lip_basis = network.lip_basis
        self._device = choose_device(device)
        self.device = str(self._device)
        self.precision = fast_precision(self._device) if precision is None else precision
        self.batch = (_CUDA_BATCH if self._device.type == "cuda" else 1) if batch is None else batch
        prepared = copy.deepcopy(network).eval().requires_grad_(requires_grad=False)
        prepared.prepare_for_inference(self._device.type, self.precision)
        with _device_errors(self.device):
            self._network = prepared.to(self._device)
        convert_conv2d_weight_memory_format(self._network, torch.channels_last)
        if self.precision == "bfloat16":
            _to_bfloat16(self._network)
        self._refs: tuple[Tensor, ...] = ()

    def hear_silence(self, quiet: Float32) -> None:
        """See `Engine.hear_silence`."""
        super().hear_silence(quiet)
        with self._running():
            window = torch.from_numpy(np.tile(quiet, (self.info.audio_window, 1)))
            self._network.hear_silence(window.to(self._device))

    def hear_lips(self, audio: Float32) -> tuple[Float32, Float32] | None:
        """See `Engine.hear_lips`."""
        super().hear_lips(audio)
        with self._running():
            heard = self._network.hear_lips(torch.from_numpy(np.ascontiguousarray(audio, np.float32)).to(self._device))
            if heard is None:
                return None
            lips, speech = (tensor.float().cpu().numpy() for tensor in heard)
        return lips, speech[:, 0]

    def _encode(self, refs: Float32, lips: Float32 | None) -> None:
        with self._running():
            shapes = None if lips is None else torch.from_numpy(lips)[None].to(self._device)
            encoded = self._network.encode_references(self._pictures(refs)[None], shapes)
            self._refs = tuple(_repeat(ref, self.batch) for ref in encoded)

    def _generate(self, masked: Float32, mask: Float32, audio: Float32) -> tuple[Float32, Float32, Float32]:
        with self._running():
            output = self._network(
                self._pictures(masked),
                torch.from_numpy(mask)[:, None].to(self._device),
                torch.from_numpy(audio).to(self._device),
                self._refs,
            )
            image, error, log_sigma = (tensor.float().cpu() for tensor in output)
        return image.permute(0, 2, 3, 1).numpy(), error[:, 0].numpy(), log_sigma[:, 0].numpy()

    def _pictures(self, pictures: Float32) -> Tensor:
        """(B, h, w, 3) to (B, 3, h, w), channels last in memory, which is how they came."""
        return torch.from_numpy(pictures).to(self._device).permute(0, 3, 1, 2)

    @contextmanager
    def _running(self) -> Iterator[None]:
        """No gradients, one choice of kernels whatever ran before, one precision."""
        half = torch.autocast(self._device.type, torch.bfloat16, enabled=self.precision == "bfloat16")
        fixed = torch.backends.cudnn.flags(benchmark=False, deterministic=True)
        with _device_errors(self.device), torch.inference_mode(), fixed, half:
            yield


def parse_device(name: str) -> tuple[str, int]:
    """A device's kind ("auto", "cpu" or "cuda") and index.

    Raises:
        SettingsError: not a device's name.
    """
    kind, colon, index = name.partition(":")
    if kind not in ("auto", "cpu", "cuda") or (colon and (kind != "cuda" or not index.isdecimal())):
        msg = f"unknown device {name!r}; give auto, cpu, cuda or cuda:NUMBER"
        raise SettingsError(msg, "device")
    return kind, int(index or 0)


def choose_device(name: str) -> torch.device:
    """The torch device that a user means.

    Raises:
        SettingsError: not a device's name.
        DeviceError: CUDA was asked for and is not there.
    """
    kind, index = parse_device(name)
    there = torch.cuda.device_count()
    if kind == "cuda" and index >= there:
        have = f"{there} CUDA device{'s' if there > 1 else ''}" if there else "no CUDA device"
        msg = f"the device {name!r} was asked for and PyTorch finds {have}; use --device cpu or auto"
        raise DeviceError(msg, name)
    return torch.device("cpu") if kind == "cpu" or not there else torch.device("cuda", index)


def fast_precision(device: torch.device) -> str:
    """The precision that a device is fast in, judged by what it says of itself: a measurement could differ tomorrow.

    bfloat16 needs hardware; emulated on an older CPU it is several times slower than float32.
    """
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.get_device_capability(device) >= (8, 0) else "float32"
    able = torch.cpu.get_capabilities()
    return "bfloat16" if able.get("avx512_bf16") or able.get("amx_bf16") else "float32"


def load_engine(
    model: str | Path,
    device: str = "auto",
    *,
    threads: int | None = None,
    generators: Callable[[str], GeneratorFactory] | None = None,
) -> Engine:
    """The engine for a model. On another device than the CPU it is an `EnduringEngine`.

    Args:
        model: a shipped configuration's name, a .safetensors file, or an .onnx file of `export_onnx`.
        device: "auto" (CUDA when there), "cpu", "cuda" or "cuda:N".
        threads: CPU threads of torch, for the whole process; None leaves them as they are.
        generators: finds an architecture by name; `Manager.generator` of a new manager unless said.

    Raises:
        CheckpointError: the weights file is unknown, damaged or of another kind.
        DeviceError: the device is not there.
        SettingsError: not a device's name.
    """
    path = find_model(model)
    if threads is not None:
        torch.set_num_threads(threads)
    build = _builder(path, generators)
    kind, _ = parse_device(device)
    if kind == "cpu":
        return build(device)
    from julnet_plugin.model.enduring import EnduringEngine

    return EnduringEngine(build, device)


def _builder(path: Path, generators: Callable[[str], GeneratorFactory] | None) -> Callable[[str], Engine]:
    """What makes the engine of a weights file on a device."""
    if path.suffix.lower() == ".onnx":
        from julnet_plugin.model.onnx_engine import OnnxEngine

        return lambda device: OnnxEngine(path, device)
    info, network = load_checkpoint(path, generators)
    if not isinstance(network, Generator):
        msg = f"{path} holds a {info.kind}, and a generator is needed; give a generator's weights"
        raise CheckpointError(msg, path)
    return lambda device: TorchEngine(network, info, device)


def _to_bfloat16(network: Generator) -> None:
    """Store the weights that autocast would convert anyway, in bfloat16, but for those that `keep_float32` names."""
    for name, module in network.named_modules():
        if (
            isinstance(module, (nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d, nn.Linear))
            and name not in network.keep_float32
        ):
            module.to(torch.bfloat16)


def _repeat(x: Tensor, batch: int) -> Tensor:
    return x.expand(batch, *x.shape[1:])


def _require(what: str, array: Float32, shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        msg = f"the {what} has shape {array.shape}, and the network needs {shape}"
        raise ShapeError(msg, array.shape, shape)


@contextmanager
def _device_errors(device: str) -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError as exc:
        msg = f"the device {device} has too little free memory for the network; close what uses it or use --device cpu"
        raise DeviceMemoryError(msg, device) from exc
    except torch.AcceleratorError as exc:
        msg = f"the device {device} failed: {str(exc).splitlines()[0]}; use --device cpu"
        raise DeviceError(msg, device) from exc
    except RuntimeError as exc:
        if "can't allocate memory" not in str(exc):  # the CPU's allocator has no exception of its own
            raise
        msg = "the machine has too little free memory for the network; close other programs, then repeat with --resume"
        raise DeviceMemoryError(msg, device) from exc
