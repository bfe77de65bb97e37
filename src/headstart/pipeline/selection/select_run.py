"""The steps of a selection: read, split, load every candidate, embed, cross-validate a probe on each, rank.

Candidates are measured in rounds on growing shares of the labelled examples. After each round those that cannot win are
left out: the worse half, where the bootstrap gives them less than one chance in a hundred (successive halving, Jamieson
& Talwalkar 2016, with a bar so that none is lost to noise). What was embedded for one round is read from the store in
the next. The test part is not looked at.

First stand those whose probe is not significantly below the best one, the largest of them first: the held-out examples
do not tell them apart, and by published evidence the larger one gains more from fine-tuning (`Candidate.size`). The
others follow by their probes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np

from headstart.contracts.figures import info_of
from headstart.contracts.metric import Metric
from headstart.contracts.prediction import Prediction
from headstart.contracts.score import Score
from headstart.contracts.task_capabilities import CutsHistories
from headstart.engine.store.feature_store import FeatureStore
from headstart.evidence.comparison import Difference, compare, figures
from headstart.evidence.folds import folds
from headstart.evidence.ranking import Rank, leaders_first, ranks
from headstart.kernel import registry
from headstart.kernel.errors import BackboneError, DataError
from headstart.kernel.progress import Reporter
from headstart.kernel.randomness import draw_seed
from headstart.pipeline.budget import Budget
from headstart.pipeline.context import FitContext
from headstart.pipeline.judge import figure_row
from headstart.pipeline.numbers import difference_text, figure_text, in_sentence, seconds_text, value_text
from headstart.pipeline.plan import Plan
from headstart.pipeline.prepare import read_data
from headstart.pipeline.ready import Staged, staged
from headstart.pipeline.selection.candidates import Candidate, as_candidate, catalogue, loaded, references_for
from headstart.pipeline.selection.measurement import Measurement, Round, embedded, measured
from headstart.pipeline.selection.record import BackboneRow, Selection, Skipped

FOLDS, FEWER_FOLDS, MANY = 5, 3, 1000
"""Folds, and those of so many examples or more, which do with fewer."""

ROUNDS = (4, 2, 1)
"""The labelled examples of each round, as a divisor of all."""

FEWEST = 200
"""Labelled examples of a round at least."""

HOPELESS = 0.01
"""Probability of being the best below which the worse half is left out."""

OfHistories = Callable[[Staged, Plan, Sequence[str], Reporter], Selection]
"""Ranks the candidates that are named, all without any."""

SIZE = "size"
"""The score of a model by its size alone."""


def run_selection(
    data: Any,
    plan: Plan,
    references: Sequence[str],
    reporter: Reporter,
    *,
    commercial: bool = False,
    rounds: Sequence[int] = ROUNDS,
    of_histories: OfHistories | None = None,
) -> Selection:
    """Rank pretrained models for data; `rounds` of (1,) leave none out early.

    `of_histories` ranks what there is for a task that cuts histories, where no model is pretrained.

    Raises DataError, SettingsError or BackboneError as `fit`.
    """
    started = time.monotonic()
    begun = staged(read_data(data, plan, reporter), plan)
    if of_histories is not None and isinstance(begun.task, CutsHistories):
        return of_histories(begun, plan, references, reporter)
    modality = begun.parts.read.examples.schema.modality
    models, skipped = loaded(
        begun, plan, references or references_for(modality), named=bool(references), commercial=commercial
    )
    candidates = []
    for found in models:
        labelled = np.union1d(found.data.split.train, found.data.split.val)
        try:
            candidates.append(as_candidate(found, plan, labelled, reporter))
        except BackboneError as error:
            skipped.append(Skipped(reference=found.reference, reason=str(error)))
    if not candidates:
        raise _nothing(skipped)
    first = candidates[0].ready.data
    contest = Contest(plan, candidates, labelled, Budget(plan.budget), reporter)
    rows = contest.run(rounds)
    primary = first.task.evaluation.primary
    return Selection(
        name=plan.data,
        headstart=version("headstart"),
        task=registry.name_of(first.task),
        primary_metric=primary.name,
        metrics={primary.name: info_of(primary)},
        examples=max(row.examples for row in rows),
        backbones=rows,
        skipped=(*skipped, *contest.skipped),
        verdict=contest.verdict,
        seconds=time.monotonic() - started,
        estimated=contest.estimated,
        notes=first.summary.notes,
        score_titles={**{name: score.title for name, score in contest.scores.items()}, SIZE: "Size prior"},
        score_units={**{name: score.unit for name, score in contest.scores.items()}, SIZE: ""},
    )


def _nothing(skipped: Sequence[Skipped]) -> BackboneError:
    told = "; ".join(f"{one.reference}: {one.reason}" for one in skipped)
    return BackboneError(f"none of the {len(skipped)} candidates can be measured. {told}")


class Contest:
    """Measures candidates in rounds."""

    def __init__(
        self, plan: Plan, candidates: Sequence[Candidate], rows: np.ndarray, budget: Budget, reporter: Reporter
    ) -> None:
        """Prepare the scores that suit the task; nothing runs yet. `rows` are the labelled examples to measure on."""
        self.seed, self.candidates, self.budget, self.reporter = plan.seed, list(candidates), budget, reporter
        self.plan = plan
        data = candidates[0].ready.data
        self.task, self.data, self.labelled = data.task, data, rows
        kinds = {name: registry.plugin("scores", name) for name in registry.names("scores")}
        self.scores: dict[str, Score] = {name: kind() for name, kind in kinds.items() if kind.suits(self.task)}
        self.store = FeatureStore()
        self.published = {entry["reference"]: float(entry["published"]) for entry in catalogue()}
        self.skipped: list[Skipped] = []
        self.found: list[Measurement] = []
        """Of the last round."""
        self.verdict, self.estimated = "", 0.0

    def run(self, rounds: Sequence[int] = ROUNDS) -> tuple[BackboneRow, ...]:
        """Return the candidates, the best first.

        Raises:
            BackboneError: none could be measured. DataError: too few examples to hold some out.
        """
        order = np.random.default_rng(draw_seed(self.seed, "rounds of a selection")).permutation(self.labelled)
        sizes = [len(order) // part for part in rounds if part == 1 or len(order) // part >= FEWEST]
        self._tell_time(len(order))
        left, behind = self.candidates, list[BackboneRow]()
        for size in sizes if len(left) > 2 else sizes[-1:]:
            this = self._round(np.sort(order[:size]))
            self.found = self._measured(this, left)
            if not self.found:
                raise _nothing(self.skipped)
            rows = self._rows(this)
            if size == sizes[-1] or len(self.found) < len(left):
                break
            kept = max(2, -(-len(rows) // 2))
            stay = {row.reference for place, row in enumerate(rows) if place < kept or row.best >= HOPELESS}
            behind = [row for row in rows if row.reference not in stay] + behind
            left = [one.candidate for one in self.found if one.candidate.reference in stay]
        self.verdict = self._verdict(this, rows)
        return (*rows, *behind)

    def _tell_time(self, examples: int) -> None:
        self.estimated = sum(one.seconds_each * examples + one.probe_seconds(examples) for one in self.candidates)
        count = len(self.candidates)
        told = f"{count} candidates on {examples:,} examples: up to {seconds_text(self.estimated)}"
        self.reporter.say(f"{told} of frozen passes and probes")

    def _round(self, rows: np.ndarray) -> Round:
        """Cut the rows of a round into folds."""
        data, here = self.data, np.arange(len(rows))
        units = data.kept_together(rows)
        most = FOLDS if len(rows) < MANY else FEWER_FOLDS
        count = min(most, len(rows) if units is None else len(np.unique(units)))
        if count < 2:
            raise DataError(f"{len(rows)} labelled examples, or groups of them, are too few to cross-validate on")
        return Round(rows, folds(here, data.strata[rows], units, count, self.seed), units, self.seed)

    def _measured(self, this: Round, candidates: Sequence[Candidate]) -> list[Measurement]:
        """Embed one candidate after the other, then measure all of them; what cannot be is skipped with the reason."""
        passed: list[tuple[Candidate, FitContext]] = []
        for candidate in candidates:
            needed = candidate.seconds_each * len(this.rows)
            if passed and needed > self.budget.left():
                reason = f"its frozen pass takes about {seconds_text(needed)}, more than the budget leaves"
                self.skipped.append(Skipped(reference=candidate.reference, reason=reason))
                continue
            try:
                passed.append((candidate, embedded(candidate, this, self.plan, self.store, self.reporter)))
            except (BackboneError, DataError) as error:
                self.skipped.append(Skipped(reference=candidate.reference, reason=str(error)))
        found = []
        for (candidate, _), one in zip(passed, measured(passed, this, self.scores, self.reporter)):
            if isinstance(one, Measurement):
                found.append(one)
            else:
                self.skipped.append(Skipped(reference=candidate.reference, reason=str(one)))
        return found

    def _rows(self, this: Round) -> list[BackboneRow]:
        """Return the rows of a round in their order; equal ones by their time."""
        metric, targets = self.task.evaluation.primary, self.data.targets_of(this.rows)
        found = sorted(self.found, key=lambda one: one.candidate.seconds_each)
        predictions = [one.prediction for one in found]
        each = ranks(metric, targets, predictions, groups=this.groups, seed=self.seed)
        rows = [self._row(this, one, rank) for one, rank in zip(found, each)]
        sign = -1.0 if metric.greater_is_better else 1.0
        top = predictions[min(range(len(rows)), key=lambda place: sign * rows[place].figure.value)]
        level = [self._against(this, prediction, top).verdict != "worse" for prediction in predictions]
        order = leaders_first([sign * row.figure.value for row in rows], level, [row.scores[SIZE] for row in rows])
        return [rows[place] for place in order]

    def _against(self, this: Round, one: Prediction, other: Prediction) -> Difference:
        metric, targets = self.task.evaluation.primary, self.data.targets_of(this.rows)
        return compare(metric, targets, one, other, groups=this.groups, seed=self.seed)

    def _row(self, this: Round, one: Measurement, rank: Rank) -> BackboneRow:
        candidate, primary = one.candidate, self.task.evaluation.primary
        targets = self.data.targets_of(this.rows)
        found = figures([primary], targets, one.prediction, groups=this.groups, seed=self.seed)[primary.name]
        return BackboneRow(
            reference=candidate.reference,
            licence=candidate.ready.backbone.licence,
            published=self.published.get(candidate.reference),
            parameters=candidate.parameters,
            operations=candidate.operations,
            width=candidate.ready.backbone.width,
            milliseconds=1000 * candidate.seconds_each,
            examples=len(this.rows),
            figure=figure_row(found),
            best=rank.best,
            ranks=(rank.low, rank.high),
            scores={**one.scores, SIZE: candidate.size},
        )

    def _verdict(self, this: Round, rows: Sequence[BackboneRow]) -> str:
        """Return the best, and the fastest that is not significantly worse."""
        metric, best = self.task.evaluation.primary, rows[0]
        unit = info_of(metric).unit
        told = f"Best: {best.reference}, {in_sentence(metric.title)} {figure_text(unit, best.figure)} by a linear probe"
        if len(rows) == 1:
            return f"{told}; nothing else was measured."
        told += f"; {standing(rows, metric)}."
        by_name = {one.candidate.reference: one.prediction for one in self.found}
        faster = [row for row in rows[1:] if 0 < row.milliseconds < best.milliseconds / 1.2]
        for row in sorted(faster, key=lambda row: row.milliseconds):
            found = self._against(this, by_name[row.reference], by_name[best.reference])
            if found.verdict == "not significant":
                times = best.milliseconds / row.milliseconds
                apart = difference_text(unit, figure_row(found.figure))
                return f"{told} {row.reference} is {times:.1f} times as fast and not significantly worse: {apart}."
        return told


def standing(rows: Sequence[BackboneRow], metric: Metric, where: str = "") -> str:
    """Return by what the first of the rows stands first; `where` is of all of them, such as ' on this machine'."""
    sign = 1.0 if metric.greater_is_better else -1.0
    top = max(rows, key=lambda row: sign * row.figure.value)
    told = f"the best of {len(rows)}{where} with probability {top.best:.0%}"
    if top.figure.value == rows[0].figure.value:
        return told
    value = value_text(info_of(metric).unit, top.figure.value)
    return f"not significantly below the smaller {top.reference} ({value}), {told}"
