"""Rows of a whole batch, whatever its parts: contrast needs every example, and a ratio of sums needs both sums whole.

A batch may be run in parts, by several processes, or both. Each part then computes the loss of the whole batch, all of
them the same one, from the rows of all parts; what flows back into its own rows is the whole derivative by them. The
gradients of the parts are averaged by their examples, n of N, so that it is scaled by N / n: what results is the
gradient of the whole batch (Gao et al. 2021, "Scaling deep contrastive learning batch size under memory limited
setup"). The rows of parts that one process runs one after the other are found in a pass before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import torch
from torch import Tensor, distributed

from headstart.contracts.task import BoundTask, Tensors
from headstart.contracts.task_capabilities import made_of_sums
from headstart.engine.process_group import ProcessGroup
from headstart.kernel.errors import TrainingError

T = TypeVar("T")


class GatheredRows:
    """The `Step.gathered` of one step after the other."""

    def __init__(self, processes: ProcessGroup) -> None:
        """For batches of which each process runs its share."""
        self.processes = processes
        self.begin(0)

    def begin(self, examples: int) -> None:
        """A step begins; this process's share of its batch has so many examples."""
        self.examples = self.all = self.part_of = examples
        self._whole: list[tuple[Tensor, int]] = []
        self._seen: list[list[Tensor]] = []
        self._looking, self._part, self._calls = False, 0, 0

    @property
    def plain(self) -> bool:
        """Return whether the part in hand is all there is."""
        return self.processes.size == 1 and self.part_of == self.examples and not self._looking

    def look(self, parts: Sequence[T], work: Callable[[T], object]) -> None:
        """Find the rows of all parts by doing `work` on each, as it is done again afterwards."""
        self._seen, self._looking = [], True
        if self.processes.size == 1:
            self._whole = []
        for self._part, part in enumerate(parts):
            self._calls = 0
            work(part)
        self._looking = False

    def enter(self, number: int, examples: int) -> float:
        """The part of that number begins; returns its share of this process's examples."""
        self._part, self.part_of, self._calls = number, examples, 0
        return examples / self.examples

    def __call__(self, own: Tensor) -> Tensor:
        """(part, ...) -> (all, ...), in the order of the parts of each process; every process must call it."""
        call, self._calls = self._calls, self._calls + 1
        if self._looking:
            self._seen += [[]] if call == len(self._seen) else []
            self._seen[call].append(own.detach())
            return own
        if self.plain:
            return own
        divided = self.part_of != self.examples
        if divided and call >= len(self._seen):
            raise TrainingError("the objective takes `Step.gathered`: its class must say so by `gathers = True`")
        if call == len(self._whole):  # another attempt at the step, with less memory, finds what the first has gathered
            self._whole.append(self._of_all(torch.cat(self._seen[call]) if divided else own.detach()))
        whole, at = self._whole[call]
        if not own.requires_grad:
            return whole
        at += sum(len(rows) for rows in self._seen[call][: self._part]) if divided else 0
        live = whole[at : at + len(own)] + self.all / self.part_of * (own - own.detach())
        return torch.cat([whole[:at], live, whole[at + len(own) :]])

    def _of_all(self, local: Tensor) -> tuple[Tensor, int]:
        """The rows of all processes, by rank, and where those of this one begin."""
        if self.processes.size == 1:
            return local, 0
        counts, examples = zip(*self.processes.gathered((len(local), self.examples)))
        self.all = sum(examples)
        padded = torch.cat([local, local.new_zeros(max(counts) - len(local), *local.shape[1:])]).contiguous()
        found = [torch.empty_like(padded) for _ in counts]
        distributed.all_gather(found, padded)
        return torch.cat([rows[:count] for rows, count in zip(found, counts)]), sum(counts[: self.processes.rank])


def whole_losses(task: BoundTask, gathered: GatheredRows) -> Callable[[Tensors, Tensors], Mapping[str, Tensor]]:
    """Return `task.losses` as those of the whole batch, of which the outputs and targets may be a part."""

    def losses(outputs: Tensors, targets: Tensors) -> Mapping[str, Tensor]:
        if gathered.plain or not made_of_sums(task):
            return task.losses(outputs, targets)
        sums = task.sums(outputs, targets)
        flat = gathered(torch.cat([values.reshape(-1) for values in sums.values()])[None]).sum(dim=0)
        totals = flat.split([values.numel() for values in sums.values()])
        return task.losses_of({name: total.view_as(sums[name]) for name, total in zip(sums, totals)})

    return losses
