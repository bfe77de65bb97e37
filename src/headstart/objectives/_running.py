"""Values that follow the batches: a step is made with new ones, which count once it is made.

A batch may be run in parts, and twice, so that nothing may change while losses are computed.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from headstart.contracts.objective import Step


class Running(nn.Module):
    """Named buffers, kept with the checkpoints and not optimised."""

    def __init__(self, start: Mapping[str, Tensor]) -> None:
        """Before the first batch."""
        super().__init__()
        for name, value in start.items():
            self.register_buffer(name, value)
        self._next: dict[str, Tensor] = {}

    def propose(self, values: Mapping[str, Tensor]) -> None:
        """Note what `keep` is to keep."""
        self._next = {name: value.detach() for name, value in values.items()}

    @torch.no_grad()
    def keep(self) -> None:
        """Keep what was proposed last."""
        for name, value in self._next.items():
            self.get_buffer(name).copy_(value)
        self._next = {}


def running(step: Step) -> Running:
    """Return the objective's addition of that name. Raises TypeError where it is something else."""
    found = step.additions["running"]
    if not isinstance(found, Running):
        raise TypeError(f"the addition 'running' is a {type(found).__name__}")
    return found
