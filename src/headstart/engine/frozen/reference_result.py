"""Plain PyTorch's result on a real batch, the reference for other runners: computed once, when it is first needed."""

from __future__ import annotations

import torch

from headstart.contracts.carriers import BESIDE, LENGTH_MASK, State
from headstart.contracts.runner import Execute
from headstart.engine.device import run_halving


class ReferenceResult:
    """A batch, the same one in another size, and the results of both."""

    def __init__(self, plain: Execute, state: State, device: torch.device) -> None:
        """Of a prepared batch, by a segment that runs in plain PyTorch on a device."""
        self.plain, self.device = plain, device
        self.batches = (state, _resized(state))
        self._results: dict[int, State] = {}
        self._coarse: dict[int, State] = {}

    def result(self, number: int) -> State:
        """Of one of the batches; computed at most once."""
        if number not in self._results:
            self._results[number] = run_halving(self.plain, self.batches[number])
        return self._results[number]

    def autocast(self, number: int) -> State:
        """The same in PyTorch's own bfloat16; computed at most once."""
        if number not in self._coarse:
            with torch.autocast(self.device.type, torch.bfloat16):
                self._coarse[number] = run_halving(self.plain, self.batches[number])
        return self._coarse[number]

    def saw(self, result: State) -> None:
        """Record the result of the batch itself, where it is known already."""
        self._results[0] = result


def _resized(state: State) -> State:
    """The last third of a batch, texts without the padding that the others needed; a single row twice."""
    size = len(state.hidden)
    rows = torch.arange(size)[-max(1, size // 3) :] if size > 1 else torch.zeros(2, dtype=torch.int64)
    some = state.map(lambda value: value[rows])
    if LENGTH_MASK not in some.context:
        return some
    longest = max(1, int((some.context[LENGTH_MASK] != 0).sum(dim=1).max()))
    tensors = some.tensors().items()
    whole = f"context.{BESIDE}"
    return State.of({name: v[:, :longest] if v.ndim >= 2 and name != whole else v for name, v in tensors})
