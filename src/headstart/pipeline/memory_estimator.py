"""The parts that scikit-learn estimators share: settings, checks of X, y and weights, fitting and reading features."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_consistent_length, check_is_fitted, validate_data

from headstart.contracts.examples import Examples
from headstart.contracts.modality import HasNumbers, modality_named
from headstart.contracts.prediction import Prediction
from headstart.kernel import registry
from headstart.kernel.errors import DataError, SettingsError, unknown
from headstart.pipeline.context import FitContext
from headstart.pipeline.memory_data import cells_of, examples_of, is_sequence, modality_of, require_one_by_one
from headstart.pipeline.memory_fit import features_in_memory, fit_in_memory, from_bytes, predict_in_memory, to_bytes
from headstart.pipeline.memory_labels import counted, required
from headstart.pipeline.plan import Plan
from headstart.pipeline.plan_file import AUTO
from headstart.pipeline.trained import Arms


class MemoryEstimator(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Shared parts of classifier and regressor."""

    _train: Callable[[FitContext], Arms]
    """How models are trained."""

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
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def _plan(self, task: str, of_labels: Mapping[str, Any]) -> Plan:
        """The plan of a task, with settings of it that come from the labels."""
        settings = {key: dict(values) for key, values in (self.settings or {}).items()}
        settings["task"] = {**settings.get("task", {}), **of_labels}
        plan = Plan(
            data="<in memory>",
            task=task,
            backbone=self.backbone,
            weights=self.weights,
            tuning=self.tuning,
            objective=self.objective,
            augmentation=self.augmentation,
            seed=int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max)),
            settings=settings,
        )
        plan.check()
        known = (AUTO, *registry.names("modalities"))
        if self.modality not in known:
            raise SettingsError(unknown("modality", self.modality, known))
        return plan

    def _read(self, y: Any) -> tuple[str, Sequence[Any] | np.ndarray, Mapping[str, Any]]:
        """The task for the labels in y, these one by one (examples,), and settings of the task that come from them."""
        raise NotImplementedError

    def _fit(self, X: Any, y: Any, sample_weight: Any) -> Self:
        """Rows of weight 0 are left out."""
        require_one_by_one(X)
        if is_sequence(X) and not len(X):
            raise DataError("X is empty; there is nothing to fit on")
        y = required(y, type(self).__name__)
        cells = cells_of(X) if self.modality == AUTO or _has_cells(self.modality) else None
        named = self.modality if self.modality != AUTO else ""
        self.columns_ = None if cells is None else cells[1]
        self.modality_ = (named or modality_of(X)) if cells is None else cells[0]
        X = self._validated(X, reset=True)
        check_consistent_length(X, y)
        X, y, weights = counted(X, y, sample_weight)
        task, labels, settings = self._read(y)
        self.plan_ = self._plan(task, settings)
        examples = examples_of(X, self.modality_, labels, weights, columns=self.columns_)
        self.model_ = fit_in_memory(examples, self.plan_, type(self)._train)
        self.inputs_, self._n_features_out = examples.schema.inputs, self.model_.backbone.width
        return self

    def _validated(self, X: Any, *, reset: bool) -> Any:
        """Inputs as `examples_of` takes them; later columns of a frame are found by their names."""
        frame = isinstance(X, pd.DataFrame)
        if self.columns_ is not None:
            if not frame:
                listed = ", ".join(self.columns_.named())
                raise DataError(f"X is of type {type(X).__name__}; expected a frame with the columns {listed}")
            if reset:
                validate_data(self, X, skip_check_array=True)
        elif _has_cells(self.modality_):
            gaps = "allow-nan" if frame and not reset else True
            return validate_data(self, X, reset=reset, ensure_all_finite=gaps, ensure_min_samples=1 + reset)
        elif frame and len(X):
            validate_data(self, X, reset=reset, skip_check_array=True)  # keeps the names and order of its columns
        return X

    def _examples(self, X: Any) -> Examples:
        check_is_fitted(self, "model_")
        require_one_by_one(X)
        X = self._validated(X, reset=False)
        examples = examples_of(X, self.modality_, None, columns=self.columns_)
        if examples.schema.inputs != self.inputs_:
            raise DataError(f"X has the inputs {examples.schema.inputs}; the model was fitted on {self.inputs_}")
        return examples

    def _predict(self, X: Any) -> Prediction:
        examples = self._examples(X)
        return predict_in_memory(self.model_, examples, self.plan_)

    def transform(self, X: Any) -> np.ndarray:
        """The features of the backbone that the head reads, (examples, width) float32."""
        examples = self._examples(X)
        return features_in_memory(self.model_, examples, self.plan_)


def _has_cells(modality: str) -> bool:
    return modality != AUTO and isinstance(modality_named(modality), HasNumbers)
