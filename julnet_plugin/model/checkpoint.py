"""Weights files: safetensors, with everything a run must know in the header, and nothing that could execute.

The header's metadata holds two strings. `julnet` is a `CheckpointInfo` as JSON; `digest` covers that JSON and every
tensor, so that a damaged file is refused rather than run. Pickles are never opened, whatever they are called.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from julnet_plugin.errors import CheckpointError
from julnet_plugin.model.architectures import SYNCNET
from julnet_plugin.model.info import CheckpointInfo
from julnet_plugin.model.strict import values_of

if TYPE_CHECKING:
    from julnet_plugin.interfaces import GeneratorFactory

WEIGHTS = Path(__file__).parent / "weights"  #: shipped weights, one safetensors file a name
MAX_HEADER_BYTES = 4 << 20  #: a real header is tens of kilobytes
_DTYPES = ("F16", "BF16", "F32", "F64", "I64", "I32", "U8", "BOOL")
_PICKLE_SUFFIXES = (".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".bin")
_PICKLE_MAGIC = (b"PK\x03\x04", *(bytes((0x80, protocol)) for protocol in range(2, 6)))


def save_checkpoint(module: nn.Module, info: CheckpointInfo, path: str | Path, half: bool = True) -> None:
    """Write a network's weights; a finished file appears at once or not at all.

    Args:
        module: an untouched network (not one that `prepare_for_inference` folded).
        info: what the header says.
        path: where to; the folder must exist.
        half: store convolution and matrix weights in 16 bits. Vectors (biases, normalisation) stay in 32: they are
            small, and a running variance may underflow.

    Raises:
        ValueError: `info` describes another network than `module`, or a weight isn't finite.
        OSError: the file cannot be written.
    """
    path = Path(path)
    tensors = {name: _stored(name, tensor, half) for name, tensor in module.state_dict().items()}
    config = getattr(module, "config", None)
    if config is not None and values_of(config) != info.config:
        msg = f"the header's configuration {info.config} is not the network's {values_of(config)}"
        raise ValueError(msg)
    text = info.to_json()
    payload = save_tensors(tensors, {"julnet": text, "digest": _digest(text, tensors)})
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(payload)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def read_info(path: str | Path) -> CheckpointInfo:
    """What a weights file's header says, without reading a tensor.

    Raises:
        CheckpointError: see `load_checkpoint`.
    """
    path = Path(path)
    header, _ = _read_header(path)
    return _info_of(header, path)


def load_checkpoint(
    path: str | Path, generators: Callable[[str], GeneratorFactory] | None = None
) -> tuple[CheckpointInfo, nn.Module]:
    """Build the network that a weights file describes and load its weights.

    Args:
        path: a safetensors file of ours.
        generators: finds an architecture by name; `Manager.generator` of a new manager unless said.

    Returns:
        The header, and the network in eval mode, float32, on the CPU.

    Raises:
        CheckpointError: the file is missing, a pickle, damaged, of an unknown schema or architecture, or its tensors
            are not those of its architecture.
    """
    path = Path(path)
    header, size = _read_header(path)
    info = _info_of(header, path)
    # First without memory: a header may ask for anything, and the file says how large its tensors really are.
    outline = _build(info, path, generators, device="meta")
    _check_tensors(header, {name: tuple(t.shape) for name, t in outline.state_dict().items()}, size, path)
    tensors = _read_tensors(path)
    metadata = header["__metadata__"]
    assert isinstance(metadata, dict)
    if _digest(metadata["julnet"], tensors) != metadata.get("digest"):
        msg = f"{path} is damaged: its contents do not match the digest in its header; fetch it again"
        raise CheckpointError(msg, path)
    network = _build(info, path, generators, device="cpu")
    network.load_state_dict(tensors)
    return info, network.eval()


def find_model(name_or_path: str | Path) -> Path:
    """The weights file that a user means: a shipped configuration's name, or a file.

    Raises:
        CheckpointError: neither; the message lists what is shipped.
    """
    text = str(name_or_path)
    names = sorted(file.stem for file in WEIGHTS.glob("*.safetensors"))
    if text in names:
        return WEIGHTS / f"{text}.safetensors"
    path = Path(text)
    if _is(Path.is_file, path):
        return path
    have = f"shipped are {', '.join(names)}" if names else "none are shipped with this installation"
    if text == "paper":
        msg = f"there are no shipped weights for 'paper' ({have}); train them with `julnet train --recipe paper`"
    elif _is(Path.is_dir, path):
        msg = f"{path} is a folder, not a weights file; {have}"
    elif path.suffix or len(path.parts) > 1:
        msg = f"there is no weights file {path}; give an existing .safetensors or .onnx file or a name; {have}"
    else:
        msg = f"unknown model {text!r}; {have}; or give the path of a .safetensors or .onnx file"
    raise CheckpointError(msg, text)


def _is(test: Callable[[Path], bool], path: Path) -> bool:
    """`test(path)`, where a name that no file can have (too long, say) is a no."""
    try:
        return test(path)
    except OSError:
        return False


def _stored(name: str, tensor: Tensor, half: bool) -> Tensor:
    """A tensor as the file keeps it."""
    tensor = tensor.detach().to("cpu", copy=True).contiguous()
    if not tensor.is_floating_point():
        return tensor
    if not torch.isfinite(tensor).all():
        msg = f"{name} holds values that are not finite; the network has diverged"
        raise ValueError(msg)
    fits = tensor.numel() == 0 or tensor.abs().max() <= torch.finfo(torch.float16).max
    return tensor.half() if half and tensor.ndim >= 2 and fits else tensor.float()


def _digest(info: str, tensors: Mapping[str, Tensor]) -> str:
    """Hash of the header's JSON and every tensor's name, type, shape and bytes."""
    hasher = hashlib.blake2b(info.encode("utf-8", "surrogatepass"), digest_size=32)
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        hasher.update(f"\0{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode("utf-8", "surrogatepass"))
        hasher.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return hasher.hexdigest()


def _read_header(path: Path) -> tuple[dict[str, object], int]:
    """The header's JSON and how many bytes of tensors follow it."""
    if path.suffix.lower() in _PICKLE_SUFFIXES:
        msg = (
            f"{path} has a pickle's suffix, and pickles can run code, so none is ever opened; convert it to safetensors"
        )
        raise CheckpointError(msg, path)
    try:
        with path.open("rb") as file:
            total = os.fstat(file.fileno()).st_size
            start = file.read(8)
            _refuse_pickle(start, path)
            length = int.from_bytes(start, "little")
            if len(start) < 8 or not 2 <= length <= min(MAX_HEADER_BYTES, total - 8):
                msg = f"{path} is not a safetensors weights file, or it is cut short; fetch it again"
                raise CheckpointError(msg, path)
            text = file.read(length)
    except OSError as exc:
        msg = f"{path} cannot be read ({exc.strerror or exc}); give an existing weights file"
        raise CheckpointError(msg, path) from exc
    try:
        header = json.loads(text)
    except (ValueError, RecursionError) as exc:
        msg = f"{path} is damaged: its header is not JSON; fetch it again"
        raise CheckpointError(msg, path) from exc
    if not isinstance(header, dict):
        msg = f"{path} is damaged: its header is not a table; fetch it again"
        raise CheckpointError(msg, path)
    return header, total - 8 - length


def _refuse_pickle(start: bytes, path: Path) -> None:
    # A safetensors file starts with its header's length, and no header is as long as these read as a number.
    if any(start.startswith(magic) for magic in _PICKLE_MAGIC) and int.from_bytes(start, "little") > MAX_HEADER_BYTES:
        msg = f"{path} is a pickle, which can run code, so it is not opened; convert it to safetensors"
        raise CheckpointError(msg, path)


def _info_of(header: dict[str, object], path: Path) -> CheckpointInfo:
    metadata = header.get("__metadata__")
    text = metadata.get("julnet") if isinstance(metadata, dict) else None
    if not isinstance(text, str):
        msg = f"{path} holds weights, but not JULNet's: its header does not say what network they belong to"
        raise CheckpointError(msg, path)
    try:
        return CheckpointInfo.from_json(text)
    except ValueError as exc:
        msg = f"{path} cannot be used: {exc}"
        raise CheckpointError(msg, path) from exc


def _build(
    info: CheckpointInfo, path: Path, generators: Callable[[str], GeneratorFactory] | None, device: str
) -> nn.Module:
    """The network that a header describes, untrained. Leaves torch's random state as it was."""
    try:
        factory = _factory(info, generators)
        with torch.random.fork_rng(devices=[]), torch.device(device):
            network = factory.build(dict(info.config))
    except (CheckpointError, ValueError, TypeError, RuntimeError, OverflowError, MemoryError) as exc:
        reason = str(exc).splitlines()[0] if str(exc) else type(exc).__name__
        msg = f"{path} asks for a network that cannot be built: {reason}"
        raise CheckpointError(msg, path) from exc
    if not isinstance(network, nn.Module):
        msg = (
            f"{path} asks for {info.architecture!r}, whose plugin built a {type(network).__name__}, not a torch network"
        )
        raise CheckpointError(msg, path)
    return network


def _factory(info: CheckpointInfo, generators: Callable[[str], GeneratorFactory] | None) -> GeneratorFactory:
    if info.kind == "syncnet":
        return SYNCNET
    if generators is None:
        from julnet_plugin.manager import make_manager

        generators = make_manager().generator
    return generators(info.architecture)


def _check_tensors(header: dict[str, object], expected: Mapping[str, tuple[int, ...]], size: int, path: Path) -> None:
    """Compare the header's tensors with the network's before a byte of them is read."""
    entries = {name: entry for name, entry in header.items() if name != "__metadata__"}
    missing, foreign = sorted(expected.keys() - entries.keys()), sorted(entries.keys() - expected.keys())
    if missing or foreign:
        what = f"lacks {missing[0]!r}" if missing else f"holds an unknown {foreign[0]!r}"
        count = len(missing) + len(foreign)
        msg = f"{path} does not fit its architecture: it {what} ({count} tensors differ); use weights made for it"
        raise CheckpointError(msg, path)
    end = 0
    for name, entry in entries.items():
        if not isinstance(entry, dict) or entry.get("dtype") not in _DTYPES:
            msg = f"{path} is damaged: the header's entry for {name!r} is not a tensor's; fetch it again"
            raise CheckpointError(msg, path)
        if entry.get("shape") != list(expected[name]):
            msg = (
                f"{path} does not fit its architecture: {name!r} is {entry.get('shape')}, "
                f"needed {list(expected[name])}; use weights made for it"
            )
            raise CheckpointError(msg, path)
        offsets = entry.get("data_offsets")
        if isinstance(offsets, list) and len(offsets) == 2 and isinstance(offsets[1], int):
            end = max(end, offsets[1])
    if end > size:
        msg = f"{path} is cut short: {end} bytes of weights are announced and {size} are there; fetch it again"
        raise CheckpointError(msg, path)


def _read_tensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_tensors(path.read_bytes())
    except (SafetensorError, ValueError, TypeError, KeyError, RuntimeError) as exc:
        msg = f"{path} is damaged: {str(exc).splitlines()[0]}; fetch it again"
        raise CheckpointError(msg, path) from exc
    except OSError as exc:
        msg = f"{path} cannot be read ({exc.strerror or exc}); give an existing weights file"
        raise CheckpointError(msg, path) from exc
