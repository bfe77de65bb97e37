"""Classification: one of K classes per example, from pooled features through a linear head and softmax.

The loss is the cross-entropy -log softmax(logits)[label], times the weight of the example where examples have weights.
With `class_weights = "balanced"` an example of class k counts n / (K n_k), n_k being the training count (the sum of the
weights), and the loss is the weighted mean. Probabilities are
softmax(logits / T) with the temperature T of Guo et al. (2017), fitted on validation data.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
import torch
from pydantic import Field, field_validator
from scipy.special import softmax
from torch import nn

from headstart.contracts.examples import Examples
from headstart.contracts.features import Features
from headstart.contracts.linear_model import LinearModel
from headstart.contracts.prediction import Prediction
from headstart.contracts.target_kinds import CLASS_IDS
from headstart.contracts.targets import WEIGHT, TargetKinds
from headstart.contracts.task import BoundTask, Calibration, Evaluation, FeatureSource, SplitPolicy, Targets, Tensors
from headstart.kernel.errors import DataError, unknown
from headstart.kernel.settings import Settings
from headstart.numerics.calibration import fit_temperature
from headstart.tasks._label_kinds import (
    TARGET,
    class_names,
    class_reason,
    codes_of,
    column_of,
    in_natural_order,
    label_kind,
    require_labels,
)
from headstart.tasks._learnt_state import TEMPERATURE, distinct, one_for_each, temperature_of
from headstart.tasks.classification.metrics import classification_metrics

START_SCALE = 0.01
"""Standard deviation of a fresh head's weights: small, so that training starts from nearly equal probabilities."""


class Classification(Settings):
    """One of several classes per example."""

    classes: tuple[str, ...] = ()
    """Class names in order; empty: learnt from the labels, sorted naturally. If given, another label is an error."""
    class_weights: Literal["none", "balanced"] = "none"
    """'balanced' weighs each class inversely to its training count, for rare classes that matter as much as others."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """Share of each label spread over all classes in training by steps (Szegedy et al. 2016); in [0, 1)."""

    _distinct = field_validator("classes")(distinct)

    @classmethod
    def suits(cls, examples: Examples) -> str | None:
        """Return why the labels name classes: texts, true/false, or whole numbers of few distinct values; else None.

        Raises:
            DataError: labels of different kinds are mixed, or there is none.
        """
        if TARGET not in examples.schema.targets:
            return None
        return class_reason(examples)

    def split_policy(self, examples: Examples) -> SplitPolicy:
        """Keep the classes in proportion."""
        return _by_class(_names(examples), self.classes, examples)

    def bind(self, examples: Examples, backbone: FeatureSource) -> BoundClassification:
        """Learn class names and counts.

        Raises:
            DataError: missing labels, mixed kinds, a single class, or decimal numbers that are not classes.
        """
        names = _names(examples)
        classes = self.classes or in_natural_order(names)
        counts = np.bincount(_encode(names, classes, examples), examples.weights().get(WEIGHT), len(classes))
        _require_classes(examples, counts, given=bool(self.classes))
        return BoundClassification(settings=self, classes=classes, counts=tuple(counts.tolist()))

    def restore(self, learnt: Mapping[str, Any]) -> BoundClassification:
        """Take class names and counts as they were learnt."""
        return BoundClassification.model_validate({**learnt, "settings": self})


class BoundClassification(BoundTask):
    """Classification whose classes are known."""

    target_kinds: ClassVar[TargetKinds] = {TARGET: CLASS_IDS}

    settings: Classification
    classes: tuple[str, ...] = Field(min_length=2)
    """Class names in order."""
    counts: tuple[Annotated[int | float, Field(ge=0, le=1e18)], ...]
    """Training examples of each class; where they have weights, the sums of these."""

    _distinct = field_validator("classes")(distinct)
    _counted = field_validator("counts")(one_for_each("classes"))

    @property
    def evaluation(self) -> Evaluation:
        """accuracy, balanced_accuracy, macro_f1, roc_auc (one against the rest, macro), log_loss, ece; temperature."""
        return Evaluation(classification_metrics(self.classes), _temperature, _with_probabilities, limits=TEMPERATURE)

    def split_policy(self, examples: Examples) -> SplitPolicy:
        """Keep the classes in proportion, new ones after the known ones."""
        return _by_class(_names(examples), (*self.classes, *self._new(examples)), examples)

    def extended(self, examples: Examples, backbone: FeatureSource) -> Self:
        """New classes come after the known ones; all examples may be of one class. Raises DataError as `bind`."""
        classes = (*self.classes, *self._new(examples))
        counts = np.bincount(_encode(_names(examples), classes, examples), minlength=len(classes))
        return self.model_copy(update={"classes": classes, "counts": tuple(counts.tolist())})

    def targets(self, examples: Examples) -> Targets:
        """{"label": (examples,) int64}, and weights. Raises DataError on a missing label or one of an unknown class."""
        return {TARGET: _encode(_known_names(examples), self.classes, examples), **examples.weights()}

    def head(self, backbone: FeatureSource) -> nn.Linear:
        """(batch, width) -> (batch, classes); weights normal with deviation 0.01, biases 0."""
        head = nn.Linear(backbone.width, len(self.classes))
        nn.init.normal_(head.weight, std=START_SCALE)
        nn.init.zeros_(head.bias)
        return head

    def forward(self, head: nn.Module, features: Features, inputs: Tensors) -> Tensors:
        """{"logits": (batch, classes)}"""
        return {"logits": head(features.pooled)}

    def losses(self, outputs: Tensors, targets: Tensors) -> Tensors:
        """{"cross_entropy": scalar}, the mean over the batch, weighted where class weights are on or examples have any.

        Labels are smoothed where gradients flow: validation measures the plain cross-entropy.
        """
        logits, weights = outputs["logits"], None
        if self.settings.class_weights == "balanced":
            weights = torch.as_tensor(self._class_weights(), dtype=logits.dtype, device=logits.device)
        smoothing = self.settings.label_smoothing if logits.requires_grad else 0.0
        labels, of_examples = targets[TARGET], targets.get(WEIGHT)
        if of_examples is None:
            loss = nn.functional.cross_entropy(logits, labels, weight=weights, label_smoothing=smoothing)
            return {"cross_entropy": loss}
        losses = nn.functional.cross_entropy(logits, labels, weights, label_smoothing=smoothing, reduction="none")
        total = len(labels) if weights is None else weights[labels].sum()
        return {"cross_entropy": of_examples.to(logits.dtype) @ losses / total}

    @property
    def in_sums(self) -> bool:
        """Return whether classes are weighted."""
        return self.settings.class_weights == "balanced"

    def sums(self, outputs: Tensors, targets: Tensors) -> Tensors:
        """{"cross_entropy": (), "weight": ()}: the weighted sum, and that of the weights of the examples' classes."""
        mean, weights = self.losses(outputs, targets)["cross_entropy"], self._class_weights()
        weight = mean.new_tensor(weights[targets[TARGET].cpu().numpy()].sum())
        return {"cross_entropy": mean * weight, "weight": weight}

    def losses_of(self, sums: Tensors) -> Tensors:
        """Return the weighted mean."""
        return {"cross_entropy": sums["cross_entropy"] / sums["weight"]}

    def predict(self, head: nn.Module, features: Features, inputs: Tensors) -> Prediction:
        """Column "logits" (batch, classes) float64."""
        return Prediction({"logits": self.forward(head, features, inputs)["logits"].detach().double().cpu().numpy()})

    def decoded(self, outputs: Tensors, calibration: Calibration) -> Tensors:
        """{"probabilities": (batch, classes), "class": (batch,)}"""
        logits = outputs["logits"]
        probabilities = (logits / calibration.get("temperature", 1.0)).softmax(dim=1)
        return {"probabilities": probabilities, "class": logits.argmax(dim=1)}

    @property
    def outputs(self) -> int:
        """Number of classes."""
        return len(self.classes)

    def from_scores(self, scores: np.ndarray, inputs: Targets) -> Prediction:
        """Take scores (examples, classes) as logits."""
        return Prediction({"logits": scores})

    def linear_model(self, targets: Targets, seed: int) -> LinearModel:
        """Return the softmax of the classes, weighted as the loss is."""
        labels = targets[TARGET]
        weights = targets.get(WEIGHT)
        if self.settings.class_weights == "balanced":
            weights = self._class_weights()[labels] * (1.0 if weights is None else weights)
        return LinearModel("categorical", labels, weights, calibrate=temperature_of)

    def _class_weights(self) -> np.ndarray:
        counts = np.array(self.counts, dtype=np.float64)
        return counts.sum() / (len(counts) * np.where(counts > 0, counts, 1.0))

    def _new(self, examples: Examples) -> tuple[str, ...]:
        names = {*self.settings.classes, *_names(examples)}
        return in_natural_order(names - codes_of(names, self.classes).keys())


def _temperature(prediction: Prediction, targets: Targets) -> Calibration:
    """{"temperature": T}, T in [0.05, 20]; 1 on fewer than 10 examples."""
    return {"temperature": fit_temperature(prediction.columns["logits"], targets[TARGET], targets.get(WEIGHT))}


def _with_probabilities(prediction: Prediction, calibration: Calibration) -> Prediction:
    """Add column "probabilities" (examples, classes): softmax(logits / T); T is 1 where none was fitted."""
    logits = prediction.columns["logits"]
    probabilities = softmax(logits / calibration.get("temperature", 1.0), axis=1)
    return Prediction({**prediction.columns, "probabilities": probabilities})


def _names(examples: Examples) -> list[str]:
    """The class name of each label. Raises DataError on missing labels and mixed kinds."""
    label_kind(examples)
    return _known_names(examples)


def _known_names(examples: Examples) -> list[str]:
    require_labels(examples)
    return [str(name) for name in class_names(examples)]


def _by_class(names: list[str], classes: tuple[str, ...], examples: Examples) -> SplitPolicy:
    classes = classes or in_natural_order(names)
    return SplitPolicy(_encode(names, classes, examples), classes)


def _encode(names: list[str], classes: tuple[str, ...], examples: Examples) -> np.ndarray:
    code = codes_of(names, classes)
    strange = [row for row, name in enumerate(names) if name not in code]
    if strange:
        raise DataError(
            f"{column_of(examples)}: {unknown('class', names[strange[0]], classes)} "
            f"{len(strange)} examples have a label that is not a class here, first {examples.named(strange)}."
        )
    return np.array([code[name] for name in names], dtype=np.int64)


def _require_classes(examples: Examples, counts: np.ndarray, *, given: bool) -> None:
    where, present = column_of(examples), int((counts > 0).sum())
    if present < 2:
        raise DataError(
            f"{where}: all {len(examples)} labels are '{class_names(examples)[0]}';"
            " classification needs at least two classes"
        )
    if not given and label_kind(examples) == "decimal" and 2 * present > len(examples):
        raise DataError(
            f"{where}: the labels are decimal numbers with {present} different values in {len(examples)} rows,"
            " so they are quantities, not classes. Use the task 'regression'."
        )
