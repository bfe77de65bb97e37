"""Titles, units and directions of metrics, as records in tests hold them."""

from __future__ import annotations

from headstart.contracts.figures import MetricInfo
from headstart.contracts.metric import SHARE

SHARES = {"accuracy": "Accuracy", "balanced_accuracy": "Balanced accuracy", "macro_f1": "Macro F1", "f1": "F1"}
MORE = {"roc_auc": "ROC AUC", "r2": "R²"}
LESS = {
    "log_loss": "Log loss",
    "ece": "Calibration error (ECE)",
    "mae": "Mean absolute error",
    "rmse": "Root mean squared error",
}


def metric_infos(*names: str) -> dict[str, MetricInfo]:
    """Name -> what a record keeps of the metric."""
    return {name: _info(name) for name in names}


def _info(name: str) -> MetricInfo:
    if name in SHARES:
        return MetricInfo(title=SHARES[name], unit=SHARE, greater_is_better=True, least=0.0, greatest=1.0)
    return MetricInfo(title=(MORE | LESS)[name], greater_is_better=name in MORE)
