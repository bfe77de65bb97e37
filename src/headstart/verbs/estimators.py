"""scikit-learn estimators over the same parts: a pretrained backbone, the frozen pass, a tuning.

Features are kept by content, so that a cross-validation or a grid search over images runs the backbone once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import Tags, check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
    validate_data,
)

from headstart.contracts.modality import HasNumbers, modality_named
from headstart.contracts.prediction import Prediction
from headstart.kernel import registry
from headstart.kernel.errors import DataError, SettingsError, unknown
from headstart.pipeline.memory_data import examples_of, is_sequence, modality_of
from headstart.pipeline.memory_fit import fit_in_memory, from_bytes, predict_in_memory, to_bytes
from headstart.pipeline.plan import Plan
from headstart.pipeline.plan_file import AUTO
from headstart.search.train_arms import train_arms


class _Transfer(BaseEstimator):
    """Shared parts of classifier and regressor."""

    _task: ClassVar[str]

    def __init__(
        self,
        backbone: str = "auto",
        *,
        weights: str = "pretrained",
        tuning: str = "probe",
        objective: str = "supervised",
        augmentation: str = "none",
        modality: str = "auto",
        settings: Mapping[str, Mapping[str, Any]] | None = None,
        random_state: Any = 0,
    ) -> None:
        self.backbone = backbone
        self.weights = weights
        self.tuning = tuning
        self.objective = objective
        self.augmentation = augmentation
        self.modality = modality
        self.settings = settings
        self.random_state = random_state

    def __getstate__(self) -> dict[str, Any]:
        """The model as the bytes of a saved one, so that a pickle is read on any device and by any later version."""
        state = super().__getstate__()
        return {**state, "model_": to_bytes(state["model_"])} if "model_" in state else state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__({**state, "model_": from_bytes(state["model_"])} if "model_" in state else state)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        return tags

    def _plan(self, task: Mapping[str, Any]) -> Plan:
        settings = {key: dict(values) for key, values in (self.settings or {}).items()}
        plan = Plan(
            data="<in memory>",
            task=self._task,
            backbone=self.backbone,
            weights=self.weights,
            tuning=self.tuning,
            objective=self.objective,
            augmentation=self.augmentation,
            seed=int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max)),
            settings={**settings, "task": {**settings.get("task", {}), **task}},
        )
        plan.check()
        known = (AUTO, *registry.names("modalities"))
        if self.modality not in known:
            raise SettingsError(unknown("modality", self.modality, known))
        return plan

    def _validated(self, inputs: Any, label: Any) -> tuple[Any, np.ndarray]:
        """Inputs and labels (examples,) that can be trained on; sets `modality_`."""
        self.modality_ = modality_of(inputs) if self.modality == AUTO else self.modality
        if isinstance(modality_named(self.modality_), HasNumbers):
            numeric = self._task == "regression"
            inputs, label = validate_data(self, inputs, label, y_numeric=numeric, ensure_min_samples=2)
        elif label is None:
            raise DataError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        else:
            _require_one_by_one(inputs)
            label = column_or_1d(label, warn=True)
            check_consistent_length(inputs, label)
        missing = np.flatnonzero(pd.isna(label))
        if len(missing):
            raise DataError(f"y contains NaN or None: {len(missing)} labels are missing, first in row {missing[0]}")
        return inputs, label

    def _fit(self, inputs: Any, label: np.ndarray, task: Mapping[str, Any]) -> Self:
        """`task` holds settings of the task that come from the labels."""
        plan = self._plan(task)
        examples = examples_of(inputs, self.modality_, label)
        self.model_ = fit_in_memory(examples, plan, train_arms)
        self.plan_, self.inputs_ = plan, examples.schema.inputs
        return self

    def _predict(self, inputs: Any) -> Prediction:
        check_is_fitted(self, "model_")
        if isinstance(modality_named(self.modality_), HasNumbers):
            inputs = validate_data(self, inputs, reset=False)
        _require_one_by_one(inputs)
        examples = examples_of(inputs, self.modality_, None)
        if examples.schema.inputs != self.inputs_:
            raise DataError(f"X has the inputs {examples.schema.inputs}; the model was fitted on {self.inputs_}")
        return predict_in_memory(self.model_, examples, self.plan_)


class TransferClassifier(ClassifierMixin, _Transfer):
    """A pretrained backbone with a classification head, as a scikit-learn classifier.

    `X` is a matrix of numbers; or a list, array or Series of texts, of pairs of texts, of paths of images, of Pillow
    images or of uint8 arrays; or one uint8 array (examples, height, width, channels).

    Args:
        backbone: name, folder, file or run; 'auto' takes the best that is there.
        weights: 'pretrained', 'random' or a file for the architecture.
        tuning: 'probe' for the best linear head on frozen features, 'full' for fine-tuning, 'scratch', or 'auto' for
            the best that a search finds. All but the first hold a fifth of the data out to stop by.
        objective: what is optimised where training goes by steps.
        augmentation: random views in training by steps.
        modality: 'table', 'text', 'image' or that of a plug-in; 'auto' looks at X.
        settings: settings of the plug-ins, such as {"tuning": {"epochs": 3}}.
        random_state: int for the same result each time; a RandomState or None for another one each time.

    After `fit`: `classes_` (classes,), `model_`, `plan_`, `modality_`, `inputs_`; for tables `n_features_in_`, and
    `feature_names_in_` where the columns have names.

    >>> from sklearn.datasets import load_iris
    >>> from sklearn.model_selection import cross_val_score
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> bool(cross_val_score(TransferClassifier(), X, y).mean() > 0.9)
    True

    Images work alike, here with random weights and in place of paths as arrays:

    >>> images = np.repeat(np.arange(0, 256, 51, dtype=np.uint8), 32 * 32 * 3).reshape(6, 32, 32, 3)
    >>> classifier = TransferClassifier("test_resnet", weights="random")
    >>> classifier.fit(images, ["dark", "dark", "dark", "light", "light", "light"]).predict(images[[0, 5]])
    array(['dark', 'light'], dtype='<U5')
    """

    _task = "classification"

    def fit(self, X: Any, y: Any) -> Self:
        """Fit to inputs X (examples, ...) and labels y (examples,). Raises ValueError on what cannot be used."""
        inputs, label = self._validated(X, y)
        check_classification_targets(label)
        self.classes_, codes = np.unique(label, return_inverse=True)
        if len(self.classes_) < 2:
            raise DataError(
                f"y holds one class only ({self.classes_.tolist()[0]!r}); a classifier needs at least two classes"
            )
        names = [str(name) for name in self.classes_.tolist()]
        return self._fit(inputs, np.array(names, dtype=object)[codes], {"classes": names})

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities (examples, classes), in the order of `classes_`."""
        return self._predict(X).columns["probabilities"]

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class of each example (examples,)."""
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]


class TransferRegressor(RegressorMixin, _Transfer):
    """A pretrained backbone with a regression head, as a scikit-learn regressor.

    Arguments, inputs and attributes are those of `TransferClassifier`, but for `classes_`.

    >>> from sklearn.datasets import load_diabetes
    >>> X, y = load_diabetes(return_X_y=True)
    >>> regressor = TransferRegressor().fit(X[:400], y[:400])
    >>> regressor.predict(X[400:]).shape
    (42,)
    """

    _task = "regression"

    def fit(self, X: Any, y: Any) -> Self:
        """Fit to inputs X (examples, ...) and numbers y (examples,). Raises ValueError on what cannot be used."""
        inputs, label = self._validated(X, y)
        return self._fit(inputs, label, {})

    def predict(self, X: Any) -> np.ndarray:
        """The expected number of each example (examples,)."""
        return self._predict(X).columns["value"]


def _require_one_by_one(inputs: Any) -> None:
    if isinstance(inputs, (str, bytes)) or not (is_sequence(inputs) or getattr(inputs, "ndim", 0) > 1):
        kind = type(inputs).__name__
        raise DataError(f"X is of type {kind}; expected a list, array, Series or frame with one input per example")
