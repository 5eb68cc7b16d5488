"""Processes that train one network together, as `torchrun` starts them.

Every step has a number of batches; each process takes every n-th of them, and the gradients are summed before the step.
What is learnt therefore depends on how many batches make a step, not on how many processes share them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn

_PATIENCE = timedelta(hours=2)  #: the first process may teach lips or validate while the others wait
_BUCKET = 8 << 20  #: numbers that are summed in one message


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    """One process among several; alone by default."""

    rank: int = 0
    size: int = 1
    device: torch.device | None = None  #: None = what the settings say

    @property
    def leads(self) -> bool:
        """Whether this process writes, validates and reports."""
        return self.rank == 0

    def summed(self, values: Tensor) -> Tensor:
        """The sum over the processes."""
        if self.size > 1:
            dist.all_reduce(values)
        return values

    def told(self, values: Sequence[float]) -> list[float]:
        """What the first process says."""
        if self.size == 1:
            return [float(v) for v in values]
        said = torch.tensor([float(v) for v in values], dtype=torch.float64, device=self.device)
        dist.broadcast(said, 0)
        return [float(v) for v in said.tolist()]

    def wait(self) -> None:
        """Until all are here."""
        if self.size > 1:
            dist.barrier()

    def sum_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Put the sum over the processes into every gradient; a process may lack some."""
        if self.size == 1:
            return
        for bucket in _buckets(parameters):
            for parameter in bucket:
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
            flat = torch.cat([p.grad.reshape(-1) for p in bucket if p.grad is not None])
            dist.all_reduce(flat)
            start = 0
            for parameter in bucket:
                assert parameter.grad is not None
                parameter.grad.copy_(flat[start : start + parameter.numel()].view_as(parameter))
                start += parameter.numel()

    def average_buffers(self, module: nn.Module) -> None:
        """Give running statistics, which each process sees of its own batches, their mean over the processes."""
        if self.size == 1:
            return
        for buffer in module.buffers():
            if buffer.is_floating_point():
                dist.all_reduce(buffer)
                buffer.div_(self.size)

    @contextmanager
    def one_after_the_first(self) -> Iterator[None]:
        """The first process goes ahead; the others find what it left on disk."""
        if not self.leads:
            self.wait()
        try:
            yield
        finally:
            if self.leads:
                self.wait()


@contextmanager
def joined_team(device: str = "auto") -> Iterator[Team]:
    """The team that `torchrun` made of this process, or one alone; it ends with the block.

    Args:
        device: of the settings; with GPUs each process takes the one of its local rank.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size < 2:
        yield Team()
        return
    on_gpu = device != "cpu" and torch.cuda.is_available()
    own = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if on_gpu else torch.device("cpu")
    if on_gpu:
        torch.cuda.set_device(own)
    dist.init_process_group("nccl" if on_gpu else "gloo", timeout=_PATIENCE)
    try:
        yield Team(rank=dist.get_rank(), size=dist.get_world_size(), device=own)
    finally:
        dist.destroy_process_group()


def _buckets(parameters: Sequence[nn.Parameter]) -> Iterator[list[nn.Parameter]]:
    bucket: list[nn.Parameter] = []
    held = 0
    for parameter in parameters:
        bucket.append(parameter)
        held += parameter.numel()
        if held >= _BUCKET:
            yield bucket
            bucket, held = [], 0
    if bucket:
        yield bucket
