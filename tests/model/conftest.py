"""Tiny networks whose weights and statistics are random but the same in every run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from julnet_plugin.model.generator import Generator, mouth_square
from julnet_plugin.model.info import CheckpointInfo, Kind
from julnet_plugin.model.paper import PaperConfig, PaperGenerator
from julnet_plugin.model.rt import RtGenerator
from julnet_plugin.model.syncnet import SyncNet, SyncNetConfig
from julnet_plugin.model.wav2lip import Wav2LipConfig, Wav2LipGenerator

AUDIO_SIZE = 7


@pytest.fixture(autouse=True)
def _one_thread_and_seed() -> Iterator[None]:
    """Tiny tensors are slower on many threads, and every test draws the same numbers."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(before)


def _awaken(network: nn.Module) -> None:
    """Give what starts at zero or one, as identity does, values that a mistake would show in."""
    for name, module in network.named_modules():
        if isinstance(module, (nn.Conv1d, nn.Conv2d)):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")  # torch's own choice lets signals die out
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2.0)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias)
        if name.startswith("parameter_encoder.") and isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.1)
        if name == "uncertainty.out" and isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, std=0.1)


@pytest.fixture(scope="session")
def make_generator() -> Callable[..., Generator]:
    """`make_generator("paper", **config)`: a tiny one in eval mode, awake."""

    def make(name: str, **config: object) -> Generator:
        torch.manual_seed(0)
        network: Generator
        if name == "paper":
            settings = {"width": 4, "audio_size": AUDIO_SIZE, "crop_size": (104, 80), "n_refs": 2, "deform_blocks": 2}
            network = PaperGenerator(PaperConfig(**{**settings, **config}))  # type: ignore[arg-type]
        else:
            settings = {"width": 4, "audio_size": AUDIO_SIZE, "crop_size": (64, 48), "audio_channels": 8}
            network = Wav2LipGenerator(Wav2LipConfig(**{**settings, **config}))  # type: ignore[arg-type]
        _awaken(network)
        return network.eval()

    return make


@pytest.fixture(scope="session")
def make_syncnet() -> Callable[..., SyncNet]:
    def make(**config: object) -> SyncNet:
        settings = {"width": 4, "audio_size": AUDIO_SIZE, "image_size": (32, 32), "embedding": 16}
        return SyncNet(SyncNetConfig(**{**settings, **config})).eval()  # type: ignore[arg-type]

    return make


@pytest.fixture(scope="session")
def describe() -> Callable[..., CheckpointInfo]:
    """The header of a network of ours."""

    def of(network: nn.Module, **known: object) -> CheckpointInfo:
        kind: Kind = "generator" if isinstance(network, Generator) else "syncnet"
        names = {PaperGenerator: "paper", RtGenerator: "rt", Wav2LipGenerator: "wav2lip", SyncNet: "syncnet"}
        architecture = names[type(network)]
        return CheckpointInfo.of(network, kind=kind, architecture=architecture, audio_feature="test", **known)

    return of


class Inputs(NamedTuple):
    """What a generator takes, for a batch of frames of one shot."""

    masked_source: Tensor
    mask: Tensor
    audio: Tensor
    refs: Tensor

    def double(self) -> Inputs:
        """In float64, where rounding does not hide a mistake."""
        return Inputs(*(x.double() for x in self))

    def arrays(self) -> tuple[NDArray[np.float32], ...]:
        """The same for an engine: masked, mask, audio, references."""
        masked, refs = self.masked_source.permute(0, 2, 3, 1), self.refs[0].permute(0, 2, 3, 1)
        return masked.numpy(), self.mask[:, 0].numpy(), self.audio.numpy(), refs.numpy()


@pytest.fixture(scope="session")
def make_inputs() -> Callable[..., Inputs]:
    """Random frames of one shot, masked in the lower half of the mouth square (of the crop, where it has none)."""

    def make(network: Generator, frames: int = 2) -> Inputs:
        torch.manual_seed(1)
        h, w = network.crop_size
        mask = torch.zeros(frames, 1, h, w)
        if isinstance(network, PaperGenerator):
            square = mouth_square(h, w)
            mask[
                ..., square.top + square.side // 2 : square.top + square.side, square.left + 3 : 9 * square.left - 2
            ] = 1
        else:
            mask[..., h // 2 : -4, 5:-5] = 1
        source = torch.rand(frames, 3, h, w) * (1 - mask)
        audio = torch.randn(frames, network.audio_window, network.audio_size)
        refs = torch.rand(1, network.n_refs, 3, h, w).expand(frames, -1, -1, -1, -1)
        return Inputs(source, mask, audio, refs)

    return make
