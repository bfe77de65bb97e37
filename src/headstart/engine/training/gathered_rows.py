"""The rows of all processes as one tensor, through which gradients flow: contrast needs every example of a batch.

Each process computes the loss of the whole batch, all of them the same one, and what flows back into its own rows is
the whole derivative by them. The processes' gradients are then averaged by their rows, n of N, so that it is scaled by
N / n: what results is the gradient that one process would have found on the whole batch. Nothing is sent backwards.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed

from headstart.engine.process_group import ProcessGroup


def gathered_rows(own: Tensor, processes: ProcessGroup) -> Tensor:
    """(batch, ...) -> (batches of all processes, ...), by rank; every process must call it."""
    return own if processes.size == 1 else _Gathered.apply(own, processes)


class _Gathered(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, own: Tensor, processes: ProcessGroup) -> Tensor:
        counts = processes.gathered(len(own))
        most = max(counts)
        padded = torch.cat([own, own.new_zeros(most - len(own), *own.shape[1:])]).contiguous()
        found = [torch.empty_like(padded) for _ in counts]
        distributed.all_gather(found, padded)
        context.first, context.own, context.all = sum(counts[: processes.rank]), len(own), sum(counts)
        return torch.cat([rows[:count] for rows, count in zip(found, counts)])

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:
        own = gradient[context.first : context.first + context.own]
        return own * (context.all / context.own), None
