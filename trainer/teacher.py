"""What hears lips: the space of lip shapes, the encoder that goes from sound to it, and their way into a network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from julnet_plugin.errors import CheckpointError, SettingsError
from julnet_plugin.model.checkpoint import find_model, load_checkpoint
from julnet_plugin.model.lips import LipBasis, LipEncoder, LipEncoders, new_lip_encoder
from trainer.dataset import DatasetError
from trainer.lipflow import flow_basis, mean_lips
from trainer.lipshape import Ear, fit_lip_basis, train_lip_encoder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from julnet_plugin.interfaces import GeneratorFactory
    from julnet_plugin.types import ProgressFn
    from trainer.config import LipTraining
    from trainer.dataset import Clip

_BUFFERS = ("lip_components", "lip_spread", "lip_flow", "lip_mean")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LipTeacher:
    """A basis of lip shapes and what hears them.

    Shape:
        mean: (48, 3) the average closed mouth in face units.
    """

    basis: LipBasis
    encoder: Ear
    mean: NDArray[np.float32]
    features: str  #: audio features that the encoder was taught with

    @classmethod
    def taught(
        cls,
        clips: Sequence[Clip],
        extra: Sequence[Clip],
        settings: LipTraining,
        basis: LipBasis | None = None,
        progress: ProgressFn | None = None,
        ears: int = 1,
    ) -> LipTeacher:
        """Fit a basis on clips, and an encoder on them and on `extra`; `ears` as in `train_lip_encoder`.

        Raises:
            DatasetError: no clips, or clips of several kinds of audio features.
        """
        features = {clip.header.features for clip in (*clips, *extra)}
        if len(features) > 1:
            msg = f"the clips were prepared with several audio features ({', '.join(sorted(features))}); prepare anew"
            raise DatasetError(msg)
        if not clips:
            msg = "no clip is left to learn lip shapes from; add footage"
            raise DatasetError(msg)
        basis = basis or fit_lip_basis(clips, settings.codes)
        weights = [1.0] * len(clips) + [settings.extra_weight] * len(extra)
        encoder = train_lip_encoder([*clips, *extra], basis, settings, weights=weights, progress=progress, ears=ears)
        return cls(basis=basis, encoder=encoder, mean=mean_lips(clips), features=features.pop())

    @classmethod
    def of_network(cls, network: nn.Module, features: str) -> LipTeacher:
        """The teacher that a trained network carries.

        Raises:
            ValueError: it has none.
        """
        encoder = getattr(network, "audio_encoder", None)
        if not isinstance(encoder, LipEncoder | LipEncoders) or not all(hasattr(network, name) for name in _BUFFERS):
            msg = "this network does not speak in lip shapes"
            raise ValueError(msg)
        arrays = {name: cast(Tensor, getattr(network, name)).detach().cpu().float().numpy() for name in _BUFFERS}
        basis = LipBasis(components=arrays["lip_components"], spread=arrays["lip_spread"])
        if not np.any(basis.components):
            msg = "this network was never taught lip shapes"
            raise ValueError(msg)
        return cls(basis=basis, encoder=encoder.eval(), mean=arrays["lip_mean"], features=features)

    @classmethod
    def of_model(
        cls, model: str | Path, generators: Callable[[str], GeneratorFactory] | None = None
    ) -> LipTeacher | None:
        """The teacher inside a shipped model or a weights file; None where there is no such model, or none inside."""
        try:
            info, network = load_checkpoint(find_model(model), generators)
            return cls.of_network(network, info.audio_feature)
        except (CheckpointError, ValueError):
            return None

    def install(self, network: nn.Module, *, ears_only: bool = False) -> None:
        """Give a network its audio branch and, unless it keeps its own, its lip shapes.

        Raises:
            SettingsError: the network was built for lip shapes of another size.
        """
        values: dict[str, NDArray[np.float32]] = (
            {}
            if ears_only
            else {
                "lip_components": self.basis.components,
                "lip_spread": self.basis.spread,
                "lip_flow": flow_basis(self.basis, self.mean),
                "lip_mean": self.mean,
            }
        )
        try:
            cast(nn.Module, network.audio_encoder).load_state_dict(self.encoder.state_dict())
            for name, value in values.items():
                cast(Tensor, getattr(network, name)).copy_(torch.from_numpy(value))
        except RuntimeError as exc:
            msg = (
                f"lip shapes of {len(self.basis.spread)} numbers do not fit the network; "
                "lips.codes must equal network.codes, and lips.width must be the network's"
            )
            raise SettingsError(msg, key="lips.codes") from exc

    def save(self, path: Path, key: str) -> None:
        """Write it, with a key that says what it was made from."""
        tensors = {f"encoder.{k}": v.contiguous() for k, v in self.encoder.state_dict().items()}
        arrays = {"components": self.basis.components, "spread": self.basis.spread, "mean": self.mean}
        tensors |= {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in arrays.items()}
        partial = path.with_name(f"{path.name}.partial")
        save_file(tensors, partial, metadata={"key": key, "features": self.features})
        partial.replace(path)

    @classmethod
    def load(cls, path: Path, key: str, settings: LipTraining) -> LipTeacher | None:
        """Read what `save` wrote; None where it is not there, damaged, or made from something else."""
        try:
            with safe_open(path, framework="pt") as file:
                known: dict[str, Any] = dict(file.metadata() or {})
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        except (OSError, SafetensorError):
            return None
        if known.get("key") != key:
            return None
        weights = {k.removeprefix("encoder."): v for k, v in tensors.items() if k.startswith("encoder.")}
        norms = [value for name, value in weights.items() if name.endswith("norm.weight")]  # one an ear
        encoder = new_lip_encoder(
            int(norms[0].numel()), settings.codes, settings.width, settings.dropout, ears=len(norms)
        )
        encoder.load_state_dict(weights)
        basis = LipBasis(components=tensors["components"].numpy(), spread=tensors["spread"].numpy())
        return cls(basis=basis, encoder=encoder.eval(), mean=tensors["mean"].numpy(), features=known["features"])
