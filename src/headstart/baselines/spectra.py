"""Spectra: a linear model on what a sound is like at a glance: its log-mel bands, how they vary, and their course.

Means and deviations of 40 bands, deviations of their differences, and the bands in 8 parts of the time
(`numerics/mel.py`), of the first 30 seconds at 16 kHz. Each number is brought to mean 0 and deviation 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import numpy as np
from pydantic import PrivateAttr
from sklearn.preprocessing import StandardScaler

from headstart.baselines._linear import fit_linear
from headstart.baselines._scores import takes
from headstart.contracts.baseline import Baseline, Labelled, Scores
from headstart.contracts.examples import Examples, Raw
from headstart.contracts.modality import HasSound, Modality, modality_named, raws_of
from headstart.contracts.task import BoundTask
from headstart.numerics.mel import GLANCE_RATE, GLANCE_SECONDS, mel_statistics


class Spectra(Baseline):
    """Linear model on statistics of log-mel bands."""

    title: ClassVar[str] = "statistics of log-mel bands with a linear model"
    strengths: ClassVar[Sequence[float]] = (1e-2, 1e-3, 1e-1, 1.0)
    _seen: dict[Raw, np.ndarray] = PrivateAttr(default_factory=dict)
    """What is measured of each sound: it is decoded once, however often the model learns and predicts."""

    @classmethod
    def suits(cls, modality: Modality, task: BoundTask) -> bool:
        """Sounds with one class, value or set of labels each."""
        return isinstance(modality, HasSound) and takes(task)

    def fit(self, data: Labelled, strengths: Sequence[float], seed: int) -> Mapping[float, Scores]:
        """Measure every sound once, then solve for each of the strengths."""
        scaler = StandardScaler()
        features = scaler.fit_transform(self._measured(data.examples))
        models = {strength: fit_linear(features, data, strength, seed) for strength in strengths}
        return {strength: self._scores(scaler, model) for strength, model in models.items()}

    def _scores(self, scaler: StandardScaler, model: Callable[[np.ndarray], np.ndarray]) -> Scores:
        return lambda examples, _: model(scaler.transform(self._measured(examples)))

    def _measured(self, examples: Examples) -> np.ndarray:
        """(examples, numbers) float32"""
        kind, raws = modality_named(examples.schema.modality), raws_of(examples)
        if not isinstance(kind, HasSound):
            raise TypeError(f"{examples.schema.modality} inputs are not sounds")
        for raw in raws:
            if raw not in self._seen:
                self._seen[raw] = mel_statistics(kind.wave(raw, GLANCE_RATE, GLANCE_SECONDS), GLANCE_RATE)
        return np.stack([self._seen[raw] for raw in raws])
