"""Multi-label classification: any number of K labels per example, none included, each by a sigmoid of its own.

The loss is the binary cross-entropy -y log s(z) - (1 - y) log(1 - s(z)), the mean over examples and labels (binary
relevance; Zhang & Zhou 2014, "A review on multi-label learning algorithms"). A label is taken where its probability
reaches a threshold of its own, chosen on validation data; see `thresholds.py`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import torch
from pydantic import field_validator
from scipy.special import expit
from torch import Tensor, nn

from headstart.contracts.carriers import Batch, Features, MapShape, Prediction
from headstart.contracts.examples import Examples
from headstart.contracts.metric import Metric
from headstart.contracts.panels import Mistake, Panel
from headstart.contracts.targets import LabelSets, TargetKinds
from headstart.contracts.task import PlainTask, Targets
from headstart.kernel.errors import DataError, unknown
from headstart.tasks._label_kinds import TARGET, column_of, natural_order, origins_of
from headstart.tasks._label_sets import LISTS, form_of, joining, label_sets
from headstart.tasks._learnt_state import (
    distinct,
    require_calibration,
    require_counts,
    require_names,
    require_within,
)
from headstart.tasks.multilabel.metrics import CHOSEN, PROBABILITIES, multilabel_metrics
from headstart.tasks.multilabel.panels import multilabel_exhibits, surest_errors
from headstart.tasks.multilabel.solve import solve_labels
from headstart.tasks.multilabel.thresholds import LOWEST, PLAIN, best_threshold

START_SCALE = 0.01
"""Standard deviation of a fresh head's weights: small, so that training starts from each label's own frequency."""


class MultiLabel(PlainTask):
    """Any number of labels per example."""

    target_kinds: ClassVar[TargetKinds] = {TARGET: LabelSets()}

    classes: tuple[str, ...] = ()
    """Label names in order; empty: learnt from the data, sorted naturally. If given, another label is an error."""
    counts: tuple[int, ...] = ()
    """Training examples that have each label; learnt from the data."""
    examples: int = 0
    """Training examples; learnt from the data."""
    separator: str = ""
    """What stands between the labels of a cell, read and written: '|', ';' or ','; recognised without it."""

    _distinct = field_validator("classes")(distinct)

    @classmethod
    def suits(cls, examples: Examples) -> str | None:
        """Why the labels are sets: lists, or names with a separator between them; else None."""
        form = form_of(examples)
        if form is None:
            return None
        names = {name for some in label_sets(examples, "" if form == LISTS else form) for name in some}
        how = "lists" if form == LISTS else f"sets separated by '{form}'"
        return f"the labels are {how} ({len(names)} different ones)"

    def bind(self, examples: Examples) -> Self:
        """Learn names, counts and the separator.

        Raises:
            DataError: a label is missing, no example has any, or every example has the same ones.
        """
        form = form_of(examples)
        separator = self.separator or (form if form not in (None, LISTS) else "") or ""
        sets = label_sets(examples, separator)
        found = sorted({name for some in sets for name in some}, key=natural_order)
        classes = self.classes or tuple(found)
        if not classes:
            raise DataError(f"{column_of(examples)}: none of the {len(examples)} examples has a label")
        encoded = _encode(sets, classes, examples)
        counts = encoded.sum(axis=0).astype(int)
        if not ((counts > 0) & (counts < len(examples))).any():
            raise DataError(
                f"{column_of(examples)}: all {len(examples)} examples have the same labels ({', '.join(found[:10])}); "
                "there is nothing to tell apart"
            )
        learnt = {"classes": classes, "counts": tuple(counts.tolist()), "examples": len(examples)}
        return self.model_copy(update={**learnt, "separator": separator or joining(classes)})

    def continued(self, examples: Examples) -> Self:
        """New labels come after the known ones. Raises DataError as `bind`."""
        sets = label_sets(examples, self.separator)
        new = {name for some in sets for name in some} - set(self.classes)
        classes = (*self.classes, *sorted(new, key=natural_order))
        return self.model_copy(update={"classes": classes}).bind(examples)

    def require_learnt(self, calibration: Mapping[str, float]) -> None:
        """A label or more with their counts, and thresholds of labels in (0, 1). Raises SettingsError."""
        require_names("classes", self.classes, 1)
        require_counts("counts", self.counts, self.classes)
        require_within("task.examples", self.examples, max(self.counts), math.inf)
        require_calibration(calibration, [_threshold(name) for name in self.classes])
        for name, threshold in calibration.items():
            require_within(f"calibration.{name}", threshold, LOWEST, 1 - LOWEST)

    def targets(self, examples: Examples) -> Targets:
        """{"label": (examples, labels) float32 of 0 and 1}. Raises DataError on a label that is not known."""
        return {TARGET: _encode(label_sets(examples, self.separator), self.classes, examples)}

    def labels(self, examples: Examples) -> Sequence[Any]:
        """The labels of each example in one text, in the order of the classes."""
        return [self._written(row) for row in self.targets(examples)[TARGET]]

    def tally(self, labels: Sequence[Any]) -> Mapping[str, int]:
        """Examples that have each label."""
        return Counter(name for text in labels for name in text.split(self.separator) if name)

    def strata(self, targets: Targets) -> np.ndarray:
        """The rarest label of each example, numbered from 1; 0 for an example without any."""
        truth = targets[TARGET].astype(bool)
        rarity = np.where(truth, truth.sum(axis=0), np.inf)
        return np.where(truth.any(axis=1), rarity.argmin(axis=1) + 1, 0).astype(np.int64)

    def strata_names(self, strata: np.ndarray, labels: Sequence[Any]) -> Sequence[str]:  # noqa: ARG002
        """The labels; `strata` (examples,) counts from 0 for none."""
        return ("no label", *self.classes)

    def head(self, width: int, maps: tuple[MapShape, ...] = ()) -> nn.Linear:  # noqa: ARG002
        """(batch, width) -> (batch, labels); weights normal with deviation 0.01, biases each label's log odds."""
        head = nn.Linear(width, len(self.classes))
        nn.init.normal_(head.weight, std=START_SCALE)
        having = np.array(self.counts) + 0.5
        with torch.no_grad():
            head.bias.copy_(torch.from_numpy(np.log(having / (self.examples + 1 - having))))
        return head

    def apply(self, head: nn.Module, features: Features, batch: Batch) -> Mapping[str, Tensor]:  # noqa: ARG002
        """{"logits": (batch, labels)}"""
        return {"logits": head(features.pooled)}

    def losses(self, outputs: Mapping[str, Tensor], batch: Batch) -> Mapping[str, Tensor]:
        """{"binary_cross_entropy": scalar}, the mean over examples and labels."""
        logits = outputs["logits"]
        truth = batch.targets[TARGET].to(logits.dtype)
        return {"binary_cross_entropy": nn.functional.binary_cross_entropy_with_logits(logits, truth)}

    def decode(self, outputs: Mapping[str, Tensor]) -> Prediction:
        """Column "logits" (batch, labels) float64."""
        return Prediction({"logits": outputs["logits"].detach().double().cpu().numpy()})

    def calibrate(self, prediction: Prediction, targets: Targets) -> Mapping[str, float]:
        """{"threshold NAME": the probability in (0, 1) from which a label is taken}; 0.5 with fewer than 5 examples."""
        probabilities, truth = expit(prediction.columns["logits"]), targets[TARGET]
        found = zip(self.classes, probabilities.T, truth.T)
        return {_threshold(name): best_threshold(column, true) for name, column, true in found}

    def finish(self, prediction: Prediction, calibration: Mapping[str, float]) -> Prediction:
        """Adds columns "probabilities" and "chosen" (examples, labels); thresholds are 0.5 where none were chosen."""
        probabilities = expit(prediction.columns["logits"])
        thresholds = np.array([calibration.get(_threshold(name), PLAIN) for name in self.classes])
        found = {PROBABILITIES: probabilities, CHOSEN: probabilities >= thresholds}
        return Prediction({**prediction.columns, **found})

    def metrics(self) -> tuple[Metric, ...]:
        """mean_average_precision, micro_f1, macro_f1, and average_precision_LABEL for every label."""
        return multilabel_metrics(self.classes)

    def solve(
        self, features: np.ndarray, targets: Targets, groups: np.ndarray | None, seed: int
    ) -> tuple[nn.Linear, dict[str, float]]:
        """A logistic regression per label; see `tasks/multilabel/solve.py`.

        Returns:
            The head, and {"C", "cv_score", "folds"}: the median inverse regularisation over labels, the mean log
            likelihood of held-out examples per label, and the fewest folds of a label (0: its C is fixed).
        """
        solution = solve_labels(features, targets[TARGET], groups=groups, seed=seed)
        head = self.head(features.shape[1])
        with torch.no_grad():
            head.weight.copy_(torch.from_numpy(solution.weight))
            head.bias.copy_(torch.from_numpy(solution.bias))
        return head, {"C": solution.C, "cv_score": solution.cv_score, "folds": solution.folds}

    def rows(self, prediction: Prediction) -> Mapping[str, np.ndarray]:
        """ "prediction" (the labels taken, with the separator between them), and "p_LABEL" for every label."""
        probabilities = prediction.columns[PROBABILITIES]
        chosen = [self._written(row) for row in prediction.columns[CHOSEN]]
        scores = {f"p_{name}": probabilities[:, k] for k, name in enumerate(self.classes)}
        return {"prediction": np.array(chosen, dtype=object), **scores}

    def panels(self, prediction: Prediction, targets: Targets) -> tuple[Panel, ...]:
        """The figures of each label, and the reliability diagram of all of them."""
        return multilabel_exhibits(self.classes, targets[TARGET], prediction)

    def mistakes(self, prediction: Prediction, targets: Targets, most: int) -> tuple[Mistake, ...]:
        """Examples with a label too many or too few, the surest errors first."""
        return surest_errors(self.classes, targets[TARGET], prediction, most, self._written)

    def _written(self, has: np.ndarray) -> str:
        return self.separator.join(name for name, one in zip(self.classes, has) if one)


def _threshold(name: str) -> str:
    return f"threshold {name}"


def _encode(sets: Sequence[tuple[str, ...]], classes: tuple[str, ...], examples: Examples) -> np.ndarray:
    code = {name: k for k, name in enumerate(classes)}
    strange = [(row, name) for row, some in enumerate(sets) for name in some if name not in code]
    if strange:
        rows = sorted({row for row, _ in strange})
        raise DataError(
            f"{column_of(examples)}: {unknown('label', strange[0][1], classes)} "
            f"{len(rows)} examples have a label that is not known here, first {origins_of(examples, rows)}."
        )
    encoded = np.zeros((len(sets), len(classes)), dtype=np.float32)
    for row, some in enumerate(sets):
        encoded[row, [code[name] for name in some]] = 1.0
    return encoded
