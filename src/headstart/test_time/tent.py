"""Tent: the weights of normalisation layers follow the entropy of the predictions, batch by batch, under SAR's guards.

Wang et al. 2021 ("Tent: fully test-time adaptation by entropy minimization") and Niu et al. 2023 ("Towards stable
test-time adaptation in dynamic wild world", SAR). With p = softmax(logits / T) of K classes and H(p) = -sum p log p,
a batch is predicted first, then scale and shift w of BatchNorm, LayerNorm and GroupNorm layers take a step of SGD:

    L(w) = mean of H(p) over predictions with H(p) < 0.4 ln K
    w <- w - rate grad L(w + e),   e = 0.05 grad L(w) / |grad L(w)|

of the second gradient only predictions count that are reliable at both points. When the moving average of L falls below
a floor the weights are those of the saved model again: 0.2 for 1000 classes as in SAR; for others it is scaled by ln K,
as reliable predictions of few classes are below 0.2 from the start. The last quarter of the stages rests, as in SAR.

What differs: BatchNorm normalises by all inputs of a piece of the data as `adaptive_batch_norm` does, and not by each
batch, and batches are drawn at random, as statistics and predictions of batches of a single class mislead. The mix of
the predicted classes is watched: where the entropy of its moving average falls below half of that by the saved weights
on the same batches, the predictions collapse to few classes; the batch is predicted by the saved weights, and these are
taken again. Each input counts for those after it: what else is predicted, and in which order, matters.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from pydantic import Field
from torch import Tensor, nn

from headstart.contracts.carriers import Batch
from headstart.contracts.features import Features
from headstart.contracts.test_time import Adaptation, AdaptedModel, TestTime
from headstart.kernel.errors import SettingsError
from headstart.test_time._batch_statistics import FEWEST, BatchNorm, InputStatistics, batch_norms

NORMS = (BatchNorm, nn.LayerNorm, nn.GroupNorm)
MOVING = 0.9
"""Share of the past in a moving average after each batch."""
CLASSES_OF_PAPER = 1000


class Tent(TestTime):
    """Entropy of the predictions lowered by the weights of normalisation layers."""

    title = "Tent"

    rate: float = Field(default=0.001, gt=0, le=1)
    """Rate of SGD with momentum 0.9; in (0, 1]."""
    batch_size: int = Field(default=32, ge=FEWEST, le=4096)
    """Inputs of a step."""
    reliable: float = Field(default=0.4, gt=0, le=1)
    """Predictions teach whose entropy is below this share of ln K; in (0, 1]."""
    radius: float = Field(default=0.05, ge=0, le=10)
    """Distance at which sharpness is looked for; 0 for a plain step."""
    reset_below: float = Field(default=0.2, ge=0)
    """Moving average of the loss, in nats for 1000 classes, below which the weights are reset."""
    diverse: float = Field(default=0.5, ge=0, le=1)
    """Entropy of the predicted mix of classes, as a share of the saved model's, below which the weights are reset."""
    resting: float = Field(default=0.25, ge=0, lt=1)
    """Share of the stages, the last ones, whose weights do not move; in [0, 1)."""
    source_examples: float = Field(default=16, ge=0, le=1e9)
    """The statistics of training count in BatchNorm like so many inputs; 0 or more."""

    def begin(self, model: AdaptedModel) -> Adaptation:
        """Refuse a task without classes and a model without weights of normalisation layers in the stages that move."""
        if not model.scored:
            raise SettingsError(
                f"--test-time tent lowers the entropy of one class for each example or pixel, which {model.task} does"
                " not have. Leave it out, or take adaptive_batch_norm."
            )
        weights = _weights(model, self.resting)
        if not weights:
            raise SettingsError(
                f"--test-time tent: {model.name} has no BatchNorm, LayerNorm or GroupNorm layers with weights in the"
                " stages that move. Leave it out."
            )
        return _Steps(self, model, weights)


class _Steps(Adaptation):
    """The moving weights, and what is remembered of the batches so far."""

    def __init__(self, settings: Tent, model: AdaptedModel, weights: list[nn.Parameter]) -> None:
        self._settings, self._model, self._weights = settings, model, weights
        self.batch_size = settings.batch_size
        self._saved = [weight.detach().clone() for weight in weights]
        layers = batch_norms(model.backbone, model.head)
        self._statistics = InputStatistics(model, layers, settings.source_examples) if layers else None
        self.looks = self._statistics is not None
        for part in (*model.backbone.parameters(), *model.head.parameters()):
            part.requires_grad_(False)
        for weight in weights:
            weight.requires_grad_(True)
        self._steps = self._unsure = self._places = self._settled = self._collapses = 0
        self._loss: Tensor | None = None
        self._mix: Tensor | None = None
        self._saved_mix: Tensor | None = None
        self._reset()

    def look(self, batches: Iterable[Batch], examples: int) -> None:
        """Normalise by the inputs from now on."""
        if self._statistics is not None:
            self._statistics.join(batches, examples)

    def features(self, batch: Batch) -> Features:
        """Predict with the weights as they are, then let them take a step."""
        as_saved, saved_logits = self._as_saved(batch)
        if len(batch.rows) < FEWEST and not self._places:
            return as_saved
        with torch.enable_grad():
            features, logits = self._run(batch)
            if self._collapsed(logits.detach(), saved_logits):
                self._collapses += 1
                self._reset()
                return as_saved
            if len(batch.rows) >= FEWEST:
                self._step(batch, logits)
        return features.map(lambda value: value.detach())

    def notes(self) -> tuple[str, ...]:
        """Say what happened; nothing did where there was no batch of two."""
        if not self._places:
            return ("Tent learnt nothing from a single input: it was predicted by the model as it was saved",)
        found = [
            *(() if self._statistics is None else self._statistics.notes()),
            f"Tent took {_counted(self._steps, 'step')}; {100 * self._unsure / self._places:.0f} % of the predictions"
            " were too unsure to learn from",
            "With tent each prediction depends on the inputs before it: others, or another order, give other ones",
        ]
        whys = {"their entropy came close to 0": self._settled, "they collapsed to few classes": self._collapses}
        found += [f"The weights were reset {_counted(n, 'time')} as {why}" for why, n in whys.items() if n]
        return tuple(found)

    def _run(self, batch: Batch) -> tuple[Features, Tensor]:
        features, logits = self._model.run(batch)
        if logits is None:
            raise SettingsError(f"the task {self._model.task} gave no logits to lower the entropy of")
        return features, logits

    def _as_saved(self, batch: Batch) -> tuple[Features, Tensor]:
        """Features and logits by the saved model's weights."""
        with torch.no_grad(), _moved_to(self._weights, self._saved):
            return self._run(batch)

    def _step(self, batch: Batch, logits: Tensor) -> None:
        """One step of SAR; none where no prediction is reliable."""
        margin = self._settings.reliable * math.log(logits.shape[1])
        entropies = entropy(logits)
        chosen = entropies < margin
        self._places, self._unsure = self._places + len(chosen), self._unsure + int((~chosen).sum())
        if not bool(chosen.any()):
            return
        first = _gradients(entropies[chosen].mean(), self._weights)
        norm = torch.stack([gradient.norm() for gradient in first]).norm() + 1e-12
        sharp = [
            weight.detach() + self._settings.radius * gradient / norm for weight, gradient in zip(self._weights, first)
        ]
        with _moved_to(self._weights, sharp):
            again = entropy(self._run(batch)[1])[chosen]
            still = again < margin
            if not bool(still.any()):
                return
            loss = again[still].mean()
            second = _gradients(loss, self._weights)
        for weight, gradient in zip(self._weights, second):
            weight.grad = gradient
        self._optimiser.step()
        self._steps += 1
        self._loss = _averaged(self._loss, loss.detach())
        if float(self._loss) < self._settings.reset_below * math.log(logits.shape[1]) / math.log(CLASSES_OF_PAPER):
            self._settled += 1
            self._reset()

    def _collapsed(self, logits: Tensor, saved: Tensor) -> bool:
        """True where the predicted mix of classes has become much narrower than the saved model's."""
        self._mix = _averaged(self._mix, logits.softmax(1).mean(0))
        self._saved_mix = _averaged(self._saved_mix, saved.softmax(1).mean(0))
        own, usual = (float(-torch.special.xlogy(mix, mix).sum()) for mix in (self._mix, self._saved_mix))
        return own < self._settings.diverse * usual

    def _reset(self) -> None:
        """Take the weights of the saved model, and forget."""
        with torch.no_grad():
            for weight, saved in zip(self._weights, self._saved):
                weight.copy_(saved)
        self._optimiser = torch.optim.SGD(self._weights, lr=self._settings.rate, momentum=0.9)
        self._loss = self._mix = self._saved_mix = None


def entropy(logits: Tensor) -> Tensor:
    """(places, classes) -> (places,) in nats."""
    return -(logits.softmax(1) * logits.log_softmax(1)).sum(1)


def _weights(model: AdaptedModel, resting: float) -> list[nn.Parameter]:
    """The weights of normalisation layers in all but the last stages."""
    moving = model.stages[: len(model.stages) - int(resting * len(model.stages))]
    free = {name for stage in moving for name in stage.parameters}
    return [
        weight
        for prefix, layer in model.backbone.named_modules()
        if isinstance(layer, NORMS)
        for name, weight in layer.named_parameters(recurse=False)
        if f"{prefix}.{name}" in free
    ]


def _gradients(loss: Tensor, weights: Iterable[nn.Parameter]) -> list[Tensor]:
    return list(torch.autograd.grad(loss, [*weights], allow_unused=True, materialize_grads=True))


def _averaged(past: Tensor | None, now: Tensor) -> Tensor:
    return now if past is None else MOVING * past + (1 - MOVING) * now


def _counted(number: int, unit: str) -> str:
    return f"{number:,} {unit}{'s' * (number != 1)}"


@contextmanager
def _moved_to(weights: list[nn.Parameter], values: list[Tensor]) -> Iterator[None]:
    """The weights have these values within it."""
    before = [weight.detach().clone() for weight in weights]
    with torch.no_grad():
        for weight, value in zip(weights, values):
            weight.copy_(value)
    try:
        yield
    finally:
        with torch.no_grad():
            for weight, value in zip(weights, before):
                weight.copy_(value)
