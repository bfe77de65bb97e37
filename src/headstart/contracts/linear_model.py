"""The linear model of a task: all that solving for its linear head has to know of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np

HeldOut = Sequence[tuple[np.ndarray, ...]]
"""Logits (held-out samples, classes) by heads solved without them, and their classes; of 'bernoulli', for each output
its probabilities (held-out samples,) and truth. Empty where nothing was held out. Where samples have weights, these
follow (held-out samples,)."""


Solved = tuple[np.ndarray, np.ndarray, Mapping[str, float], HeldOut]
"""Weight (outputs, width) and bias (outputs,) of the head, what was chosen, for the report, and what was held out."""


class LinearModel(NamedTuple):
    """The distribution of targets given the outputs of a linear head."""

    family: (
        Literal["categorical", "bernoulli", "normal", "several"]
        | Callable[[np.ndarray, np.ndarray | None, int], Solved]
    )
    """'categorical': softmax over all outputs; 'bernoulli': a sigmoid of each output; 'normal': a mean; 'several': as
    the heads of the tasks of a `SeveralTasks`, each of which is solved by itself. Of any other,
    the function that solves it from features (samples, width), groups and a seed."""
    targets: np.ndarray
    """(samples,) class numbers, (samples, outputs) of 0 and 1, or (samples,) numbers in the unit of the output."""
    weights: np.ndarray | None = None
    """(samples,) of the losses; None for 1 each."""
    rows: np.ndarray | None = None
    """The samples to use, in order; None for all."""
    calibrate: Callable[[HeldOut], Mapping[str, float]] | None = None
    """The calibration by held-out samples, so that none has to be kept from the head for it."""
    samples: str = ""
    """Name of the samples, such as 'words', for the record of their number; empty where they are examples."""
