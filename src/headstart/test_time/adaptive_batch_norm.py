"""Adaptive BatchNorm: layers normalise by the statistics of the inputs that are predicted, not by those of training.

Li et al. 2018 ("Adaptive batch normalization for practical domain adaptation"); where inputs are few, the source's
statistics count too (Schneider et al. 2020, "Improving robustness against common corruptions by covariate shift
adaptation"): with n inputs

    m = N/(N+n) m_source + n/(N+n) m_inputs,   v = N/(N+n) v_source + n/(N+n) v_inputs

The source's are measured on training examples (`_batch_statistics.py`), as networks mostly keep those of pretraining.
The inputs of a piece of the data are seen before the first is predicted, in batches drawn at random, as a batch of a
single class has other statistics than the data; those of a later piece are joined to them. While a batch is seen, each
layer gets what the layers before give by the batch's own statistics. Where the mix of classes is another one than in
training, the statistics differ for that reason alone, and predictions may become worse.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from pydantic import Field

from headstart.contracts.carriers import Batch
from headstart.contracts.features import Features
from headstart.contracts.test_time import Adaptation, AdaptedModel, TestTime
from headstart.kernel.errors import SettingsError
from headstart.test_time._batch_statistics import InputStatistics, batch_norms


class AdaptiveBatchNorm(TestTime):
    """Statistics of the inputs that are predicted."""

    title = "adaptive BatchNorm"

    source_examples: float = Field(default=16, ge=0, le=1e9)
    """N: the statistics of training count like so many inputs; 0 or more."""

    def begin(self, model: AdaptedModel) -> Adaptation:
        """Refuse a model without BatchNorm."""
        layers = batch_norms(model.backbone, model.head)
        if not layers:
            raise SettingsError(
                f"--test-time adaptive_batch_norm: {model.name} has no BatchNorm layers whose statistics could be"
                " replaced. Leave it out; tent adapts LayerNorm and GroupNorm."
            )
        return _Normalised(model, InputStatistics(model, layers, self.source_examples))


class _Normalised(Adaptation):
    """The model as it is but for its statistics."""

    looks = True
    batch_size = 64

    def __init__(self, model: AdaptedModel, statistics: InputStatistics) -> None:
        self._model, self._statistics = model, statistics

    def look(self, batches: Iterable[Batch], examples: int) -> None:
        """Normalise by the inputs from now on."""
        self._statistics.join(batches, examples)

    def features(self, batch: Batch) -> Features:
        """Run the model with its new statistics."""
        with torch.inference_mode():
            return self._model.run(batch)[0]

    def notes(self) -> tuple[str, ...]:
        """Say how many inputs there were."""
        return self._statistics.notes()
