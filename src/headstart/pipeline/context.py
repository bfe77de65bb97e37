"""FitContext: what all arms of a fit share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from headstart.contracts.backbone import Backbone
from headstart.contracts.runner import Runner
from headstart.engine.frozen.execution import described
from headstart.engine.frozen.extract import Extracted
from headstart.engine.store.feature_store import FeatureStore
from headstart.kernel.progress import Reporter
from headstart.pipeline.plan import Plan
from headstart.pipeline.prepare import Prepared


@dataclass(frozen=True)
class FitContext:
    """What all arms share."""

    plan: Plan
    data: Prepared
    backbone: Backbone
    features: Extracted
    """The frozen pass over all rows of `read`."""
    work: Path | None
    """Folder for checkpoints; None for a fit in memory."""
    reporter: Reporter
    runner: Runner
    """What the frozen pass ran on."""
    store: FeatureStore | None = None
    """Where states at an inner boundary are kept; in memory without one."""
    windows: Prepared | None = None
    """The data as the backbone reads them, where some examples are longer; see `pipeline/windows.py`."""
    head: nn.Module | None = None
    """What the model's head starts from, where a run goes on from another; None for a fresh one."""

    @property
    def read(self) -> Prepared:
        """What is trained on: pieces where there are some, else the data."""
        return self.data if self.windows is None else self.windows

    @property
    def execution(self) -> dict[str, Any]:
        """How the features are made: runner, precision, preprocessing with its decode policy."""
        runner = described(self.runner)
        how = {"runner": runner["plugin"], "runner_settings": runner["settings"], "precision": self.runner.precision}
        return {**how, **self.backbone.preparation()}
