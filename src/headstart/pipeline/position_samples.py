"""The cross-validated probe of tokens or pixels, by which whole examples are predicted.

Sentences and pictures are predicted as by a fit: decoded, windows joined, masks at their own size. Figures are thus the
task's own, and models that see other tokens or cells are compared on the same examples. Regularisation is chosen once
on all samples, as in `held_out_probe.quick_prediction`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from headstart.contracts.prediction import Prediction
from headstart.contracts.task_capabilities import Sampled, Windowed
from headstart.engine.solved.logistic import Scalings, solved_by_fold
from headstart.evidence.folds import Fold
from headstart.kernel.errors import BackboneError, DataError
from headstart.kernel.randomness import draw_seed
from headstart.pipeline.arms import model_with
from headstart.pipeline.context import FitContext
from headstart.pipeline.embed import sampled
from headstart.pipeline.trained import Trained, predict_rows

MOST = 20_000
"""Tokens or pixels that heads are solved on; of more, so many are drawn."""


class Positions(NamedTuple):
    """Tokens or pixels of labelled examples."""

    vectors: np.ndarray
    """(samples, width) finite float32."""
    classes: np.ndarray
    """(samples,) int64."""
    rows: np.ndarray
    """(samples,) int64: the example that each came from."""

    def folds(self, folds: Sequence[Fold]) -> list[Fold]:
        """Return folds of examples as those of the samples."""
        return [Fold(*(np.flatnonzero(np.isin(self.rows, rows)) for rows in fold)) for fold in folds]

    def take(self, most: int, seed: int) -> Positions:
        """Draw at most so many."""
        if len(self.rows) <= most:
            return self
        draws = np.random.default_rng(draw_seed(seed, f"{most} positions"))
        some = np.sort(draws.choice(len(self.rows), most, replace=False))
        return Positions(*(values[some] for values in self))


def positions_of(context: FitContext) -> Positions:
    """Draw tokens or pixels of the training and validation part, from what the frozen pass has kept.

    Raises:
        DataError: the task has no head for them that can be solved for.
        BackboneError: features are NaN or infinite.
    """
    task, split, seed = context.read.task.linear(), context.read.split, context.plan.seed
    if not isinstance(task, Sampled):
        raise DataError("the head of this task cannot be solved for")
    vectors, targets, owners = sampled(context, task, np.union1d(split.train, split.val))
    if not np.isfinite(vectors).all():
        raise BackboneError("its features are NaN or infinite: its weights are of no use")
    whole = context.data.examples
    if context.windows is not None and isinstance(task, Windowed):
        windows = task.cut(whole, context.backbone)
        owners = owners if windows is None else windows.owner[owners]
    model = task.linear_model(targets, seed)
    if model.family != "categorical":
        raise DataError("select ranks models for tokens and pixels of one class each")
    used = np.arange(len(owners)) if model.rows is None else model.rows
    return Positions(vectors[used], model.targets, owners[used]).take(MOST, seed)


def held_out_examples(context: FitContext, positions: Positions, folds: Sequence[Fold]) -> Prediction:
    """Return the finished predictions of all examples, in order, each by a head that was solved without its fold."""
    task, units = context.data.task.linear(), context.data.split.units
    groups = positions.rows if units is None else units[positions.rows]
    head = task.head(context.backbone)
    solved = solved_by_fold(
        Scalings(positions.vectors),
        positions.classes,
        len(head.get_parameter("bias")),
        positions.folds(folds),
        groups=groups,
        seed=context.plan.seed,
    )
    parts = []
    for (weight, bias), fold in zip(solved, folds):
        head.load_state_dict({"weight": torch.from_numpy(weight), "bias": torch.from_numpy(bias)})
        model = model_with(context, context.backbone, head, task).eval()
        parts.append(predict_rows(context, Trained("probe", "", model, 0.0, {}), fold.held))
    return Prediction.join(parts).take(np.argsort(np.concatenate([fold.held for fold in folds])))
