"""Headstart: the best model that a pretrained network and a small data set support, with the evidence."""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "fit": "headstart.product.fit",
    "pretrain": "headstart.product.pretrain",
    "predict": "headstart.product.predict",
    "evaluate": "headstart.product.evaluate",
    "inspect": "headstart.product.inspect",
    "report": "headstart.product.report.write",
    "cache": "headstart.product.cache",
    "load": "headstart.product.run",
    "Run": "headstart.product.run",
    "TransferClassifier": "headstart.product.estimators",
    "TransferRegressor": "headstart.product.estimators",
    "HeadstartError": "headstart.kernel.errors",
}
__all__ = [*_HOME, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'headstart' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
