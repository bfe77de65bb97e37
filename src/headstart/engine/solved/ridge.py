"""Ridge regression (Hoerl & Kennard 1970) on standardised features, its penalty chosen by cross-validation.

    min over w, b of  sum_i s_i (w z_i + b - y_i)^2 + alpha ||w||^2

Without groups alpha has the least leave-one-out error, in closed form from one decomposition (Golub, Heath & Wahba
1979; scikit-learn's RidgeCV); with groups the least error over held-out groups.
"""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import GroupKFold

from headstart.contracts.linear_model import Solved
from headstart.numerics.standardisation import standardise

GRID = np.logspace(-2, 6, 17)
"""Values of alpha."""

FOLDS = 5


def solve_ridge(
    features: np.ndarray, values: np.ndarray, groups: np.ndarray | None, weights: np.ndarray | None = None
) -> Solved:
    """Fit features (examples, width) to values, both with weights (examples,); `solve_head` says what is chosen."""
    standard, standardisation = standardise(features, weights)
    splits = None if groups is None else _splits(groups)
    model = RidgeCV(GRID, scoring="neg_mean_squared_error", cv=splits)
    model.fit(standard.astype(np.float64), values, sample_weight=weights)
    weight, bias = standardisation.fold(model.coef_.reshape(1, -1), np.array([model.intercept_]))
    chosen = {"alpha": float(model.alpha_), "cv_score": float(model.best_score_), "folds": len(splits or ())}
    return weight, bias, chosen, ()


def _splits(groups: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]] | None:
    """Whole groups held out; None where every example is a group of its own, or all are one."""
    _, member = np.unique(groups, return_inverse=True)
    number = int(member.max()) + 1
    if number in (1, len(member)):
        return None
    return list(GroupKFold(min(FOLDS, number)).split(member, groups=member))
