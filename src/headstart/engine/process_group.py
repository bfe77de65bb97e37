"""The processes of one job train a model together: each runs its part of every batch, and their gradients are averaged.

A launcher such as torchrun starts them; accelerate joins them by what the device allows (nccl, gloo, ...). What depends
on a clock or on the user is decided by one of them for all, so that all take the same steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import numpy as np
import torch
from accelerate import PartialState
from torch import Tensor, distributed

from headstart.engine.device import pick_device
from headstart.engine.launch import rank, world_size
from headstart.kernel.errors import TrainingError

T = TypeVar("T")

PATIENCE = timedelta(days=1)
"""For so long a process waits for the others: one may still be in the frozen pass."""


@dataclass(frozen=True)
class ProcessGroup:
    """This process among those that train together."""

    rank: int = 0
    size: int = 1

    def share(self, rows: np.ndarray) -> np.ndarray:
        """Return this process's share of a batch's rows (examples,); near-equal in number and alike in length for all.

        Raises:
            TrainingError: there are more processes than rows.
        """
        if len(rows) < self.size:
            raise TrainingError(
                f"a batch has {len(rows)} examples for {self.size} processes: start fewer, or raise the batch size"
            )
        return rows[self.rank :: self.size]

    def averaged(self, tensors: Sequence[Tensor], number: float, weight: float) -> float:
        """The weighted mean over the processes of a number; that of each of the tensors takes its place."""
        if self.size == 1:
            return number
        device = tensors[0].device
        ends = torch.tensor([number, 1.0], device=device)
        flat = torch.cat([*(tensor.detach().reshape(-1).float() for tensor in tensors), ends]) * weight
        distributed.all_reduce(flat)
        flat /= flat[-1].clone()
        for tensor, mean in zip(tensors, flat[:-2].split([tensor.numel() for tensor in tensors])):
            tensor.copy_(mean.view(tensor.shape))
        return float(flat[-2])

    def any_of(self, *found: bool) -> list[bool]:
        """For each of some questions whether any of the processes says yes."""
        if self.size == 1:
            return list(found)
        answers = torch.tensor(found, dtype=torch.float32, device=pick_device())
        distributed.all_reduce(answers, distributed.ReduceOp.MAX)
        return [answer > 0 for answer in answers.tolist()]

    def agreed(self, value: T) -> T:
        """The value that the process of rank 0 has."""
        if self.size == 1:
            return value
        values = [value]
        distributed.broadcast_object_list(values, src=0)
        return values[0]

    def gathered(self, value: T) -> list[T]:
        """The values of all processes, by rank."""
        if self.size == 1:
            return [value]
        values: list[T | None] = [None] * self.size
        distributed.all_gather_object(values, value)
        return values  # type: ignore[return-value]


ALONE = ProcessGroup()
_parted = False


def process_group() -> ProcessGroup:
    """This process and those that were launched with it; waits for them the first time. Alone once they have parted."""
    if _parted or world_size() == 1:
        return ALONE
    PartialState(cpu=pick_device().type == "cpu", timeout=PATIENCE)
    return ProcessGroup(rank(), world_size())


def part() -> None:
    """From here on this process goes on alone. All of them must call it."""
    global _parted
    if world_size() > 1 and distributed.is_available() and distributed.is_initialized():
        distributed.barrier()
        distributed.destroy_process_group()
    _parted = True
