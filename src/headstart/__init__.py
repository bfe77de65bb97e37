"""Headstart: the best model that a pretrained network and a small data set support, with the evidence."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from headstart.kernel.allocator import keep_blocks

if TYPE_CHECKING:  # what type checkers and editors see; at run time each is loaded on first use
    from headstart.kernel.errors import HeadstartError as HeadstartError
    from headstart.present.report.write import report as report
    from headstart.verbs.cache import cache as cache
    from headstart.verbs.estimators import TransferClassifier as TransferClassifier
    from headstart.verbs.estimators import TransferRegressor as TransferRegressor
    from headstart.verbs.evaluate import evaluate as evaluate
    from headstart.verbs.export import export as export
    from headstart.verbs.fit import fit as fit
    from headstart.verbs.inspect import inspect as inspect
    from headstart.verbs.predict import predict as predict
    from headstart.verbs.pretrain import pretrain as pretrain
    from headstart.verbs.run import Run as Run
    from headstart.verbs.run import load as load
    from headstart.verbs.select import select as select
    from headstart.verbs.serve import serve as serve
    from headstart.verbs.suggest import suggest as suggest

__version__ = "0.2.0"

_HOME = {
    "fit": "headstart.verbs.fit",
    "pretrain": "headstart.verbs.pretrain",
    "predict": "headstart.verbs.predict",
    "evaluate": "headstart.verbs.evaluate",
    "export": "headstart.verbs.export",
    "inspect": "headstart.verbs.inspect",
    "select": "headstart.verbs.select",
    "serve": "headstart.verbs.serve",
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

keep_blocks()  # threads that begin before have heaps of their own


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'headstart' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
