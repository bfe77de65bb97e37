"""Few labels of a data set: some training examples per class, drawn by a seed, and one test part for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from headstart.contracts.modality import raws_of
from headstart.pipeline.data import Given
from headstart.pipeline.plan import Plan
from headstart.pipeline.sequence import start

MOST_TESTED = 400


@dataclass(frozen=True)
class FewLabels:
    """What every method is given."""

    modality: str
    """'image', whose inputs are paths, or 'text'."""
    classes: tuple[str, ...]
    inputs: Sequence[str]
    """(training examples,)."""
    labels: np.ndarray
    """(training examples,) int64."""
    test_inputs: Sequence[str]
    test_labels: np.ndarray

    def frame(self) -> pd.DataFrame:
        """A table with the columns input, label and part."""
        parts = ["train"] * len(self.inputs) + ["test"] * len(self.test_inputs)
        numbers = np.concatenate([self.labels, self.test_labels])
        names = [self.classes[number] for number in numbers]
        return pd.DataFrame({"input": [*self.inputs, *self.test_inputs], "label": names, "part": parts})


def few_labels(source: Path, per_class: int, seed: int) -> FewLabels:
    """Draw `per_class` examples of each class from all that are not for the test, whose part is at most 400."""
    prepared = start(Given(str(source)), Plan(data=str(source))).data
    labels = prepared.targets["label"]
    pool = np.concatenate([prepared.split.train, prepared.split.val])
    test = np.random.default_rng(0).permutation(prepared.split.test)[:MOST_TESTED]
    draws = np.random.default_rng(seed)
    classes = range(int(labels.max()) + 1)
    chosen = np.concatenate([draws.permutation(pool[labels[pool] == one])[:per_class] for one in classes])
    raws = [str(raw) for raw in raws_of(prepared.examples, np.concatenate([chosen, test]))]
    names = tuple(str(name) for name in prepared.task.classes)  # type: ignore[attr-defined]
    modality, size = prepared.examples.schema.modality, len(chosen)
    return FewLabels(modality, names, raws[:size], labels[chosen], raws[size:], labels[test])
