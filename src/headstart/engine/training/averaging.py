"""Exponential averaging of the weights over the steps of a training; the average is what is validated and kept.

Polyak & Juditsky 1992; as in TensorFlow's moving averages the decay rises from 0.1 to its value over the first steps:

    average <- d average + (1 - d) weights,    d = min(decay, (1 + step) / (10 + step))
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn


class Average:
    """The average of live tensors. What is not a floating-point number, such as a count, is taken as it is."""

    def __init__(self, live: Mapping[str, Tensor], decay: float) -> None:
        """Begin with the values of `live`, tensors that change in place."""
        self.live, self.decay = live, decay
        self.values = {name: tensor.detach().clone() for name, tensor in live.items()}
        self._names = [name for name, tensor in live.items() if tensor.is_floating_point()]

    def update(self, step: int) -> None:
        """Take in the weights after step number `step`, from 0 on."""
        average = get_ema_multi_avg_fn(min(self.decay, (1 + step) / (10 + step)))
        average([self.values[name] for name in self._names], [self.live[name] for name in self._names], None)
        for name in self.live.keys() - set(self._names):
            self.values[name].copy_(self.live[name])

    def load(self, values: Mapping[str, Tensor]) -> None:
        """Go on from an average that was saved."""
        _copy(values, self.values)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Within it the live tensors hold the average; afterwards what they held before, bit for bit."""
        held = {name: tensor.detach().clone() for name, tensor in self.live.items()}
        _copy(self.values, self.live)
        try:
            yield
        finally:
            _copy(held, self.live)


def _copy(source: Mapping[str, Tensor], to: Mapping[str, Tensor]) -> None:
    with torch.no_grad():
        for name, tensor in source.items():
            to[name].copy_(tensor)
