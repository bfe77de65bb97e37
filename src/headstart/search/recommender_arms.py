"""The arms of a fit to interactions: every recommender is solved or trained, and validation chooses among them.

Users with a history in the domain and users without are chosen for apart. "No transfer", the best recommender of the
target alone, is always among the choices: for users with a history one that learns from the source must be better for
certain, as its many settings may be so by chance; for cold users, whom nothing else tells apart, by a standard error.
What is chosen is solved again on training and validation part, or trained for as many epochs as were best.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from scipy.sparse import csr_array
from torch import nn

from headstart.contracts.examples import Examples
from headstart.contracts.features import Features
from headstart.contracts.interactions import (
    ITEMS,
    ORDERED,
    RELEVANT,
    SOURCE,
    USER,
    Domains,
    catalogue_of,
    column_of_lists,
    flat,
    joined,
    lists_of,
    matrix_of,
    numbers_of,
)
from headstart.contracts.panels import Panel
from headstart.contracts.prediction import Prediction
from headstart.contracts.recommender import HasCandidates, Part, Ranks, Recommender, Scorer
from headstart.contracts.targets import collated
from headstart.contracts.task_capabilities import Foresight
from headstart.engine.frozen.disk_cache import DiskCache
from headstart.evidence.comparison import compare, figures
from headstart.kernel import registry
from headstart.kernel.errors import DataError, SettingsError, TrainingError
from headstart.kernel.randomness import draw_seed
from headstart.kernel.user_settings import build
from headstart.pipeline.arms import model_with
from headstart.pipeline.context import FitContext
from headstart.pipeline.record import CLASSICAL, CONSTANT, WITHOUT_TRANSFER, CandidateRow, Decision
from headstart.pipeline.stage_rows import frozen_rows
from headstart.pipeline.trained import Arms, Trained
from headstart.search.recommender_panels import Listed, list_panel, overlap_panel, popularity_panel
from headstart.search.recommender_training import HeldOut, made_ready

AT_ONCE = 512
"""Users whose scores are held at a time."""

SCRATCH = "scratch"
"""Key of the arm without transfer: of the target alone."""

WARM, COLD = "warm", "cold"

LEFT_OUT = "left out"
"""Value of the decision on a recommender that the data do not suffice for."""

FACTORS = "factors-1"
"""Name of the memo of item factors; its number rises when the way to solve for them changes."""


@dataclass(frozen=True)
class Tried:
    """A recommender at its best settings for a group of users."""

    recommender: Recommender
    score: float
    """The primary metric."""
    prediction: Prediction
    """For the group's users in the validation part."""
    seconds: float
    """Of solving or training and of judging, at all settings."""
    numbers: int
    """Numbers that it keeps."""
    seconds_each: float
    """What the list of a user takes."""


class Fit:
    """The parts of a fit that every recommender is solved and judged by."""

    def __init__(self, context: FitContext) -> None:
        backbone, task = context.backbone, context.data.task
        if not isinstance(backbone, HasCandidates) or not isinstance(task, Ranks):
            raise SettingsError(f"{registry.name_of(task)} cannot be solved on {backbone.name}")
        self.context, self.task, self.backbone = context, task, backbone
        data = context.data
        self.train, self.val = data.examples.take(data.split.train), data.examples.take(data.split.val)
        self.items, self.source_items = task.catalogue, catalogue_of(column_of_lists(self.train, SOURCE))
        self.memo = DiskCache(FACTORS)
        self.domains = self._domains(self.train)
        self.seed = draw_seed(context.plan.seed, "recommenders")
        had = np.diff(flat(column_of_lists(self.val, ITEMS))[0]) > 0
        self.groups = {
            name: rows for name, rows in ((WARM, np.flatnonzero(had)), (COLD, np.flatnonzero(~had))) if len(rows)
        }

    @cached_property
    def held_out(self) -> HeldOut | None:
        """Validation users with a history, by whom trainings are stopped; None without any."""
        if WARM not in self.groups:
            return None
        some = self.val.take(self.groups[WARM])
        return HeldOut(self._domains(some).target, matrix_of(column_of_lists(some, RELEVANT), self.items))

    def _domains(self, rows: Examples) -> Domains:
        target = matrix_of(column_of_lists(rows, ITEMS), self.items)
        source = matrix_of(column_of_lists(rows, SOURCE), self.source_items) if len(self.source_items) else None
        contents = self.context.contents
        how: dict[str, Any] = {"ordered": ORDERED in rows.table.column_names, "memo": self.memo}
        if contents is None:
            return Domains(target, source, **how)
        return Domains(target, source, contents.of(self.items), contents.of(self.source_items), **how)

    def everything(self) -> tuple[Domains, Examples]:
        """The interactions of training and validation part, and the users with all of them.

        Without those of users who are cold in the test part as well.
        """
        tested = self.context.data.examples.take(self.context.data.split.test)
        cold = np.diff(flat(column_of_lists(self.val, ITEMS))[0]) == 0
        held = self.val.take(np.flatnonzero(~(cold & (numbers_of(_users(self.val), _users(tested)) >= 0))))
        rows = numbers_of(_users(self.train), _users(held))
        later = held.table.column(RELEVANT).take(pa.array(rows, mask=rows < 0))
        whole = joined(self.domains.target, matrix_of(later, self.items))
        lists = lists_of(whole.indptr.astype(np.int64), whole.indices.astype(np.int64), self.items)
        table = self.train.table.drop_columns([ITEMS]).append_column(ITEMS, pa.chunked_array([lists]))
        return replace(self.domains, target=whole), Examples(table, self.train.schema)

    def predicted(self, scorer: Scorer, rows: np.ndarray) -> Prediction:
        """Lists for users of the validation part."""
        found, inputs = [], self.task.inputs(self.val.take(rows))
        for start in range(0, len(rows), AT_ONCE):
            some = self.val.take(rows[start : start + AT_ONCE])
            histories = self._domains(some)
            empty = csr_array((len(some), 0), dtype=np.float32)
            scores = scorer.scores(histories.target, empty if histories.source is None else histories.source)
            had = {name: collated(values[start : start + AT_ONCE]) for name, values in inputs.items()}
            found.append(self.task.predict(nn.Identity(), Features(torch.from_numpy(scores)), had))
        return Prediction.join(found)

    def judged(self, recommender: Recommender, group: str, domains: Domains) -> float:
        """The primary metric of a group's users, solved on other domains; NaN where it cannot be."""
        if recommender.lacks(domains):
            return float("nan")
        lists = self.predicted(made_ready(recommender, domains, self.seed, None).scorer, self.groups[group])
        return self.task.evaluation.primary.score(self.targets(group), lists)

    def targets(self, group: str) -> Mapping[str, np.ndarray]:
        """Return the targets of a group's users."""
        return self.task.targets(self.val.take(self.groups[group]))

    def candidates(self) -> Iterator[Recommender]:
        """The recommenders that the data suffice for; the others are told of."""
        given = self.context.plan.settings.get("recommender", {})
        if given and len(self.backbone.methods) != 1:
            raise SettingsError("--set recommender... needs one recommender: name it with --backbone")
        every = {*self.backbone.methods} == {*registry.names("recommenders")}
        for name in self.backbone.methods:
            recommender: Recommender = build(registry.plugin("recommenders", name), given, where="recommender")
            lacks = recommender.lacks(self.domains)
            if lacks and every and recommender.transfers and self.domains.source is None:
                continue
            if lacks:
                self.context.log.add(Decision(what=name, value=LEFT_OUT, reason=f"it needs {lacks}"))
            elif self._groups_of(recommender):
                yield recommender

    def _groups_of(self, recommender: Recommender) -> list[str]:
        tells_cold = recommender.serves_cold or not recommender.informed
        return [group for group in self.groups if group == WARM or tells_cold]

    def all_tried(self) -> dict[str, list[Tried]]:
        """Every recommender by group of users; of several, one whose training fails is left out and told of."""
        found: dict[str, list[Tried]] = {group: [] for group in self.groups}
        for recommender in self.candidates():
            self.context.reporter.say(f"{recommender.title} is solved or trained")
            try:
                for group, tried in self.tried(recommender).items():
                    found[group].append(tried)
            except TrainingError as error:
                if len(self.backbone.methods) == 1:
                    raise
                lost = Decision(what=registry.name_of(recommender), value=LEFT_OUT, reason=str(error))
                self.context.log.tell(f"{recommender.title} is left out: {error}", lost)
        return found

    def tried(self, recommender: Recommender) -> dict[str, Tried]:
        """The recommender at the settings that suit each group best on validation."""
        best: dict[str, Tried] = {}
        metric, started = self.task.evaluation.primary, time.monotonic()
        settled = bool(self.context.plan.settings.get("recommender"))
        for one in (recommender,) if settled else recommender.tries(self.domains):
            ready = made_ready(one, self.domains, self.seed, self.held_out, self.context.reporter)
            for group in self._groups_of(one):
                began = time.monotonic()
                prediction = self.predicted(ready.scorer, self.groups[group])
                each = (time.monotonic() - began) / len(prediction)
                score = metric.score(self.targets(group), prediction)
                if group not in best or score > best[group].score:
                    numbers = sum(values.size for values in ready.scorer.arrays().values())
                    best[group] = Tried(ready.recommender, score, prediction, 0.0, numbers, each)
        seconds = time.monotonic() - started
        return {group: replace(found, seconds=seconds) for group, found in best.items()}


def _users(examples: Examples) -> pa.Array:
    return examples.table.column(USER).combine_chunks()


def recommender_arms(context: FitContext) -> Arms:
    """The chosen recommenders first, then no transfer, the best other control, and popularity."""
    fit = Fit(context)
    with context.budget.step("solving and tuning on validation"):
        found = fit.all_tried()
    if not any(found.values()):
        raise DataError(f"none of {', '.join(fit.backbone.methods)} can be solved on these data")
    found = {group: tried for group, tried in found.items() if tried}  # popularity is for the others
    chosen = {group: _chosen(fit, group, tried) for group, tried in found.items()}
    own = {group: _best([one for one in tried if not one.recommender.transfers]) for group, tried in found.items()}
    with context.budget.step("solving on training and validation part"):
        arms = _solved_arms(fit, chosen, own, found)
    rows = tuple(_row(fit, group, one, one is chosen[group]) for group, tried in found.items() for one in tried)
    context.log.add(*_decisions(fit, chosen, own))
    with context.budget.step("looking at lists"):
        context = replace(context, foresight=Foresight(_panels(fit, chosen, own), ()))
    return Arms(context, arms, rows, used=context.budget.used())


def _panels(fit: Fit, chosen: Mapping[str, Tried], own: Mapping[str, Tried | None]) -> tuple[Panel, ...]:
    """Lists, gain by popularity, and the worth of the overlap where a recommender that transfers was chosen."""
    groups = list(chosen)
    rows = np.concatenate([fit.groups[group] for group in groups])
    mine = Prediction.join([chosen[group].prediction for group in groups])
    control = Prediction.join([(own[group] or chosen[group]).prediction for group in groups])
    listed, k, column = Listed(fit.val.take(rows), mine, control), fit.task.places, fit.task.listed
    found = [list_panel(listed, fit.items.to_pylist(), column, k)]
    if fit.domains.source is None:
        return tuple(found)
    relevant = fit.task.targets(listed.users)[RELEVANT]
    counts = np.bincount(fit.domains.target.indices, minlength=len(fit.items))
    found.append(popularity_panel(listed, relevant, counts, column, k))
    for group, one in chosen.items():
        none = own[group]
        if one.recommender.transfers and none is not None:
            judged = partial(fit.judged, one.recommender, group)
            title = f"{fit.task.evaluation.primary.title} of {group} users"
            found.append(overlap_panel(fit.domains, judged, (one.score, none.score), title, fit.seed))
    return tuple(found)


def _best(tried: Sequence[Tried]) -> Tried | None:
    return max(tried, key=lambda one: one.score, default=None)


def _chosen(fit: Fit, group: str, tried: Sequence[Tried]) -> Tried:
    """The best recommender of the target alone, unless one that transfers is better, by the rule above."""
    own = _best([one for one in tried if not one.recommender.transfers])
    other = _best([one for one in tried if one.recommender.transfers])
    if own is None or other is None:
        return next(one for one in (own, other) if one is not None)
    metric, targets = fit.task.evaluation.primary, fit.targets(group)
    found = compare(metric, targets, other.prediction, own.prediction, groups=None, seed=fit.seed)
    figure = found.figure
    likely = figure.value > 0 and figure.value + figure.low > 0  # the interval is of about two standard errors
    return other if found.verdict == "better" or (group == COLD and likely) else own


def _solved_arms(
    fit: Fit, chosen: Mapping[str, Tried], own: Mapping[str, Tried | None], found: Mapping[str, Sequence[Tried]]
) -> list[Trained]:
    """The chosen recommenders, and those that they are held against, solved on both parts."""
    domains, known = fit.everything()
    solved: dict[str, Part] = {}

    def part(recommender: Recommender) -> Part:
        key = repr(recommender)
        if key not in solved:
            solved[key] = made_ready(recommender, domains, fit.seed, None, fit.context.reporter)
        return solved[key]

    wanted: dict[str, dict[str, Recommender]] = {"model": {g: one.recommender for g, one in chosen.items()}}
    if domains.source is not None:
        wanted[SCRATCH] = {group: one.recommender for group, one in own.items() if one is not None}
    informed = [one for one in found.get(WARM, ()) if one.recommender.informed and not one.recommender.transfers]
    others = [one for one in informed if one.recommender.title != wanted.get(SCRATCH, wanted["model"])[WARM].title]
    if (other := _best(others)) is not None:
        wanted[CLASSICAL] = {WARM: other.recommender}
    kinds = [registry.plugin("recommenders", name) for name in registry.names("recommenders")]
    popular: Recommender = next(kind for kind in kinds if not kind.informed)()
    wanted[CONSTANT] = {WARM: popular}
    return [_arm(fit, key, parts, part, known, popular) for key, parts in wanted.items()]


def _arm(
    fit: Fit, key: str, parts: Mapping[str, Recommender], part: Any, known: Examples, popular: Recommender
) -> Trained:
    started = time.monotonic()
    warm = parts.get(WARM, popular)
    cold = parts.get(COLD, warm if warm.serves_cold else popular)
    learnt = {"items": fit.items, "source_items": fit.source_items}
    backbone = fit.backbone.solved(part(warm), part(cold), known, learnt)
    backbone.name = fit.context.backbone.name
    words = (
        warm.words()
        if cold in (warm, popular) or COLD not in fit.groups
        else f"{warm.words()}; cold users: {cold.words()}"
    )
    if WARM not in fit.groups:
        words = cold.words()
    if key == SCRATCH:
        words = f"{words}, {WITHOUT_TRANSFER}"
    model = model_with(fit.context, backbone, nn.Identity())
    chosen = {f"{place}.{name}": value for place, one in ((WARM, warm), (COLD, cold)) for name, value in one}
    seconds = time.monotonic() - started
    return Trained(
        key, words, model, seconds, chosen, stages=frozen_rows(backbone), fit_on=("train", "val"), from_inputs=True
    )


def _row(fit: Fit, group: str, one: Tried, kept: bool) -> CandidateRow:
    metric = fit.task.evaluation.primary
    figure = figures((metric,), fit.targets(group), one.prediction, groups=None, seed=fit.seed)[metric.name]
    return CandidateRow(
        name=one.recommender.words() + (", cold users" if group == COLD else ""),
        tuning=registry.name_of(one.recommender),
        learning_rate=float("nan"),
        epochs=0,
        seconds=one.seconds,
        val_metric=figure.value,
        val_low=figure.low,
        val_high=figure.high,
        fate="kept" if kept else "not the best on validation",
    )


def _decisions(fit: Fit, chosen: Mapping[str, Tried], own: Mapping[str, Tried | None]) -> list[Decision]:
    """Return the choice for each group of users, and whether it transfers."""
    told = []
    for group, one in chosen.items():
        users, none = len(fit.groups[group]), own[group]
        reason = f"the best on {users:,} {group} users of the validation part"
        if fit.domains.source is not None and none is not None:
            reason += (
                f"; better than no transfer ({none.recommender.title})"
                if one.recommender.transfers
                else "; no transfer: nothing that learns from the source is better for certain"
            )
        told.append(Decision(what=f"recommender for {group} users", value=one.recommender.words(), reason=reason))
    return told
