"""scikit-learn estimators over the same parts: a pretrained backbone, the frozen pass, a tuning.

Features are kept by content, so that a cross-validation or a grid search over images runs the backbone once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np
from scipy.special import logit
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.metrics import accuracy_score
from sklearn.utils import Tags

from headstart.pipeline.memory_estimator import MemoryEstimator
from headstart.pipeline.memory_labels import class_labels, values_of
from headstart.search.train_arms import train_arms


class _Transfer(MemoryEstimator):
    _train = staticmethod(train_arms)


class TransferClassifier(ClassifierMixin, _Transfer):
    """A pretrained backbone with a classification head, as a scikit-learn classifier.

    `X` is a matrix of numbers; a frame of numbers, categories, dates, gaps and perhaps texts, whose columns are found
    again by their names; a list, array or Series of texts, of pairs of texts, of paths of images, of Pillow images or
    of uint8 arrays; or one uint8 array (examples, height, width, channels).

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

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit to inputs X (examples, ...) and labels y. Raises ValueError on what cannot be used.

        Args:
            X: one input per example.
            y: classes (examples,); or labels, any number per example, as a matrix (examples, labels) of 0 and 1 or as
                a list of lists or sets.
            sample_weight: how much each example counts (examples,), 0 or more; 2 is as good as a row that stands twice.
        """
        return self._fit(X, y, sample_weight)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities (examples, classes), in the order of `classes_`; those of several labels do not sum to 1."""
        return self._predict(X).columns["probabilities"]

    def decision_function(self, X: Any) -> np.ndarray:
        """Logits (examples, classes), of two classes (examples,) the log odds of the second.

        Of several labels, the logits less those of the labels' thresholds: a label is predicted from 0 on.
        """
        found = self._predict(X).columns["logits"]
        if self.labels_.form != "classes":
            task: Any = self.model_.task
            return np.asarray(found - logit(task.thresholds(self.model_.calibration)))
        return found[:, 1] - found[:, 0] if found.shape[1] == 2 else found

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class of each example (examples,), or its labels in the form of y."""
        found = self._predict(X)
        return self.labels_.given_back(found)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The share of examples whose class is predicted, or whose labels are all predicted and no other."""
        found = self.predict(X)
        if self.labels_.form != "classes":
            y, found = self.labels_.matrix(y), self.labels_.matrix(found)
        return float(accuracy_score(y, found, sample_weight=sample_weight))

    def _read(self, y: Any) -> tuple[str, Sequence[Any], dict[str, Any]]:
        labels = class_labels(y)
        self.classes_, self.labels_ = labels.classes, replace(labels, column=())
        task = "classification" if labels.form == "classes" else "multilabel"
        return task, labels.column, {"classes": labels.names}


class TransferRegressor(RegressorMixin, _Transfer):
    """A pretrained backbone with a regression head, as a scikit-learn regressor.

    Arguments, inputs and attributes are those of `TransferClassifier`, but for `classes_`.

    >>> from sklearn.datasets import load_diabetes
    >>> X, y = load_diabetes(return_X_y=True)
    >>> regressor = TransferRegressor().fit(X[:400], y[:400])
    >>> regressor.predict(X[400:]).shape
    (42,)
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit to inputs X (examples, ...) and numbers y (examples,), with weights as `TransferClassifier.fit`."""
        return self._fit(X, y, sample_weight)

    def _read(self, y: Any) -> tuple[str, np.ndarray, dict[str, Any]]:
        return "regression", values_of(y), {}

    def predict(self, X: Any) -> np.ndarray:
        """The expected number of each example (examples,)."""
        return self._predict(X).columns["value"]
