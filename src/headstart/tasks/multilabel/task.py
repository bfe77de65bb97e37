"""Multi-label classification: any number of K labels per example, none included, each by a sigmoid of its own.

The loss is the binary cross-entropy -y log s(z) - (1 - y) log(1 - s(z)), the mean over examples and labels (binary
relevance; Zhang & Zhou 2014, "A review on multi-label learning algorithms"). A label is taken where its probability
reaches a threshold of its own, chosen on validation data; see `thresholds.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import torch
from pydantic import Field, NonNegativeInt, ValidationInfo, field_validator
from scipy.special import expit
from torch import nn

from headstart.contracts.examples import Examples
from headstart.contracts.features import Features
from headstart.contracts.linear_model import HeldOut, LinearModel
from headstart.contracts.prediction import Prediction
from headstart.contracts.target_kinds import LABEL_SETS
from headstart.contracts.targets import WEIGHT, TargetKinds
from headstart.contracts.task import BoundTask, Calibration, Evaluation, FeatureSource, SplitPolicy, Targets, Tensors
from headstart.kernel.errors import DataError, unknown
from headstart.kernel.settings import Settings
from headstart.tasks._label_kinds import TARGET, codes_of, column_of, in_natural_order
from headstart.tasks._label_sets import LISTS, form_of, joining, label_sets
from headstart.tasks._learnt_state import distinct, one_for_each
from headstart.tasks.multilabel.metrics import CHOSEN, PROBABILITIES, multilabel_metrics
from headstart.tasks.multilabel.thresholds import LOWEST, PLAIN, best_threshold

START_SCALE = 0.01
"""Standard deviation of a fresh head's weights: small, so that training starts from each label's own frequency."""


class MultiLabel(Settings):
    """Any number of labels per example."""

    reads_within: ClassVar[bool] = True

    classes: tuple[str, ...] = ()
    """Label names in order; empty: learnt from the data, sorted naturally. If given, another label is an error."""
    separator: str = ""
    """What stands between the labels of a cell, read and written: '|', ';' or ','; recognised without it."""

    _distinct = field_validator("classes")(distinct)

    @classmethod
    def suits(cls, examples: Examples) -> str | None:
        """Return why the labels are sets: lists, or names with a separator between them; else None."""
        form = form_of(examples)
        if form is None:
            return None
        names = {name for some in label_sets(examples, "" if form == LISTS else form) for name in some}
        how = "lists" if form == LISTS else f"sets separated by '{form}'"
        return f"the labels are {how} ({len(names)} different ones)"

    def split_policy(self, examples: Examples) -> SplitPolicy:
        """Keep the rarest label of each example in proportion."""
        sets = label_sets(examples, self._separator(examples))
        return _by_rarest(sets, self.classes or _sorted(sets), examples)

    def bind(self, examples: Examples, backbone: FeatureSource) -> BoundMultiLabel:
        """Learn names, counts and the separator.

        Raises:
            DataError: a label is missing, no example has any, or every example has the same ones.
        """
        separator = self._separator(examples)
        sets = label_sets(examples, separator)
        classes = self.classes or _sorted(sets)
        if not classes:
            raise DataError(f"{column_of(examples)}: none of the {len(examples)} examples has a label")
        return BoundMultiLabel(
            settings=self,
            classes=classes,
            counts=_counts(sets, classes, examples),
            examples=len(examples),
            separator=separator or joining(classes),
        )

    def restore(self, learnt: Mapping[str, Any]) -> BoundMultiLabel:
        """Take names, counts and separator as they were learnt."""
        return BoundMultiLabel.model_validate({**learnt, "settings": self})

    def _separator(self, examples: Examples) -> str:
        form = form_of(examples)
        return self.separator or (form if form not in (None, LISTS) else "") or ""


class BoundMultiLabel(BoundTask):
    """Multi-label classification whose labels are known."""

    target_kinds: ClassVar[TargetKinds] = {TARGET: LABEL_SETS}

    settings: MultiLabel
    classes: tuple[str, ...] = Field(min_length=1)
    """Label names in order."""
    counts: tuple[NonNegativeInt, ...]
    """Training examples that have each label."""
    examples: int
    """Training examples."""
    separator: str
    """What stands between the labels of a cell."""

    _distinct = field_validator("classes")(distinct)
    _counted = field_validator("counts")(one_for_each("classes"))

    @field_validator("examples")
    @classmethod
    def _enough(cls, examples: int, info: ValidationInfo) -> int:
        if examples < max(info.data.get("counts", ()), default=0):
            raise ValueError("are fewer than have one of the labels")
        return examples

    @property
    def evaluation(self) -> Evaluation:
        """mean_average_precision, micro_f1, macro_f1, average_precision_LABEL for every label; a threshold for each."""
        limits = dict.fromkeys(map(_threshold, self.classes), (LOWEST, 1 - LOWEST))
        return Evaluation(multilabel_metrics(self.classes), self._thresholds, self._chosen, limits=limits)

    def split_policy(self, examples: Examples) -> SplitPolicy:
        """Keep the rarest label of each example in proportion, new labels after the known ones."""
        return _by_rarest(label_sets(examples, self.separator), self._with_new(examples), examples)

    def extended(self, examples: Examples, backbone: FeatureSource) -> Self:
        """New labels come after the known ones. Raises DataError as `bind`."""
        classes = self._with_new(examples)
        counts = _counts(label_sets(examples, self.separator), classes, examples)
        return self.model_copy(update={"classes": classes, "counts": counts, "examples": len(examples)})

    def targets(self, examples: Examples) -> Targets:
        """{"label": (examples, labels) float32 of 0 and 1}, and weights. Raises DataError on a label not known."""
        return {TARGET: _encode(label_sets(examples, self.separator), self.classes, examples), **examples.weights()}

    def head(self, backbone: FeatureSource) -> nn.Linear:
        """(batch, width) -> (batch, labels); weights normal with deviation 0.01, biases each label's log odds."""
        head = nn.Linear(backbone.width, len(self.classes))
        nn.init.normal_(head.weight, std=START_SCALE)
        having = np.array(self.counts) + 0.5
        with torch.no_grad():
            head.bias.copy_(torch.from_numpy(np.log(having / (self.examples + 1 - having))))
        return head

    def forward(self, head: nn.Module, features: Features, inputs: Tensors) -> Tensors:
        """{"logits": (batch, labels)}"""
        return {"logits": head(features.pooled)}

    @property
    def answers(self) -> int:
        """Yes or no to each label."""
        return len(self.classes)

    def losses(self, outputs: Tensors, targets: Tensors) -> Tensors:
        """{"binary_cross_entropy": scalar}, the mean over examples and labels of what is multiplied by the weights."""
        logits = outputs["logits"]
        truth = targets[TARGET].to(logits.dtype)
        weight = targets[WEIGHT].to(logits.dtype)[:, None] if WEIGHT in targets else None
        return {"binary_cross_entropy": nn.functional.binary_cross_entropy_with_logits(logits, truth, weight)}

    def predict(self, head: nn.Module, features: Features, inputs: Tensors) -> Prediction:
        """Column "logits" (batch, labels) float64."""
        return Prediction({"logits": self.forward(head, features, inputs)["logits"].detach().double().cpu().numpy()})

    def decoded(self, outputs: Tensors, calibration: Calibration) -> Tensors:
        """{"probabilities": (batch, labels), "chosen": (batch, labels) bool}"""
        probabilities = outputs["logits"].sigmoid()
        thresholds = torch.as_tensor(self.thresholds(calibration), dtype=probabilities.dtype)
        return {PROBABILITIES: probabilities, CHOSEN: probabilities >= thresholds}

    @property
    def outputs(self) -> int:
        """Number of labels."""
        return len(self.classes)

    def from_scores(self, scores: np.ndarray, inputs: Targets) -> Prediction:
        """Take scores (examples, labels) as logits."""
        return Prediction({"logits": scores})

    def linear_model(self, targets: Targets, seed: int) -> LinearModel:
        """Return a sigmoid for each label."""
        return LinearModel("bernoulli", targets[TARGET], targets.get(WEIGHT), calibrate=self._thresholds_of)

    def thresholds(self, calibration: Calibration) -> np.ndarray:
        """Return the probability (labels,) from which each label is taken: 0.5 where none was chosen."""
        return np.array([calibration.get(_threshold(name), PLAIN) for name in self.classes])

    def _thresholds(self, prediction: Prediction, targets: Targets) -> Calibration:
        """{"threshold NAME": the probability in (0, 1) from which a label is taken}; 0.5 with fewer than 5 examples."""
        probabilities, truth = expit(prediction.columns["logits"]), targets[TARGET]
        weights = (targets[WEIGHT],) if WEIGHT in targets else ()
        return self._thresholds_of([(*found, *weights) for found in zip(probabilities.T, truth.T)])

    def _thresholds_of(self, held_out: HeldOut) -> Calibration:
        return {_threshold(name): best_threshold(*found) for name, found in zip(self.classes, held_out)}

    def _chosen(self, prediction: Prediction, calibration: Calibration) -> Prediction:
        """Add columns "probabilities" and "chosen" (examples, labels); thresholds are 0.5 where none were chosen."""
        probabilities = expit(prediction.columns["logits"])
        found = {PROBABILITIES: probabilities, CHOSEN: probabilities >= self.thresholds(calibration)}
        return Prediction({**prediction.columns, **found})

    def _with_new(self, examples: Examples) -> tuple[str, ...]:
        sets = [self.settings.classes, *label_sets(examples, self.separator)]
        found = _sorted(sets)
        known = codes_of(found, self.classes)
        return (*self.classes, *(name for name in found if name not in known))


def _threshold(name: str) -> str:
    return f"threshold {name}"


def _sorted(sets: Collection[Sequence[str]]) -> tuple[str, ...]:
    return in_natural_order(name for some in sets for name in some)


def _by_rarest(sets: Sequence[tuple[str, ...]], classes: tuple[str, ...], examples: Examples) -> SplitPolicy:
    """Number the labels from 1; 0 is an example without any."""
    truth = _encode(sets, classes, examples).astype(bool)
    if not classes:
        return SplitPolicy(np.zeros(len(sets), np.int64), ("no label",))
    rarity = np.where(truth, truth.sum(axis=0), np.inf)
    strata = np.where(truth.any(axis=1), rarity.argmin(axis=1) + 1, 0).astype(np.int64)
    held = [(np.flatnonzero(row) + 1).tolist() or [0] for row in truth]
    return SplitPolicy(strata, ("no label", *classes), held)


def _counts(sets: Sequence[tuple[str, ...]], classes: tuple[str, ...], examples: Examples) -> tuple[int, ...]:
    """Examples that have each label. Raises DataError where there is nothing to tell apart."""
    counts = _encode(sets, classes, examples).sum(axis=0).astype(int)
    if not ((counts > 0) & (counts < len(examples))).any():
        raise DataError(
            f"{column_of(examples)}: all {len(examples)} examples have the same labels "
            f"({', '.join(_sorted(sets)[:10])}); there is nothing to tell apart"
        )
    return tuple(counts.tolist())


def _encode(sets: Sequence[tuple[str, ...]], classes: tuple[str, ...], examples: Examples) -> np.ndarray:
    code = codes_of((name for some in sets for name in some), classes)
    strange = [(row, name) for row, some in enumerate(sets) for name in some if name not in code]
    if strange:
        rows = sorted({row for row, _ in strange})
        raise DataError(
            f"{column_of(examples)}: {unknown('label', strange[0][1], classes)} "
            f"{len(rows)} examples have a label that is not known here, first {examples.named(rows)}."
        )
    encoded = np.zeros((len(sets), len(classes)), dtype=np.float32)
    for row, some in enumerate(sets):
        encoded[row, [code[name] for name in some]] = 1.0
    return encoded
