"""Lifetimes: how long a machine will last, learnt also from those that have not failed yet.

A censored regression (Tobin 1958) of the log time in standard units, z = (log t - mean) / scale, with unit variance:

    loss = (m - z)^2 / 2 where the end was seen, -log Phi(m - z) where it was not, m being what the head gives
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import torch
from pydantic import Field
from scipy.optimize import minimize
from scipy.special import log_ndtr
from torch import nn

from headstart.contracts.examples import Examples
from headstart.contracts.features import Features
from headstart.contracts.linear_model import LinearModel, Solved
from headstart.contracts.prediction import Prediction
from headstart.contracts.targets import TargetKinds
from headstart.contracts.task import (
    BoundTask,
    Calibration,
    Evaluation,
    FeatureSource,
    SplitPolicy,
    Targets,
    Tensors,
)
from headstart.kernel.errors import DataError
from headstart.kernel.settings import Settings
from headstart_series.censored_times import CensoredTimes
from headstart_series.metrics import lifetime_metrics

TARGET = "lifetime"
QUANTILE = 1.2815515655446004
"""Standard deviations on either side of the mean that hold 80 % of a normal distribution."""

LEAST_SPREAD, LARGEST_SPREAD = 0.01, 10.0
PENALTY = 1.0
"""On squared weights for standardised features."""


class Lifetimes(Settings):
    """How long something lasts."""

    unit: str = "h"
    """Unit of the times, as reports write it."""

    @classmethod
    def suits(cls, examples: Examples) -> str | None:
        """Return how many of the lifetimes have ended; None where there are none."""
        if TARGET not in examples.schema.targets:
            return None
        found = [lifetime for lifetime in examples.target(TARGET) if lifetime is not None]
        return f"the labels are {len(found)} lifetimes" if found else None

    def split_policy(self, examples: Examples) -> SplitPolicy:
        """Keep in proportion those that ended."""
        return SplitPolicy(_times(examples)[:, 1].astype(np.int64), ("still running", "ended"))

    def bind(self, examples: Examples, backbone: FeatureSource) -> BoundLifetimes:
        """Learn mean and scale of the log times. Raises DataError where fewer than two different lifetimes ended."""
        times = _times(examples)
        logs = np.log(times[:, 0])
        if len(np.unique(logs[times[:, 1] > 0])) < 2:
            raise DataError("fewer than two different lifetimes were seen to end: nothing can be learnt from them")
        return BoundLifetimes(settings=self, mean=float(logs.mean()), scale=float(logs.std()))

    def restore(self, learnt: Mapping[str, Any]) -> BoundLifetimes:
        """Take mean and scale as they were learnt."""
        return BoundLifetimes.model_validate({**learnt, "settings": self})


class BoundLifetimes(BoundTask):
    """Lifetimes whose scale is known."""

    target_kinds: ClassVar[TargetKinds] = {TARGET: CensoredTimes()}

    settings: Lifetimes
    mean: float = Field(allow_inf_nan=False)
    """Of the log times."""
    scale: float = Field(gt=0, allow_inf_nan=False)
    """Standard deviation of the log times."""

    @property
    def evaluation(self) -> Evaluation:
        """Concordance and error; the spread around the predicted time is fitted on validation data."""
        limits = {"spread": (LEAST_SPREAD, LARGEST_SPREAD)}
        return Evaluation(lifetime_metrics(self.settings.unit), self._spread, self._finished, limits=limits)

    def split_policy(self, examples: Examples) -> SplitPolicy:
        """Keep in proportion those that ended."""
        return self.settings.split_policy(examples)

    def extended(self, examples: Examples, backbone: FeatureSource) -> Self:
        """Keep mean and scale, so that the head means the same."""
        _times(examples)
        return self

    def targets(self, examples: Examples) -> Targets:
        """{"lifetime": (examples, 2) float64}: time, and 1 where it ended."""
        return {TARGET: _times(examples)}

    def head(self, backbone: FeatureSource) -> nn.Linear:
        """(batch, width) -> (batch, 1) in standard units; weights normal with deviation 0.01, bias 0."""
        head = nn.Linear(backbone.width, 1)
        nn.init.normal_(head.weight, std=0.01)
        nn.init.zeros_(head.bias)
        return head

    def forward(self, head: nn.Module, features: Features, inputs: Tensors) -> Tensors:
        """{"standard": (batch,)}, in standard units of the log time."""
        return {"standard": head(features.pooled).squeeze(-1)}

    def losses(self, outputs: Tensors, targets: Tensors) -> Tensors:
        """{"censored": scalar}, the mean over the batch."""
        time, ended = targets[TARGET].unbind(1)
        ahead = outputs["standard"] - ((time.log() - self.mean) / self.scale).to(outputs["standard"].dtype)
        loss = torch.where(ended > 0, ahead.square() / 2, -torch.special.log_ndtr(ahead.float()))
        return {"censored": loss.mean()}

    def predict(self, head: nn.Module, features: Features, inputs: Tensors) -> Prediction:
        """Column "standard" (batch,) float64."""
        return Prediction(
            {"standard": self.forward(head, features, inputs)["standard"].detach().double().cpu().numpy()}
        )

    def _spread(self, prediction: Prediction, targets: Targets) -> Calibration:
        """The spread under which the lifetimes that ended are likeliest."""
        time, ended = targets[TARGET].T
        residuals = ((np.log(time) - self.mean) / self.scale - prediction.columns["standard"])[ended > 0]
        if not len(residuals):
            return {}
        return {"spread": float(np.sqrt(np.mean(residuals**2)).clip(LEAST_SPREAD, LARGEST_SPREAD))}

    def _finished(self, prediction: Prediction, calibration: Calibration) -> Prediction:
        """Columns "time", "low" and "high" (batch,) in the unit of time."""
        standard, spread = prediction.columns["standard"], calibration.get("spread", 1.0)
        steps = {"time": 0.0, "low": -QUANTILE * spread, "high": QUANTILE * spread}
        times = {name: np.exp((standard + step) * self.scale + self.mean) for name, step in steps.items()}
        return Prediction({**prediction.columns, **times})

    def linear_model(self, targets: Targets, seed: int) -> LinearModel:
        """Return a normal of the log times, censored; it has a solver of its own."""
        time, ended = targets[TARGET].T
        standard = (np.log(time) - self.mean) / self.scale
        return LinearModel(lambda features, *_: _solved(features, standard, ended > 0), standard)


def _solved(features: np.ndarray, standard: np.ndarray, ended: np.ndarray) -> Solved:
    """Minimise the loss on all features at once, by L-BFGS. Nothing is drawn or held out."""
    centre, spread = features.mean(0, dtype=np.float64), features.std(0, dtype=np.float64) + 1e-6
    inputs = np.column_stack([(features - centre) / spread, np.ones(len(features))])
    found = minimize(_loss, np.zeros(inputs.shape[1]), (inputs, standard, ended), jac=True, method="L-BFGS-B")
    weight = found.x[:-1] / spread
    chosen = {"penalty": PENALTY, "loss": float(found.fun / len(features))}
    return weight[None], np.array([found.x[-1] - weight @ centre]), chosen, ()


def _loss(weights: np.ndarray, inputs: np.ndarray, standard: np.ndarray, ended: np.ndarray) -> tuple[float, np.ndarray]:
    """The penalised sum of losses and its gradient."""
    ahead = inputs @ weights - standard
    log_share = log_ndtr(ahead)
    hazard = np.exp(-(ahead**2) / 2 - math.log(math.sqrt(2 * math.pi)) - log_share)
    free = weights * (np.arange(len(weights)) < len(weights) - 1)
    loss = np.where(ended, ahead**2 / 2, -log_share).sum() + PENALTY / 2 * free @ free
    return float(loss), inputs.T @ np.where(ended, ahead, -hazard) + PENALTY * free


def _times(examples: Examples) -> np.ndarray:
    """(examples, 2) float64. Raises DataError on missing lifetimes, and such as are not positive."""
    found = examples.target(TARGET)
    for origin, lifetime in zip(examples.origins(), found):
        if lifetime is None or not 0 < lifetime["time"] < math.inf:
            raise DataError(f"{origin}: the lifetime is {lifetime and lifetime['time']}; a positive number is expected")
    return np.array([[lifetime["time"], lifetime["ended"]] for lifetime in found], np.float64).reshape(-1, 2)
