"""Statistics of the inputs in BatchNorm layers, mixed with those of the source (Schneider et al. 2020).

A layer in evaluation mode computes gamma (x - m_0) / s_0 + beta with kept m_0 and s_0. What lies behind it was fit on
what that makes of the source, whose inputs to the layer have mean m_s and variance v_s. With N and n inputs

    m = N/(N+n) m_s + n/(N+n) m_inputs,   v = N/(N+n) v_s + n/(N+n) v_inputs

inputs of mean m and variance v are to come out as those of the source do: the layer keeps

    s_0' = s_0 sqrt(v / v_s),   m_0' = m - (m_s - m_0) sqrt(v / v_s)

In a network that keeps the source's statistics, m_0 = m_s and s_0^2 = v_s, this is normalisation by m and v, as in the
paper. A frozen network keeps those of its pretraining, or none where they were folded into other weights: m_s and v_s
are measured on training examples, so that nothing changes where the domains do not differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from headstart.contracts.carriers import Batch
from headstart.contracts.test_time import AdaptedModel
from headstart.kernel.errors import HeadstartError, SettingsError

BatchNorm = nn.modules.batchnorm._BatchNorm  # torch has no public name for what its BatchNorms share
FEWEST = 2
"""Inputs of which statistics can be told."""


class Moments(NamedTuple):
    """Mean and variance of what comes into a layer, each (channels,)."""

    mean: Tensor
    variance: Tensor

    def mixed(self, other: Moments, share: float) -> Moments:
        """`share` of these and the rest of the other's."""
        return Moments(*(share * own + (1 - share) * new for own, new in zip(self, other)))


def batch_norms(*modules: nn.Module) -> list[BatchNorm]:
    """Return the BatchNorm layers that normalise by kept statistics."""
    found = [part for module in modules for part in module.modules()]
    return [part for part in found if isinstance(part, BatchNorm) and part.running_mean is not None]


class InputStatistics:
    """BatchNorm layers that normalise by the inputs that were seen so far."""

    def __init__(self, model: AdaptedModel, layers: Sequence[BatchNorm], source_examples: float) -> None:
        """Measure the source; `source_examples` is N.

        Raises:
            SettingsError: there are no training examples any more, and the layers keep no statistics.
        """
        self._model, self._layers, self._counted = model, layers, source_examples
        self._kept = [_kept(layer) for layer in layers]
        self._of_source, self._without = self._measured()
        self._sums = [_Sums() for _ in layers]
        self._examples = 0

    def join(self, batches: Iterable[Batch], examples: int) -> None:
        """Join the statistics of so many more inputs, and normalise by all of them from now on."""
        if self._examples + examples < FEWEST:
            return
        share = self._share(self._examples + examples)
        with self._seeing(lambda place, batch: self._set(place, batch, share)):
            for batch in batches:
                self._examples += len(batch.rows)
                self._model.run(batch)
        for place, sums in enumerate(self._sums):
            if self._examples < FEWEST:  # the others could not be read
                _write(self._layers[place], self._kept[place])
            elif sums.examples:
                self._set(place, sums.moments(self._kept[place].mean), self._share(self._examples))

    def notes(self) -> tuple[str, ...]:
        """Say how many inputs there were, and what stands for the source."""
        if self._examples < FEWEST:
            return (*self._without, "A single input has no statistics: those of training stay")
        layers = f"{len(self._layers)} BatchNorm layer{'s' * (len(self._layers) > 1)}"
        count = f"{layers} normalised by the statistics of {self._examples:,} inputs"
        return (*self._without, f"{count}, those of training counting {100 * self._share(self._examples):.1f} %")

    def _measured(self) -> tuple[list[Moments], tuple[str, ...]]:
        """Moments of training examples; without these the layers' own, and a sentence."""
        self._sums = [_Sums() for _ in self._layers]
        try:
            with self._seeing():
                for batch in self._model.source():
                    self._model.run(batch)
        except HeadstartError as error:
            if all(map(_folded, self._kept)):
                raise SettingsError(
                    f"the BatchNorm layers of {self._model.name} keep no statistics, as these were folded into other"
                    f" weights, and none can be measured: {error}"
                ) from error
            return self._kept, (f"The statistics in the weights stand for those of training: {error}",)
        found = zip(self._sums, self._kept)
        return [sums.moments(kept.mean) if sums.examples else kept for sums, kept in found], ()

    @contextmanager
    def _seeing(self, then: Callable[[int, Moments], None] = lambda place, batch: None) -> Iterator[None]:  # noqa: ARG005
        """Add up what comes into each layer; `then` is told its place and the moments before it computes."""

        def see(place: int, layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:  # noqa: ARG001
            values = inputs[0]
            axes = [axis for axis in range(values.ndim) if axis != 1]
            found = Moments(values.mean(axes), values.var(axes, correction=0))
            self._sums[place].add(found, len(values))
            then(place, found)

        with ExitStack() as stack:
            stack.enter_context(torch.no_grad())
            for place, layer in enumerate(self._layers):
                stack.callback(layer.register_forward_pre_hook(partial(see, place)).remove)
            yield

    def _set(self, place: int, inputs: Moments, share: float) -> None:
        """Let a layer do with these inputs, mixed with the source's, what it does with those of the source."""
        layer, kept, source = self._layers[place], self._kept[place], self._of_source[place]
        mixed, epsilon = source.mixed(inputs, share), float(layer.eps)
        wider = (mixed.variance + epsilon) / (source.variance + epsilon)
        mean = mixed.mean - (source.mean - kept.mean) * wider.sqrt()
        _write(layer, Moments(mean, (kept.variance + epsilon) * wider - epsilon))

    def _share(self, examples: int) -> float:
        """N/(N+n)"""
        return self._counted / (self._counted + examples)


class _Sums:
    """Moments over several batches, counted by examples and added up in float64."""

    def __init__(self) -> None:
        self.examples = 0
        self._sums = torch.zeros(()).double(), torch.zeros(()).double()

    def add(self, found: Moments, examples: int) -> None:
        mean, variance = (one.cpu().double() for one in found)
        total, squares = self._sums
        self._sums = total + examples * mean, squares + examples * (variance + mean.square())
        self.examples += examples

    def moments(self, like: Tensor) -> Moments:
        """Those of all batches together, of the type and on the device of a tensor."""
        mean, square = (one / self.examples for one in self._sums)
        return Moments(mean.to(like), (square - mean.square()).clamp_min(0).to(like))


def _kept(layer: BatchNorm) -> Moments:
    """The statistics that a layer normalises by."""
    return Moments(layer.get_buffer("running_mean").clone(), layer.get_buffer("running_var").clone())


def _write(layer: BatchNorm, moments: Moments) -> None:
    layer.get_buffer("running_mean").copy_(moments.mean)
    layer.get_buffer("running_var").copy_(moments.variance)


def _folded(kept: Moments) -> bool:
    return not bool(kept.mean.any()) and bool(((kept.variance - 1).abs() < 1e-3).all())
