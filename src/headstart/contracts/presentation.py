"""Presentation: labels and predictions of a task as tables and reports show them.

The file `presentation.py` beside a task's main module has a function `presentation`, from the bound task to its
`Presentation`; it may have another, `review`, from labelled examples to what `inspect` says of them. The file is found
by its name when something is shown: training and judging need none of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from types import ModuleType
from typing import Any, Protocol

import numpy as np

from headstart.contracts.examples import Examples
from headstart.contracts.panels import Mistake, Panel
from headstart.contracts.prediction import Prediction
from headstart.contracts.review import Review
from headstart.contracts.task import BoundTask, Targets, Task


class Presentation(Protocol):
    """Labels and predictions as tables and reports show them."""

    def labels(self, examples: Examples) -> Sequence[Any]:
        """Return the target of each example as a table shows it: a class name, a number, the classes in a picture."""
        ...

    def tally(self, labels: Sequence[Any]) -> Mapping[str, int]:
        """Count what is predicted in some of the `labels`, by name: examples of a class, spans of a type."""
        ...

    def columns(self, prediction: Prediction) -> Mapping[str, np.ndarray]:
        """Return the columns that `predict` writes, one value per example."""
        ...

    def panels(self, prediction: Prediction, targets: Targets) -> tuple[Panel, ...]:
        """Return what the report shows of the predictions beside the metrics."""
        ...

    def mistakes(self, prediction: Prediction, targets: Targets, most: int) -> tuple[Mistake, ...]:
        """Return the worst predictions, worst first, at most `most`."""
        ...


def presentation_of(task: BoundTask) -> Presentation:
    """Return how labels and predictions of a bound task are shown. Raises ModuleNotFoundError without the file."""
    found: Presentation = _beside(type(task)).presentation(task)
    return found


def review_of(task: type[Task], examples: Examples) -> Review | None:
    """Return the review of labels that suit the task, of which some may be missing; None where it has none."""
    review = getattr(_beside(task), "review", None)
    return None if review is None else review(examples)


def _beside(task: type) -> ModuleType:
    return import_module(f"{task.__module__.rpartition('.')[0]}.presentation")
