"""Test-time augmentation: decoded scores averaged over the input as it is and some views of it.

score = (s(x) + s(v_1 x) + ... + s(v_K x)) / (K + 1), s being what a task decodes - logits, or a number - before it is
calibrated. The views are the same for every input, so that a prediction does not depend on what else is predicted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import nn

from headstart.contracts.composed_augmentation import Composed, rebuilt
from headstart.contracts.prediction import Prediction
from headstart.engine.frozen.feeding import Fed
from headstart.kernel.errors import RunError
from headstart.kernel.randomness import draw_seed

KEY = "views"
"""In `Model.execution`: what the saved model carries of this."""


@dataclass(frozen=True)
class AveragedViews:
    """Views over which predictions are averaged: how many beside the input itself, and which."""

    count: int
    seed: int
    augmentation: Composed
    """Bound, of parts that make views of inputs one by one."""

    def to_json(self) -> dict[str, Any]:
        """{"count", "seed", "augmentation"}"""
        return {"count": self.count, "seed": self.seed, "augmentation": self.augmentation.describe()}

    def each(self, batches: Iterable[Fed], entry: nn.Module) -> Iterator[Fed]:
        """Every batch at boundary 0, followed by its views; `entry` is the backbone's."""
        for fed in batches:
            if fed.state is None:
                yield fed
                continue
            state = entry(fed.state)
            yield replace(fed, state=state)
            for number in range(self.count):
                seeds = [self.seed_of(number)] * len(fed.rows)
                yield replace(fed, state=self.augmentation.view(state, seeds))

    def seed_of(self, number: int) -> int:
        """The seed of one of the views."""
        return draw_seed(self.seed, "test view", number)


def averaged_views(execution: Mapping[str, Any]) -> AveragedViews | None:
    """Return the views of a model's execution; None where it predicts from inputs as they are. Raises RunError."""
    said = execution.get(KEY)
    if said is None:
        return None
    try:
        return AveragedViews(int(said["count"]), int(said["seed"]), rebuilt(said["augmentation"]))
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"the model's averaged views cannot be made again with this Headstart: {error}") from error


def averaged(predictions: Sequence[Prediction]) -> Prediction:
    """The mean of every column over decoded predictions of the same examples."""
    names = predictions[0].columns
    return Prediction({name: np.mean([each.columns[name] for each in predictions], axis=0) for name in names})
