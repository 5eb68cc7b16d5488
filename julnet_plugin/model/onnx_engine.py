"""ONNX: export a generator, and run what was exported.

A generator becomes two files: NAME.onnx generates a frame, NAME.refs.onnx encodes the references of a shot, once, and
hears lips (`Generator.hear_lips`). Both carry the header of the weights they were made from.
"""

from __future__ import annotations

import copy
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn

from julnet_plugin.errors import CheckpointError, DeviceError, DeviceMemoryError, ModelError, ShapeError
from julnet_plugin.model.engine import Engine, Float32, parse_device
from julnet_plugin.model.generator import Generator
from julnet_plugin.model.info import CheckpointInfo
from julnet_plugin.model.lips import SHAPE_POINTS, LipBasis

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

OPSET = 17  #: GridSample is there since 16
_METADATA, _LIPS_METADATA = "julnet", "julnet_lips"
_WARNING, _FATAL = 2, 4  #: ONNX Runtime's severities; 2 is its default
_FULL = ("failed to allocate memory", "out of memory")  #: ONNX Runtime has no exception for it
_FRAME_INPUTS = ("masked_source", "mask", "audio")
_FRAME_OUTPUTS = ("image", "error", "log_sigma")
_HEARD = ("heard", "speech")  #: further outputs of the reference encoder of a network that hears lips


def references_path(path: Path) -> Path:
    """Where the reference encoder of an exported generator lies."""
    return path.with_suffix(".refs.onnx")


def export_onnx(network: Generator, info: CheckpointInfo, path: str | Path) -> tuple[Path, Path]:
    """Write a generator as ONNX.

    The batch is free, everything else fixed by the header's sizes.

    Args:
        network: stays as it is.
        info: the header of its weights; goes into both files.
        path: NAME.onnx.

    Returns:
        The two files.

    Raises:
        ModelError: the `onnx` package is not installed.
    """
    path = Path(path).with_suffix(".onnx")
    prepared = copy.deepcopy(network).cpu().eval().requires_grad_(requires_grad=False)
    prepared.prepare_for_inference("onnx", "float32")
    h, w = info.crop_size
    refs = torch.rand(2, info.n_refs, 3, h, w)
    shot = {"refs": refs}
    if prepared.uses_lips:
        shot["lips"] = torch.rand(2, info.n_refs + 2, len(SHAPE_POINTS), 3)
    encoded = prepared.encode_references(**shot)
    names = [f"ref_{index}" for index in range(len(encoded))]
    frame = (torch.rand(2, 3, h, w), torch.ones(2, 1, h, w), torch.rand(2, info.audio_window, info.audio_size))
    texts = {_METADATA: info.to_json()}
    _export(_Frame(prepared), (*frame, *encoded), [*_FRAME_INPUTS, *names], list(_FRAME_OUTPUTS), path, texts)
    encoder, outputs = _Encoder(prepared), names
    if prepared.hear_lips(frame[2]) is not None:
        encoder, outputs, shot["audio"] = _Hearing(prepared), [*names, *_HEARD], torch.rand(3, *frame[2].shape[1:])
    if network.lip_basis is not None:
        texts[_LIPS_METADATA] = network.lip_basis.to_json()
    _export(encoder, tuple(shot.values()), list(shot), outputs, references_path(path), texts)
    return path, references_path(path)


class _Encoder(nn.Module):
    """`encode_references` as a network of its own."""

    def __init__(self, network: Generator) -> None:
        super().__init__()
        self.network = network

    def forward(self, refs: Tensor, lips: Tensor | None = None) -> tuple[Tensor, ...]:
        return self.network.encode_references(refs, lips)


class _Hearing(_Encoder):
    """The same with `hear_lips`, of other sound than the frames': how many moments there are is free."""

    def forward(self, refs: Tensor, lips: Tensor, audio: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        return (*self.network.encode_references(refs, lips), *(self.network.hear_lips(audio) or ()))


class _Frame(nn.Module):
    """`forward` with the references as plain arguments."""

    def __init__(self, network: Generator) -> None:
        super().__init__()
        self.network = network

    def forward(self, masked_source: Tensor, mask: Tensor, audio: Tensor, *refs: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.network(masked_source, mask, audio, refs))


def _export(
    network: nn.Module,
    example: tuple[Tensor, ...],
    inputs: list[str],
    outputs: list[str],
    path: Path,
    texts: Mapping[str, str],
) -> None:
    try:
        import onnx
    except ImportError as exc:
        msg = "writing ONNX needs the `onnx` package, which is not installed; install julnet[train]"
        raise ModelError(msg) from exc
    part = path.with_name(f".{path.name}.part")
    moments = ("audio", *_HEARD) if _HEARD[0] in outputs else ()
    try:
        with warnings.catch_warnings(), torch.inference_mode():
            # The exporter by tracing is deprecated, but the new one needs one package more; and tracing warns of every
            # size that becomes a constant, which is what we want of all but the batch. The tests compare the results.
            warnings.simplefilter("ignore")
            torch.onnx.export(
                network.eval(),
                example,
                part,
                dynamo=False,
                opset_version=OPSET,
                input_names=inputs,
                output_names=outputs,
                dynamic_axes={name: {0: "moments" if name in moments else "batch"} for name in (*inputs, *outputs)},
            )
        model = onnx.load(part)
        onnx.helper.set_model_props(model, dict(texts))
        onnx.checker.check_model(model)
        onnx.save(model, part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


class OnnxEngine(Engine):
    """Runs what `export_onnx` wrote, with ONNX Runtime: on CUDA when it can, else on the CPU, in float32.

    Args:
        path: NAME.onnx, with NAME.refs.onnx beside it.
        device: "auto", "cpu", "cuda" or "cuda:N".
        batch: frames at once, or None for what suits the device.

    Raises:
        CheckpointError: a file is missing, damaged, or not of `export_onnx`.
        DeviceError: CUDA was asked for and ONNX Runtime has none.
    """

    precision = "float32"

    def __init__(self, path: Path, device: str = "auto", batch: int | None = None) -> None:
        providers = _providers(device)
        self._frame, self.info, _ = _open(path, providers)
        self._encoder, info, self.lip_basis = _open(references_path(path), providers)
        if info != self.info:
            msg = f"{path} and {references_path(path)} were not exported together; export both again"
            raise CheckpointError(msg, path)
        self.crop_sizes = (info.crop_size,)  # an exported network's sizes are constants
        on_cuda = self._frame.get_providers()[0] == "CUDAExecutionProvider"
        if device.startswith("cuda") and not on_cuda:
            msg = f"the device {device!r} was asked for and ONNX Runtime cannot use it; use --device cpu or auto"
            raise DeviceError(msg, device)
        self.device = (device if device.startswith("cuda") else "cuda") if on_cuda else "cpu"
        self.batch = (8 if on_cuda else 1) if batch is None else batch
        self._refs: dict[str, Float32] = {}

    def hear_lips(self, audio: Float32) -> tuple[Float32, Float32] | None:
        """See `Engine.hear_lips`; None from a file of a JULNet that is older than habits."""
        super().hear_lips(audio)
        if _HEARD[0] not in {output.name for output in self._encoder.get_outputs()}:
            return None
        h, w = self.info.crop_size
        anybody = {
            "refs": np.zeros((1, self.info.n_refs, 3, h, w), np.float32),
            "lips": np.zeros((1, self.info.n_refs + 2, len(SHAPE_POINTS), 3), np.float32),
        }
        lips, speech = self._run(self._encoder, list(_HEARD), {**anybody, "audio": audio})
        return lips, speech[:, 0]

    def _encode(self, refs: Float32, lips: Float32 | None) -> None:
        names = [output.name for output in self._encoder.get_outputs() if output.name not in _HEARD]
        inputs = {"refs": _channels_first(refs)[None]}
        wanted = {given.name: given.shape for given in self._encoder.get_inputs()}
        if "lips" in wanted:
            if lips is None:
                msg = f"{self.info.architecture} exported to ONNX needs the lips of its references"
                raise ShapeError(msg, None, (self.info.n_refs + 1, len(SHAPE_POINTS), 3))
            inputs["lips"] = lips[None, : wanted["lips"][1]]  # a file of an older JULNet knows of no habit
        if "audio" in wanted:
            inputs["audio"] = np.zeros((1, self.info.audio_window, self.info.audio_size), np.float32)
        encoded = self._run(self._encoder, names, inputs)
        self._refs = {name: np.repeat(ref, self.batch, axis=0) for name, ref in zip(names, encoded, strict=True)}

    def _generate(self, masked: Float32, mask: Float32, audio: Float32) -> tuple[Float32, Float32, Float32]:
        inputs = {"masked_source": _channels_first(masked), "mask": mask[:, None], "audio": audio, **self._refs}
        image, error, log_sigma = self._run(self._frame, list(_FRAME_OUTPUTS), inputs)
        return image.transpose(0, 2, 3, 1), error[:, 0], log_sigma[:, 0]

    def _run(self, session: Any, outputs: list[str], inputs: dict[str, Float32]) -> Sequence[Float32]:
        try:
            return session.run(outputs, inputs)  # type: ignore[no-any-return]
        except RuntimeError as exc:  # ONNX Runtime's exceptions derive from it
            text = str(exc).splitlines()[0]
            full = any(sign in text.lower() for sign in _FULL)
            msg = f"ONNX Runtime failed on {self.device}: {text}"
            raise (DeviceMemoryError if full else DeviceError)(msg, self.device) from exc


def _channels_first(pictures: Float32) -> Float32:
    return np.ascontiguousarray(pictures.transpose(0, 3, 1, 2))


def _providers(device: str) -> list[Any]:
    """Execution providers in order of preference."""
    kind, index = parse_device(device)
    there = onnxruntime.get_available_providers()
    cuda = (
        [("CUDAExecutionProvider", {"device_id": index})] if kind != "cpu" and "CUDAExecutionProvider" in there else []
    )
    return [*cuda, "CPUExecutionProvider"]


def _open(path: Path, providers: list[Any]) -> tuple[Any, CheckpointInfo, LipBasis | None]:
    """A session, the header that the file carries, and the lip shapes that its network was taught."""
    if not path.is_file():
        msg = f"{path} is missing; an exported model is two files, NAME.onnx and NAME.refs.onnx, kept together"
        raise CheckpointError(msg, path)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _FATAL  # what goes wrong is raised as well
    onnxruntime.set_default_logger_severity(_FATAL)
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=providers)
        texts = session.get_modelmeta().custom_metadata_map
    except Exception as exc:
        if not type(exc).__module__.startswith("onnxruntime"):
            raise
        msg = f"{path} is damaged or not an ONNX model: {str(exc).splitlines()[0]}"
        raise CheckpointError(msg, path) from exc
    finally:
        onnxruntime.set_default_logger_severity(_WARNING)
    if _METADATA not in texts:
        msg = f"{path} is not an exported JULNet model: it carries no header; make it with `julnet export`"
        raise CheckpointError(msg, path)
    try:
        basis = LipBasis.from_json(texts[_LIPS_METADATA]) if _LIPS_METADATA in texts else None
        return session, CheckpointInfo.from_json(texts[_METADATA]), basis
    except ValueError as exc:
        msg = f"{path} cannot be used: {exc}"
        raise CheckpointError(msg, path) from exc
