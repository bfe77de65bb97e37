"""FitContext: what all arms of a fit share."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from headstart.contracts.backbone import Backbone
from headstart.contracts.composed_augmentation import Composed
from headstart.contracts.runner import Runner
from headstart.engine.frozen.execution import described
from headstart.engine.frozen.extract import Extracted
from headstart.engine.store.feature_store import FeatureStore
from headstart.kernel.progress import Reporter
from headstart.pipeline.budget import Budget
from headstart.pipeline.decision_log import DecisionLog
from headstart.pipeline.plan import Plan
from headstart.pipeline.prepare import Prepared


@dataclass(frozen=True)
class FitContext:
    """Data, backbone and plan of a fit, whose plug-ins are built once."""

    plan: Plan
    data: Prepared
    backbone: Backbone
    features: Extracted
    """The frozen pass over all rows of `read`."""
    work: Path | None
    """Folder for checkpoints; None for a fit in memory."""
    reporter: Reporter
    store: FeatureStore | None = None
    """Store of states at an inner boundary; in memory without one."""
    windows: Prepared | None = None
    """The data as the backbone reads them, where some examples are longer; see `embed.in_windows`."""
    head: nn.Module | None = None
    """First head of the model where a run goes on from another; None for a fresh one."""
    budget: Budget = field(default_factory=Budget)
    log: DecisionLog = field(default_factory=DecisionLog)
    """All decisions of the fit, whatever is replaced of its context."""

    @property
    def read(self) -> Prepared:
        """The data that are trained on: windows where there are some."""
        return self.data if self.windows is None else self.windows

    @property
    def tuning(self) -> Any:
        """The plan's tuning, or the settings of a search for one."""
        return self.plan.plugin("tuning")

    @property
    def objective(self) -> Any:
        """The plan's objective."""
        return self.plan.plugin("objective")

    @property
    def augmentation(self) -> Composed:
        """The plan's augmentation, not bound to inputs."""
        found: Composed = self.plan.plugin("augmentation")
        return found

    @property
    def named_runner(self) -> Runner | None:
        """The plan's runner; None where the fastest correct one is chosen."""
        return self.plan.named_runner()

    @property
    def execution(self) -> dict[str, Any]:
        """Runner, precision and preprocessing, with its decode policy, that make the features."""
        runner = described(self.features.runner)
        how = {"runner": runner["plugin"], "runner_settings": runner["settings"]}
        return {**how, "precision": self.features.runner.precision, **self.backbone.preparation()}
