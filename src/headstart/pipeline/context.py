"""FitContext: what all arms of a fit share."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from headstart.contracts.backbone import Backbone
from headstart.contracts.composed_augmentation import Composed
from headstart.contracts.interactions import ItemContents
from headstart.contracts.runner import Runner
from headstart.contracts.task_capabilities import Foresight
from headstart.contracts.tuning import Recipe
from headstart.engine.frozen.execution import described, plain_runner
from headstart.engine.frozen.extract import Extracted
from headstart.engine.store.feature_store import FeatureStore
from headstart.kernel.progress import Reporter
from headstart.pipeline.adaptation.target import EmbeddedTarget
from headstart.pipeline.budget import Budget
from headstart.pipeline.decision_log import DecisionLog
from headstart.pipeline.defaults_by_size import for_task
from headstart.pipeline.layer_rows import Layers
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
    layers: Layers | None = None
    """The layer view, where it was asked for."""
    foresight: Foresight | None = None
    """Probes of parts of inputs, such as boxes; None of a task without."""
    contents: ItemContents | None = None
    """Of the items that are recommended."""
    target: EmbeddedTarget | None = None
    """Inputs of another domain, to which the model is adapted."""

    @property
    def read(self) -> Prepared:
        """The data that are trained on: windows where there are some."""
        return self.data if self.windows is None else self.windows

    @property
    def tuning(self) -> Any:
        """The plan's tuning with what the task's head asks for, or the settings of a search for one."""
        found = for_task(self.plan.plugin("tuning"), self.data.task)
        return found.on(self.backbone) if isinstance(found, Recipe) else found

    def scratch_recipe(self) -> Any:
        """The recipe of the baseline from scratch, likewise."""
        return for_task(self.plan.scratch_recipe(), self.data.task)

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

    def execution_of(self, backbone: Backbone) -> dict[str, Any]:
        """Runner, precision and preprocessing, with its decode policy, that make the features.

        Of another backbone, which is trained, in plain PyTorch where the runner only does for probes and evidence.
        """
        coarse = self.features.by_use and backbone is self.backbone
        runner = self.features.runner if coarse or not self.features.by_use else plain_runner()
        found = described(runner)
        how = {"runner": found["plugin"], "runner_settings": found["settings"], "precision": runner.precision}
        return {**how, **({"gate": "by use"} if coarse else {}), **self.backbone.preparation()}
