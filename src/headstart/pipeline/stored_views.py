"""The beginning of a training's batches: inputs, kept states, or kept states of augmented views.

Where the tuning leaves stages frozen, an augmentation of the inputs does not make them run in every epoch: K views of
each training example go through them once, on the runner of the frozen pass, and epoch e draws from view e modulo K.

How many? With P the time of one pass, S that of the moving stages over an epoch and E epochs, K views cost K P + E S,
and new views in every epoch at least E P + E S: K up to E always pays. The mean over K views misses that over all of
them by 1/K of their variance, so that 8 take seven eighths of it away; more are worth their time and room seldom. They
take half of the store's limit at most, and under a budget a quarter of it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from headstart.contracts.backbone import Backbone
from headstart.contracts.composed_augmentation import Composed, name_of
from headstart.contracts.modality import raws_of
from headstart.engine.frozen.views import View, ViewStates
from headstart.engine.process_group import process_group
from headstart.engine.streams import StateSource
from headstart.kernel.errors import SettingsError
from headstart.kernel.files import read_json, write_json
from headstart.pipeline.context import FitContext
from headstart.pipeline.embed import bytes_each, kept_states, limit_of, source_from, state_spec, too_large
from headstart.pipeline.record import Decision

MOST_VIEWS = 8
"""Views of each example, unless the settings say more."""

SHARE_OF_ROOM = 0.5
SHARE_OF_BUDGET = 0.25


@dataclass(frozen=True)
class Beginning:
    """The source of a training's batches."""

    start: int
    """The boundary at which they begin."""
    source: StateSource
    """Inputs or states as they are."""
    views: tuple[ViewStates, ...]
    """Kept views of the training part, in place of `source` in training; empty where there are none."""
    augmentation: Composed
    """Bound: what is done anew to every batch."""
    bound: Composed
    """Bound: all that was asked for."""
    decisions: tuple[Decision, ...]
    seconds: float
    """For how long views went through the frozen stages."""


def beginning(
    context: FitContext, backbone: Backbone, recipe: Any, frozen: int, key: str, budget: float | None
) -> Beginning:
    """The beginning of a training whose first `frozen` stages never move.

    Args:
        key: names the training in the work folder, where the number of views is kept: a resumed run has as many.
        budget: seconds for views and training.

    Raises:
        SettingsError: the augmentation cannot act on the backbone's inputs, or not as its settings say.
        DataError: an input could be read before and cannot any more.
    """
    bound = context.augmentation.bind(backbone.input_kind(), len(context.read.split.train))
    bound.require_targets(context.data.task.target_kinds)
    decisions = [Decision(what="augmentation", value=str(bound), reason=bound.because)] if bound.because else []
    if not bound.changes_inputs:
        start, source = source_from(context, backbone, frozen)
        return Beginning(start, source, (), bound, bound, tuple(decisions), 0.0)
    began = time.monotonic()
    most, why = _most_views(context, backbone, bound, recipe, frozen)
    if not most:
        if frozen:
            decisions.append(Decision(what="kept views", value="none", reason=why))
        start, source = source_from(context, backbone, 0)
        return Beginning(start, source, (), bound, bound, tuple(decisions), 0.0)
    start, source = source_from(context, backbone, frozen)
    seconds = None if budget is None or bound.settings.views else SHARE_OF_BUDGET * budget
    views = _kept_views(context, backbone, bound, frozen, _Number(context.work, key, most, seconds))
    value = f"{len(views)} of each training example"
    decisions.append(Decision(what="kept views", value=value, reason=why if len(views) == most else _OUT_OF_TIME))
    return Beginning(start, source, views, bound.of_batches(), bound, tuple(decisions), time.monotonic() - began)


def as_many_views(context: FitContext, begun: Beginning) -> FitContext:
    """The context whose plan names as many views as were kept, so that another clock does not change them."""
    if not begun.bound.changes_inputs:
        return context
    settings = context.plan.settings
    named = {**settings, "augmentation": {**settings.get("augmentation", {}), "views": len(begun.views)}}
    return replace(context, plan=context.plan.model_copy(update={"settings": named}))


_OUT_OF_TIME = f"{100 * SHARE_OF_BUDGET:.0f} % of the budget is for them; the frozen stages run once on each"


def _most_views(context: FitContext, backbone: Backbone, bound: Composed, recipe: Any, frozen: int) -> tuple[int, str]:
    """The number of views that may be kept, and the reason."""
    given = bound.settings.views
    if given == 0:
        return 0, "augmentation.views = 0: every epoch makes new ones, and the frozen stages run in every epoch"
    why = _why_none(context, backbone, bound, frozen)
    if why and given and backbone is context.backbone:
        raise SettingsError(f"augmentation.views = {given}: {why}")
    if why:
        return 0, why
    examples = context.read.examples
    each = bytes_each(backbone, state_spec(backbone, context.data.task, frozen), examples)
    view, limit = each * len(context.read.split.train), limit_of(context.store)
    room = int(SHARE_OF_ROOM * limit / max(view, 1))
    share = f"{100 * SHARE_OF_ROOM:.0f} % of the store's {limit / 1e9:.1f} GB"
    size = f"one takes {view / 1e9:.2f} GB, and {share} are for them"
    if given and given * view > limit:
        raise SettingsError(
            f"augmentation.views = {given}: {size}. Keep fewer, or allow more by HEADSTART_CACHE_LIMIT."
        )
    if given:
        return given, "augmentation.views was given; the frozen stages run once on each"
    if room < min(recipe.epochs, MOST_VIEWS):
        return room, f"{size}. HEADSTART_CACHE_LIMIT allows more"
    if recipe.epochs <= MOST_VIEWS:
        return recipe.epochs, f"one for each of {recipe.epochs} epochs; the frozen stages run once on each"
    reason = f"epoch after epoch draws from them; each more would add less than 1/{MOST_VIEWS} to their variety"
    return MOST_VIEWS, f"{reason}, and the frozen stages run once on each"


def _why_none(context: FitContext, backbone: Backbone, bound: Composed, frozen: int) -> str:
    if not frozen:
        return "the tuning leaves no stage frozen, so that there are no states to keep"
    mixing = [name_of(part) for part in bound.parts if part.mixes and part.first_stage(1) == 0]
    if mixing:
        return f"{mixing[0]} mixes inputs, of which no states can be kept; manifold_mixup mixes kept states"
    spec = state_spec(backbone, context.data.task, frozen)
    return too_large(backbone, spec, context.read.examples, context.store) or ""


@dataclass(frozen=True)
class _Number:
    """The number of views: as many as an interrupted run had, else as many as the time allows."""

    work: Path | None
    key: str
    most: int
    seconds: float | None

    def enough(self, made: int, spent: float) -> bool:
        """True where no more are made."""
        kept = self._kept()
        if kept is not None:
            return made >= kept
        late = self.seconds is not None and made > 0 and spent * (made + 1) / made > self.seconds
        return made >= self.most or late

    def keep(self, made: int) -> None:
        """Remember it."""
        if self.work is not None:
            write_json(self._path(self.work), made)

    def _kept(self) -> int | None:
        if self.work is None or not self._path(self.work).exists():
            return None
        return int(read_json(self._path(self.work)))

    def _path(self, work: Path) -> Path:
        return work / f"{self.key}.views.json"


def _kept_views(
    context: FitContext, backbone: Backbone, bound: Composed, frozen: int, number: _Number
) -> tuple[ViewStates, ...]:
    """Views go through the frozen stages one after the other, until there are enough of them."""
    data, spec, began = context.read, state_spec(backbone, context.data.task, frozen), time.monotonic()
    rows, keys = data.split.train, {int(row): data.keys[row] for row in data.split.train}
    views: list[ViewStates] = []
    size = backbone.prepare(raws_of(data.examples, rows[:1])).hidden.shape[2:]
    while not process_group().agreed(number.enough(len(views), time.monotonic() - began)):
        view = View(bound.of_inputs(), context.plan.seed, len(views))
        views.append(ViewStates(view, kept_states(context, backbone, rows, spec, view), keys, size))
    number.keep(len(views))
    return tuple(views)
