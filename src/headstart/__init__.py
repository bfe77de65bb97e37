"""Headstart: the best model that a pretrained network and a small data set support, with the evidence."""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "fit": "headstart.verbs.fit",
    "pretrain": "headstart.verbs.pretrain",
    "predict": "headstart.verbs.predict",
    "evaluate": "headstart.verbs.evaluate",
    "export": "headstart.verbs.export",
    "replay": "headstart.verbs.export",
    "inspect": "headstart.verbs.inspect",
    "select": "headstart.verbs.select",
    "suggest": "headstart.verbs.suggest",
    "report": "headstart.present.report.write",
    "cache": "headstart.verbs.cache",
    "load": "headstart.verbs.run",
    "Run": "headstart.verbs.run",
    "TransferClassifier": "headstart.verbs.estimators",
    "TransferRegressor": "headstart.verbs.estimators",
    "HeadstartError": "headstart.kernel.errors",
}
__all__ = [*_HOME, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'headstart' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
