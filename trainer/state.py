"""The state of a training run on disk: safetensors and JSON only, so a run folder can be shared without trust."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from trainer.dataset import DatasetError

#: A network that learns beside the generator, and its optimiser, by name.
Companions = Mapping[str, tuple[nn.Module, torch.optim.Optimizer]]


class Ema:
    """Exponential moving average of a module's parameters and buffers."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.values = {k: v.detach().clone() for k, v in module.state_dict().items()}
        self.updates = 0

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Move towards the module; early on the average is short, so it does not remember the initial weights."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        for key, value in module.state_dict().items():
            if value.dtype.is_floating_point:
                self.values[key].lerp_(value, 1 - decay)
            else:
                self.values[key].copy_(value)


def save_state(
    path: Path,
    module: nn.Module,
    ema: Ema,
    optimiser: torch.optim.Optimizer,
    facts: dict[str, Any],
    companions: Companions | None = None,
    best: Mapping[str, Tensor] | None = None,
) -> None:
    """Write everything a run needs to go on, whole or not at all.

    Args:
        path: the file.
        module: the generator.
        ema: its average.
        optimiser: of the generator.
        facts: JSON-able; comes back from `load_state`.
        companions: e.g. a discriminator.
        best: weights that validated best so far.

    Raises:
        FloatingPointError: a weight is not finite; what was on disk stays.
    """
    tensors: dict[str, Tensor] = {f"model.{k}": v for k, v in module.state_dict().items()}
    for key, value in tensors.items():
        if value.is_floating_point() and not torch.isfinite(value).all():
            msg = f"{key.removeprefix('model.')} holds values that are not finite"
            raise FloatingPointError(msg)
    tensors |= {f"ema.{k}": v for k, v in ema.values.items()}
    tensors |= {f"best.{k}": v for k, v in (best or {}).items()}
    tensors |= _moments("optim", optimiser)
    for name, (network, its_optimiser) in (companions or {}).items():
        tensors |= {f"{name}.{k}": v for k, v in network.state_dict().items()}
        tensors |= _moments(f"{name}-optim", its_optimiser)
    partial = path.with_name(path.name + ".partial")
    save_file(
        {k: v.detach().cpu().contiguous() for k, v in tensors.items()},
        partial,
        metadata={"julnet_run": json.dumps({**facts, "ema_updates": ema.updates})},
    )
    partial.replace(path)


def load_state(
    path: Path,
    module: nn.Module,
    ema: Ema,
    optimiser: torch.optim.Optimizer,
    companions: Companions | None = None,
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Continue from `save_state`, to the bit.

    Returns:
        The facts that were saved, and the weights that validated best (empty where there were none).

    Raises:
        DatasetError: the file is damaged, or of another network.
    """
    parts, facts = _read(path)
    try:
        module.load_state_dict(parts["model"])
        _copy_into(ema.values, parts["ema"])
        ema.updates = int(facts.pop("ema_updates"))
        _restore(optimiser, parts["optim"])
        for name, (network, its_optimiser) in (companions or {}).items():
            network.load_state_dict(parts[name])
            _restore(its_optimiser, parts.get(f"{name}-optim", {}))
    except (RuntimeError, KeyError) as exc:
        msg = f"{path} belongs to another network; continue with the recipe that the run was started with"
        raise DatasetError(msg, path) from exc
    return facts, parts.get("best", {})


def read_average(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The facts and the averaged weights of a saved state: those that validated best, where some did."""
    parts, facts = _read(path)
    return facts, parts.get("best") or parts["ema"]


def _read(path: Path) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]]:
    parts: dict[str, dict[str, Tensor]] = {}
    try:
        with safe_open(path, framework="pt") as file:
            facts: dict[str, Any] = json.loads(file.metadata()["julnet_run"])
            for key in file.keys():  # noqa: SIM118 - not a dict
                part, name = key.split(".", 1)
                parts.setdefault(part, {})[name] = file.get_tensor(key)
    except (SafetensorError, KeyError, TypeError, ValueError) as exc:
        msg = f"{path} is not the state of a run, or it is damaged; start the run again in a new folder"
        raise DatasetError(msg, path) from exc
    return parts, facts


def _moments(name: str, optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    states = optimiser.state_dict()["state"]
    return {f"{name}.{index}.{k}": torch.as_tensor(v) for index, state in states.items() for k, v in state.items()}


def _restore(optimiser: torch.optim.Optimizer, moments: Mapping[str, Tensor]) -> None:
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    state = optimiser.state_dict()
    state["state"] = {}
    for key, value in moments.items():
        index, name = key.split(".", 1)
        like = parameters[int(index)]
        # The memory layout is the parameter's: another one would be summed in another order.
        laid = torch.empty_like(like).copy_(value) if value.shape == like.shape else value
        state["state"].setdefault(int(index), {})[name] = laid
    optimiser.load_state_dict(state)


def _copy_into(values: dict[str, Tensor], saved: Mapping[str, Tensor]) -> None:
    if values.keys() != saved.keys():
        raise KeyError(next(iter(values.keys() ^ saved.keys())))
    for key, value in values.items():
        value.copy_(saved[key])
