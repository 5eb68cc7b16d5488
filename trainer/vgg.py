"""VGG networks up to the layers that a loss or a distance taps, from whatever weights the user has.

Two conventions exist for the same architecture, and a file of one must never be fed the input of the other:
torchvision's `(rgb − mean) / std` on [0, 1], and the original Caffe `255 · rgb − mean`. A file says which it
is: by torchvision's key names, or by the `input` entry of its safetensors header.
"""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - its usual name

from julnet_plugin.errors import CheckpointError

#: Convolutions in each of the five stages.
STAGES = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
CAFFE_INPUT = "255*rgb - [123.68,116.779,103.939]"
CAFFE_MEAN = (123.68, 116.779, 103.939)
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
#: One unit of torchvision's input in units of Caffe's. VGG is homogeneous up to its biases, so dividing the
#: features of a Caffe-type file by it puts both kinds on one scale and the loss weights keep their meaning.
CAFFE_UNIT = 255.0 * 0.225


def conv_names(architecture: str) -> list[str]:
    """`conv1_1` … `conv5_n`, in order."""
    stages = STAGES[architecture]
    return [f"conv{s}_{c}" for s, count in enumerate(stages, 1) for c in range(1, count + 1)]


def torchvision_keys(architecture: str) -> dict[str, str]:
    """`conv1_1` -> `features.0` …: a ReLU follows each convolution, a pool each stage."""
    keys, position = {}, 0
    for stage, count in enumerate(STAGES[architecture], 1):
        for conv in range(1, count + 1):
            keys[f"conv{stage}_{conv}"] = f"features.{position}"
            position += 2
        position += 1
    return keys


class VggTaps(nn.Module):
    """A frozen VGG that returns its activations at `taps` ("relu1_1" …) and computes nothing beyond the last.

    Shape:
        input: (B, 3, h, w) RGB in [0, 1].
        output: one (B, C, h / 2^s, w / 2^s) a tap, on torchvision's scale whichever file the weights came
            from.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, weights: dict[str, Tensor], taps: tuple[str, ...], architecture: str, caffe: bool) -> None:
        super().__init__()
        self.taps = taps
        self.architecture = architecture
        names = conv_names(architecture)
        needed = names[: 1 + max(names.index(tap.replace("relu", "conv")) for tap in taps)]
        self.convs = nn.ModuleDict({name: _convolution(weights, name) for name in needed})
        mean, std = (CAFFE_MEAN, (1.0, 1.0, 1.0)) if caffe else (IMAGENET_MEAN, IMAGENET_STD)
        unit = 255.0 if caffe else 1.0
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1) / unit)
        self.register_buffer("scale", unit / torch.tensor(std).view(1, 3, 1, 1))
        self.gain = 1.0 / CAFFE_UNIT if caffe else 1.0
        self.requires_grad_(False).eval()

    @property
    def name(self) -> str:
        """What a report calls it: the architecture and its taps, a partial network's fewer ones."""
        return f"{self.architecture}[{','.join(self.taps)}]"

    def forward(self, picture: Tensor) -> list[Tensor]:
        """Activations at the taps, shallow first."""
        x = (picture - self.mean) * self.scale
        found = []
        for name, conv in self.convs.items():
            if name.endswith("_1") and name != "conv1_1":
                x = F.max_pool2d(x, 2)
            x = F.relu(conv(x))
            if name.replace("conv", "relu") in self.taps:
                found.append(x * self.gain)
        return found


def load_vgg(path: Path, wanted: tuple[str, ...], architecture: str = "vgg19") -> VggTaps:
    """Read weights and keep those of the `wanted` taps that the file is deep enough for.

    Args:
        path: torchvision's `.pth`, or safetensors with torchvision's keys, or safetensors with
            `conv1_1.weight` … keys and an `input` entry in its header.
        wanted: taps, shallow first.
        architecture: "vgg16" or "vgg19".

    Raises:
        CheckpointError: not a file of this architecture, or it does not say what input it expects.
    """
    weights, metadata = read_weights(path)
    keys = torchvision_keys(architecture)
    if any(k.startswith("features.") for k in weights):
        caffe = False
        weights = {
            f"{name}.{kind}": weights[f"{key}.{kind}"]
            for name, key in keys.items()
            for kind in ("weight", "bias")
            if f"{key}.{kind}" in weights
        }
    elif metadata.get("input", "").replace(" ", "") == CAFFE_INPUT.replace(" ", ""):
        caffe = True
    else:
        msg = (
            f"{path} has neither torchvision's layer names nor a header entry input = '{CAFFE_INPUT}', so its input "
            f"convention is unknown; give torchvision's {architecture} file"
        )
        raise CheckpointError(msg, path)
    deep = list(itertools.takewhile(lambda n: f"{n}.weight" in weights, conv_names(architecture)))
    taps = tuple(tap for tap in wanted if tap.replace("relu", "conv") in deep)
    if not taps:
        msg = f"{path} holds {len(deep)} layers of {architecture} and none of {', '.join(wanted)}"
        raise CheckpointError(msg, path)
    try:
        return VggTaps(weights, taps, architecture, caffe)
    except (RuntimeError, KeyError) as exc:
        msg = f"{path} does not hold {architecture}: {exc}"
        raise CheckpointError(msg, path) from exc


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and header of a safetensors file, or the tensors of a `.pth`, read without running its code."""
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                return {k: file.get_tensor(k) for k in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
        loaded: Any = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as exc:
        msg = f"there is no weights file {path}"
        raise CheckpointError(msg, path) from exc
    except (SafetensorError, RuntimeError, EOFError, ValueError, OSError, pickle_error()) as exc:
        msg = f"{path} is not a readable weights file; give safetensors, or torchvision's own .pth"
        raise CheckpointError(msg, path) from exc
    if not isinstance(loaded, dict) or not all(isinstance(v, Tensor) for v in loaded.values()):
        msg = f"{path} is not a table of weights"
        raise CheckpointError(msg, path)
    return loaded, {}


def pickle_error() -> type[Exception]:
    """What `torch.load(weights_only=True)` raises for a file that holds more than tensors."""
    from pickle import UnpicklingError

    return UnpicklingError


def find_weights(given: str | Path | None, variable: str, cached: str) -> Path | None:
    """The weights file to use: the given one, else the one an environment variable names, else torch's cache.

    Args:
        given: a path, or None.
        variable: e.g. "JULNET_VGG19".
        cached: pattern in torch's checkpoint cache, e.g. "vgg19-*.pth".

    Returns:
        The path, or None where there is none. A path that was named but does not exist is returned as it is:
        loading it says so, instead of quietly taking another.
    """
    if given is not None:
        return Path(given)
    if os.environ.get(variable):
        return Path(os.environ[variable])
    return next(iter(sorted(Path(torch.hub.get_dir(), "checkpoints").glob(cached))), None)


def _convolution(weights: dict[str, Tensor], name: str) -> nn.Conv2d:
    kernel = weights[f"{name}.weight"].float()
    after, before = kernel.shape[:2]
    conv = nn.Conv2d(before, after, 3, padding=1)
    conv.load_state_dict({"weight": kernel, "bias": weights[f"{name}.bias"].float()})
    return conv
