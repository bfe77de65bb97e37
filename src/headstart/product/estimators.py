"""scikit-learn estimators over the same parts: a pretrained backbone, the frozen pass, a tuning.

`X` may be a matrix of numbers, a sequence of texts or pairs of texts, of image files, of Pillow images or of image
arrays. Features are kept by content, so a cross-validation or a grid search over images runs the backbone once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import Tags, check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    assert_all_finite,
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
    validate_data,
)

from headstart.contracts.backbone import Backbone
from headstart.contracts.carriers import Prediction
from headstart.contracts.examples import Examples
from headstart.engine.content import content_keys
from headstart.engine.extract import Extracted, extract
from headstart.engine.feature_store import FeatureStore
from headstart.engine.infer import heads_on_features, predict_examples
from headstart.evidence.splits import Split, split
from headstart.kernel.errors import DataError
from headstart.kernel.progress import Quiet
from headstart.product.arms import Bench, Trained, solve_arm, train_arm
from headstart.product.choose_backbone import choose_backbone
from headstart.product.memory_data import examples_of, modality_of
from headstart.product.plan import Plan
from headstart.product.prepare import Prepared, choose_task
from headstart.product.record import DataSummary

VALIDATION = 0.2
"""Share of the training data on which a tuning that trains by steps is stopped and calibrated."""


class _Transfer(BaseEstimator):
    """What classifier and regressor share."""

    _task: ClassVar[str]

    def __init__(
        self,
        backbone: str = "auto",
        *,
        weights: str = "pretrained",
        tuning: str = "probe",
        augmentation: str = "none",
        modality: str = "auto",
        settings: Mapping[str, Mapping[str, Any]] | None = None,
        random_state: Any = 0,
    ) -> None:
        self.backbone = backbone
        self.weights = weights
        self.tuning = tuning
        self.augmentation = augmentation
        self.modality = modality
        self.settings = settings
        self.random_state = random_state

    def _fit(self, inputs: Any, label: np.ndarray) -> Self:
        examples = examples_of(inputs, self.modality_, label)
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        plan = Plan(
            data="<in memory>",
            task=self._task,
            backbone=self.backbone,
            weights=self.weights,
            tuning=self.tuning,
            augmentation=self.augmentation,
            seed=seed,
            settings={key: dict(values) for key, values in (self.settings or {}).items()},
        )
        plan.check()
        backbone, _, _ = choose_backbone(examples, plan)
        self.model_ = _train(examples, plan, backbone).model
        self.frozen_ = plan.plugin("tuning").solved
        return self

    def _check_inputs(self, inputs: Any, label: Any = None, *, reset: bool) -> tuple[Any, np.ndarray | None]:
        """Validate as scikit-learn does where the inputs are numbers; otherwise only lengths."""
        if reset:
            self.modality_ = modality_of(inputs) if self.modality == "auto" else self.modality
        if self.modality_ == "table":
            if label is None:
                return validate_data(self, inputs, reset=reset), None
            return validate_data(
                self, inputs, label, reset=reset, multi_output=False, y_numeric=self._task == "regression"
            )
        if label is None:
            return inputs, None
        label = column_or_1d(label, warn=True)
        assert_all_finite(label)
        check_consistent_length(inputs, label)
        return inputs, label

    def _predict(self, inputs: Any) -> Prediction:
        check_is_fitted(self)
        inputs, _ = self._check_inputs(inputs, reset=False)
        examples = examples_of(inputs, self.modality_, None)
        if self.frozen_:
            features = _frozen_pass(self.model_.backbone, examples, Plan(data="<in memory>"))
            _require_all(features.failures)
            return heads_on_features(self.model_, features.pooled())
        predicted = predict_examples(self.model_, examples)
        _require_all(predicted.failures)
        if predicted.prediction is None:
            raise DataError("there is nothing to predict: X has no rows")
        return predicted.prediction

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = True
        tags.non_deterministic = False
        return tags


class TransferClassifier(ClassifierMixin, _Transfer):
    """A pretrained backbone with a classification head, as a scikit-learn classifier.

    Args:
        backbone: name, folder, file or run; 'auto' takes the best that is there.
        weights: 'pretrained', 'random' or a file for the architecture.
        tuning: 'probe' for the best linear head on frozen features, 'full' for fine-tuning, 'scratch'.
        augmentation: random views in training.
        modality: 'table', 'text' or 'image'; 'auto' looks at X.
        settings: settings of the plug-ins, such as {"tuning": {"epochs": 3}}.
        random_state: int, RandomState or None.

    After `fit`: `classes_` (classes,), `model_`, `modality_`, and `n_features_in_` for numbers.
    """

    _task = "classification"

    def fit(self, X: Any, y: Any) -> Self:
        """Fit to inputs X (examples, ...) and labels y (examples,). Raises ValueError on what cannot be used."""
        inputs, label = self._check_inputs(X, y, reset=True)
        check_classification_targets(label)
        self.classes_, codes = np.unique(np.asarray(label), return_inverse=True)
        if len(self.classes_) < 2:
            raise DataError(f"y holds one class only ({self.classes_[0]!r}); a classifier needs at least two classes")
        return self._fit(inputs, codes)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities (examples, classes), in the order of `classes_`."""
        return self._predict(X).columns["probabilities"]

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class of each example (examples,)."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


class TransferRegressor(RegressorMixin, _Transfer):
    """A pretrained backbone with a regression head, as a scikit-learn regressor; arguments as `TransferClassifier`."""

    _task = "regression"

    def fit(self, X: Any, y: Any) -> Self:
        """Fit to inputs X (examples, ...) and numbers y (examples,). Raises ValueError on what cannot be used."""
        inputs, label = self._check_inputs(X, y, reset=True)
        return self._fit(inputs, np.asarray(label, dtype=np.float64))

    def predict(self, X: Any) -> np.ndarray:
        """The expected number of each example (examples,)."""
        return self._predict(X).columns["prediction"]


def _train(examples: Examples, plan: Plan, backbone: Backbone) -> Trained:
    """The plan's tuning on all examples; a part is held out only where training by steps needs one."""
    task, _ = choose_task(examples, plan)
    tuning = plan.plugin("tuning")
    features = _frozen_pass(backbone, examples, plan)
    _require_all(features.failures)
    keys = [str(key) for key in content_keys(examples).keys]
    targets = task.targets(examples)
    everything, none = np.arange(len(examples)), np.array([], dtype=np.int64)
    parts = Split(everything, none, none)
    if not tuning.solved:
        parts = split(task.strata(targets), keys=keys, seed=plan.seed, val=VALIDATION, test=0.0)
    summary = DataSummary(source=plan.data, seen="in memory", modality=examples.schema.modality, parts=())
    data = Prepared(examples, plan.columns, keys, task, targets, None, parts, summary, ())
    bench = Bench(plan, data, backbone, features, None, Quiet())
    if tuning.solved:
        return solve_arm(bench, "model")
    return train_arm(bench, "model", tuning, plan.tuning, plan.budget)


def _frozen_pass(backbone: Backbone, examples: Examples, plan: Plan) -> Extracted:
    """Pooled features; kept on disk only where a backbone has weights to save the work of."""
    store = FeatureStore() if any(True for _ in backbone.module.parameters()) else None
    return extract(backbone, examples, content_keys(examples).keys, runner=plan.plugin("runner"), store=store)


def _require_all(failures: Mapping[int, str]) -> None:
    if failures:
        row, reason = next(iter(failures.items()))
        raise DataError(f"{len(failures)} inputs cannot be read; row {row} {reason}")
