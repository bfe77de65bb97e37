"""Classification: one of K classes per example, from pooled features through a linear head and softmax.

The loss is the cross-entropy -log softmax(logits)[label]. With `class_weights = "balanced"` an example of class k
counts n / (K n_k), n_k being the training count, and the loss is the weighted mean. Probabilities are
softmax(logits / T) with the temperature T of Guo et al. (2017), fitted on validation data.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, Self

import numpy as np
import torch
from pydantic import Field, field_validator
from scipy.special import softmax
from torch import Tensor, nn

from headstart.contracts.carriers import Batch, Features, MapShape, Prediction
from headstart.contracts.examples import Examples
from headstart.contracts.metric import Metric
from headstart.contracts.panels import Mistake, Panel
from headstart.contracts.targets import ClassIds, TargetKinds
from headstart.contracts.task import PlainTask, Targets
from headstart.kernel.errors import DataError, unknown
from headstart.numerics.calibration import fit_temperature
from headstart.tasks._label_kinds import (
    TARGET,
    class_name,
    class_reason,
    column_of,
    label_kind,
    natural_order,
    origins_of,
    require_labels,
)
from headstart.tasks._label_sets import form_of
from headstart.tasks._learnt_state import (
    TEMPERATURE,
    distinct,
    require_calibration,
    require_counts,
    require_names,
)
from headstart.tasks._logistic import solve_logistic
from headstart.tasks.classification.metrics import classification_metrics
from headstart.tasks.classification.panels import classification_panels, confident_mistakes

START_SCALE = 0.01
"""Standard deviation of a fresh head's weights: small, so that training starts from nearly equal probabilities."""


class Classification(PlainTask):
    """One of several classes per example."""

    one_class: ClassVar[bool] = True
    target_kinds: ClassVar[TargetKinds] = {TARGET: ClassIds()}

    classes: tuple[str, ...] = ()
    """Class names in order; empty: learnt from the labels, sorted naturally. If given, another label is an error."""
    counts: tuple[int, ...] = ()
    """Training examples of each class; learnt from the labels."""
    class_weights: Literal["none", "balanced"] = "none"
    """'balanced' weighs each class inversely to its training count, for rare classes that matter as much as others."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """Share of each label spread over all classes in training by steps (Szegedy et al. 2016); in [0, 1)."""

    _distinct = field_validator("classes")(distinct)

    @classmethod
    def suits(cls, examples: Examples) -> str | None:
        """Why the labels name classes: texts, true/false, or whole numbers of few distinct values; else None.

        Raises:
            DataError: labels of different kinds are mixed, or there is none.
        """
        if TARGET not in examples.schema.targets or form_of(examples) is not None:
            return None
        return class_reason(examples)

    def bind(self, examples: Examples) -> Self:
        """Learn class names and counts.

        Raises:
            DataError: missing labels, mixed kinds, a single class, or decimal numbers that are no classes.
        """
        label_kind(examples)
        require_labels(examples)
        names = [class_name(value) for value in examples.target(TARGET)]
        classes = self.classes or tuple(sorted(set(names), key=natural_order))
        codes = _encode(names, classes, examples)
        counts = np.bincount(codes, minlength=len(classes))
        self._require_classes(examples, counts)
        return self.model_copy(update={"classes": classes, "counts": tuple(counts.tolist())})

    def continued(self, examples: Examples) -> Self:
        """New classes come after the known ones; all examples may be of one class. Raises DataError as `bind`."""
        label_kind(examples)
        require_labels(examples)
        names = [class_name(value) for value in examples.target(TARGET)]
        classes = (*self.classes, *sorted(set(names) - set(self.classes), key=natural_order))
        counts = np.bincount(_encode(names, classes, examples), minlength=len(classes))
        return self.model_copy(update={"classes": classes, "counts": tuple(counts.tolist())})

    def require_learnt(self, calibration: Mapping[str, float]) -> None:
        """Two classes or more with their counts, and a temperature. Raises SettingsError."""
        require_names("classes", self.classes, 2)
        require_counts("counts", self.counts, self.classes)
        require_calibration(calibration, (TEMPERATURE,))

    def targets(self, examples: Examples) -> Targets:
        """{"label": (examples,) int64}. Raises DataError on a missing label or one that is no known class."""
        require_labels(examples)
        names = [class_name(value) for value in examples.target(TARGET)]
        return {TARGET: _encode(names, self.classes, examples)}

    def strata(self, targets: Targets) -> np.ndarray:
        """The classes."""
        return targets[TARGET]

    def head(self, width: int, maps: tuple[MapShape, ...] = ()) -> nn.Linear:  # noqa: ARG002
        """(batch, width) -> (batch, classes); weights normal with deviation 0.01, biases 0."""
        head = nn.Linear(width, len(self.classes))
        nn.init.normal_(head.weight, std=START_SCALE)
        nn.init.zeros_(head.bias)
        return head

    def apply(self, head: nn.Module, features: Features, batch: Batch) -> Mapping[str, Tensor]:  # noqa: ARG002
        """{"logits": (batch, classes)}"""
        return {"logits": head(features.pooled)}

    def losses(self, outputs: Mapping[str, Tensor], batch: Batch) -> Mapping[str, Tensor]:
        """{"cross_entropy": scalar}, the mean over the batch, weighted where class weights are on.

        Labels are smoothed where gradients flow: validation measures the plain cross-entropy.
        """
        logits = outputs["logits"]
        weights = None
        if self.class_weights == "balanced":
            weights = torch.as_tensor(self._class_weights(), dtype=logits.dtype, device=logits.device)
        smoothing = self.label_smoothing if logits.requires_grad else 0.0
        loss = nn.functional.cross_entropy(logits, batch.targets[TARGET], weight=weights, label_smoothing=smoothing)
        return {"cross_entropy": loss}

    def weight(self, batch: Batch) -> float:
        """The examples, or the sum of their classes' weights."""
        labels = batch.targets[TARGET].cpu().numpy()
        return float(self._class_weights()[labels].sum()) if self.class_weights == "balanced" else float(len(labels))

    def decode(self, outputs: Mapping[str, Tensor]) -> Prediction:
        """Column "logits" (batch, classes) float64."""
        return Prediction({"logits": outputs["logits"].detach().double().cpu().numpy()})

    def calibrate(self, prediction: Prediction, targets: Targets) -> Mapping[str, float]:
        """{"temperature": T}, T in [0.05, 20]; 1 on fewer than 10 examples."""
        return {"temperature": fit_temperature(prediction.columns["logits"], targets[TARGET])}

    def finish(self, prediction: Prediction, calibration: Mapping[str, float]) -> Prediction:
        """Adds column "probabilities" (examples, classes): softmax(logits / T); T is 1 where none was fitted."""
        logits = prediction.columns["logits"]
        probabilities = softmax(logits / calibration.get("temperature", 1.0), axis=1)
        return Prediction({**prediction.columns, "probabilities": probabilities})

    def metrics(self) -> tuple[Metric, ...]:
        """accuracy, balanced_accuracy, macro_f1, roc_auc (one against the rest, macro), log_loss, ece."""
        return classification_metrics()

    def solve(
        self, features: np.ndarray, targets: Targets, groups: np.ndarray | None, seed: int
    ) -> tuple[nn.Linear, dict[str, float]]:
        """L2-regularised multinomial logistic regression; see `tasks/_logistic.py`.

        Returns:
            The head, and {"C", "cv_score", "folds", "scaled_each"}: inverse regularisation on standardised features,
            the mean log likelihood of held-out examples, folds (0: too few examples of a class, C is fixed and the
            score NaN), and 1 where each feature was scaled by itself, 0 where all were scaled alike.
        """
        labels = targets[TARGET]
        weights = self._class_weights()[labels] if self.class_weights == "balanced" else None
        solution = solve_logistic(features, labels, len(self.classes), weights=weights, groups=groups, seed=seed)
        head = self.head(features.shape[1])
        with torch.no_grad():
            head.weight.copy_(torch.from_numpy(solution.weight))
            head.bias.copy_(torch.from_numpy(solution.bias))
        chosen = {"C": solution.C, "cv_score": solution.cv_score, "folds": solution.folds}
        return head, {**chosen, "scaled_each": int(solution.scaled_each)}

    def rows(self, prediction: Prediction) -> Mapping[str, np.ndarray]:
        """ "prediction" (class name), "confidence" in [0, 1], and "p_CLASS" for every class."""
        probabilities = prediction.columns["probabilities"]
        chosen = probabilities.argmax(axis=1)
        return {
            "prediction": np.array(self.classes, dtype=object)[chosen],
            "confidence": probabilities.max(axis=1),
            **{f"p_{name}": probabilities[:, k] for k, name in enumerate(self.classes)},
        }

    def panels(self, prediction: Prediction, targets: Targets) -> tuple[Panel, ...]:
        """The confusions, the reliability diagram, and precision and recall of every class."""
        return classification_panels(self.classes, targets[TARGET], prediction.columns["probabilities"])

    def mistakes(self, prediction: Prediction, targets: Targets, most: int) -> tuple[Mistake, ...]:
        """Wrong predictions, the most confident first."""
        return confident_mistakes(self.classes, targets[TARGET], prediction.columns["probabilities"], most)

    def _class_weights(self) -> np.ndarray:
        counts = np.array(self.counts, dtype=np.float64)
        return counts.sum() / (len(counts) * np.maximum(counts, 1.0))

    def _require_classes(self, examples: Examples, counts: np.ndarray) -> None:
        where = column_of(examples)
        present = int((counts > 0).sum())
        if present < 2:
            raise DataError(
                f"{where}: all {len(examples)} labels are '{class_name(examples.target(TARGET)[0])}';"
                " classification needs at least two classes"
            )
        if not self.classes and label_kind(examples) == "decimal" and 2 * present > len(examples):
            raise DataError(
                f"{where}: the labels are decimal numbers with {present} different values in {len(examples)} rows,"
                " so they are quantities, not classes. Use the task 'regression'."
            )


def _encode(names: list[str], classes: tuple[str, ...], examples: Examples) -> np.ndarray:
    code = {name: k for k, name in enumerate(classes)}
    strange = [row for row, name in enumerate(names) if name not in code]
    if strange:
        raise DataError(
            f"{column_of(examples)}: {unknown('class', names[strange[0]], classes)} "
            f"{len(strange)} examples have a label that is no class here, first {origins_of(examples, strange)}."
        )
    return np.array([code[name] for name in names], dtype=np.int64)
