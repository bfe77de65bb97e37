"""The view of a deep look: all usable examples with their frozen features, and with labels where these are in order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headstart.contracts.modality import HasNumbers, modality_named
from headstart.engine.frozen.feature_spec import FeatureSpec
from headstart.engine.store.feature_store import FeatureStore
from headstart.evidence.folds import Fold, folds
from headstart.kernel.errors import DataError
from headstart.kernel.progress import Reporter
from headstart.pipeline.budget import Budget
from headstart.pipeline.choose_backbone import choose_backbone
from headstart.pipeline.context import FitContext
from headstart.pipeline.embed import choice_of_runner, embed, in_windows, pass_spec
from headstart.pipeline.plan import Plan
from headstart.pipeline.precision_by_use import Labelled, choice_by_use
from headstart.pipeline.prepare import SeenData
from headstart.pipeline.ready import Ready
from headstart.pipeline.sequence import Start

FOLDS = 5


@dataclass(frozen=True)
class View:
    """Usable examples as frozen features show them; `rows` of the usable data have finite features."""

    rows: np.ndarray
    """(rows,) int64, ascending: positions among the usable examples."""
    origins: list[str]
    """Of all usable examples."""
    features: np.ndarray
    """(rows, width) float32, finite."""
    clusters: np.ndarray
    """(rows,) int: those of a number are copies."""
    backbone: str
    numbers: bool
    """True where inputs are numbers: the length of their features has a meaning."""
    seed: int
    context: FitContext | None
    """With labels and task; None where the labels cannot be learnt from."""
    lost: dict[int, str]
    """Usable example -> why it has no features."""

    def origin(self, row: int) -> str:
        """Return the origin of one of the `rows`, by its position among them."""
        return self.origins[int(self.rows[row])]

    @property
    def strata(self) -> np.ndarray:
        """(rows,) int: the class or range of the label; zeros without labels."""
        return np.zeros(len(self.rows), np.int64) if self.context is None else self.context.data.strata[self.rows]

    def units(self) -> np.ndarray | None:
        """(rows,) int: what stays on one side of a fold; None for single examples."""
        return None if self.context is None else self.context.data.kept_together(self.rows)

    def folds(self) -> list[Fold]:
        """Cut the rows, by their position. Raises DataError where there are too few."""
        units = self.units()
        number = len(self.rows) if units is None else len(np.unique(units))
        if number < FOLDS:
            raise DataError(f"{number} examples, or groups of them, are fewer than the {FOLDS} folds of a probe")
        return folds(np.arange(len(self.rows)), self.strata, units, FOLDS, self.seed)


def view_of(seen: SeenData, begun: Ready | None, plan: Plan, reporter: Reporter) -> View:
    """Embed all usable examples as a fit does, so that what it has kept is read.

    Raises DataError where no example has features, BackboneError where there is no backbone.
    """
    usable = seen.usable()
    context = None if begun is None else _context(begun, plan, reporter)
    if context is not None and context.data.task.needs.features == "pooled" and context.windows is None:
        found, backbone = context.features, context.backbone
    else:
        backbone = choose_backbone(usable.examples, plan)[0] if context is None else context.backbone
        spec, store = FeatureSpec.all_stages(backbone), FeatureStore()
        runner = choice_of_runner(backbone, usable.examples, usable.keys, spec, plan.named_runner())
        found = embed(backbone, usable.examples, spec, keys=usable.keys, runner=runner, store=store, reporter=reporter)
    pooled = found.pooled() if len(found.rows) else np.empty((0, found.width), np.float32)
    finite = np.isfinite(pooled).all(axis=1)
    lost = {**found.failures, **{int(row): "has features of NaN or infinity" for row in found.rows[~finite]}}
    origins = usable.examples.origins()
    if not finite.any():
        row, why = min(lost.items())
        raise DataError(f"none of the {len(lost)} examples has features: {origins[row]} {why}")
    rows, kind = found.rows[finite], modality_named(usable.examples.schema.modality)
    numbers = isinstance(kind, HasNumbers)
    return View(rows, origins, pooled[finite], usable.clusters[rows], backbone.name, numbers, plan.seed, context, lost)


def _context(begun: Ready, plan: Plan, reporter: Reporter) -> FitContext:
    """The data behind the frozen pass of a fit."""
    store, backbone, read = FeatureStore(), begun.backbone, in_windows(begun.data, begun.backbone)
    spec, _ = pass_spec(backbone, read.task, read.examples, store)
    labelled = Labelled(read, read.split.train, plan.seed) if read is begun.data else None
    choice = choice_by_use(backbone, read.examples, read.keys, spec, plan, labelled, reporter=reporter)
    return Start(plan, begun.data, read, backbone, spec, choice, store, Budget()).embedded(reporter=reporter)
