"""The state of a training run on disk: safetensors and JSON only, so a run folder can be shared without trust."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn


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
    path: Path, module: nn.Module, ema: Ema, optimiser: torch.optim.Optimizer, facts: dict[str, Any]
) -> None:
    """Write everything a run needs to go on, whole or not at all."""
    tensors: dict[str, Tensor] = {f"model.{k}": v for k, v in module.state_dict().items()}
    tensors |= {f"ema.{k}": v for k, v in ema.values.items()}
    for index, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optim.{index}.{k}": torch.as_tensor(v) for k, v in state.items()}
    partial = path.with_name(path.name + ".partial")
    save_file({k: v.contiguous() for k, v in tensors.items()}, partial,
              metadata={"julnet_run": json.dumps({**facts, "ema_updates": ema.updates})})  # fmt: skip
    partial.replace(path)


def load_state(path: Path, module: nn.Module, ema: Ema, optimiser: torch.optim.Optimizer) -> dict[str, Any]:
    """Continue from `save_state`; returns the facts that were saved with it."""
    parts: dict[str, dict[str, Tensor]] = {"model": {}, "ema": {}, "optim": {}}
    with safe_open(path, framework="pt") as file:
        facts: dict[str, Any] = json.loads(file.metadata()["julnet_run"])
        for key in file.keys():  # noqa: SIM118 - not a dict
            part, name = key.split(".", 1)
            parts[part][name] = file.get_tensor(key)
    module.load_state_dict(parts["model"])
    ema.values = {k: parts["ema"][k] for k in ema.values}
    ema.updates = int(facts.pop("ema_updates"))
    state = optimiser.state_dict()
    state["state"] = {}
    for key, value in parts["optim"].items():
        index, name = key.split(".", 1)
        state["state"].setdefault(int(index), {})[name] = value
    optimiser.load_state_dict(state)
    return facts
