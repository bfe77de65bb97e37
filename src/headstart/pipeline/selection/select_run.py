"""The steps of a selection: read, split, load every candidate, embed, cross-validate a probe on each, rank.

Candidates are measured in rounds on growing shares of the labelled examples. After each round those that cannot win are
left out: the worse half, where the bootstrap gives them less than one chance in a hundred (successive halving, Jamieson
& Talwalkar 2016, with a bar so that none is lost to noise). What was embedded for one round is read from the store in
the next. The test part is not looked at.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np

from headstart.contracts.figures import info_of
from headstart.contracts.prediction import Prediction
from headstart.contracts.score import LabelledFeatures, Score
from headstart.engine.store.feature_store import FeatureStore
from headstart.evidence.comparison import Difference, compare, measure
from headstart.evidence.folds import Fold, folds
from headstart.evidence.held_out_probe import held_out_prediction
from headstart.evidence.ranking import Rank, ranks
from headstart.kernel import registry
from headstart.kernel.errors import BackboneError, DataError
from headstart.kernel.progress import Reporter
from headstart.kernel.randomness import draw_seed
from headstart.pipeline.budget import Budget
from headstart.pipeline.embed import embed
from headstart.pipeline.judge import figure_row
from headstart.pipeline.numbers import difference_text, figure_text, seconds_text
from headstart.pipeline.plan import Plan
from headstart.pipeline.prepare import no_longer_read, read_data
from headstart.pipeline.ready import staged
from headstart.pipeline.selection.candidates import Candidate, catalogue, loaded, references_for
from headstart.pipeline.selection.record import BackboneRow, Selection, Skipped

FOLDS = 5

ROUNDS = (4, 2, 1)
"""The labelled examples of each round, as a divisor of all."""

FEWEST = 200
"""Labelled examples of a round at least."""

HOPELESS = 0.01
"""Probability of being the best below which the worse half is left out."""


@dataclass(frozen=True)
class Measurement:
    """A candidate on the labelled examples of a round."""

    candidate: Candidate
    features: np.ndarray
    prediction: Prediction


@dataclass(frozen=True)
class Round:
    """Labelled examples of a round, with their folds; positions are those within the round."""

    rows: np.ndarray
    folds: Sequence[Fold]
    groups: np.ndarray | None


def run_selection(
    data: Any, plan: Plan, references: Sequence[str], reporter: Reporter, *, commercial: bool = False
) -> Selection:
    """Rank pretrained models for data. Raises DataError, SettingsError or BackboneError as `fit`."""
    started = time.monotonic()
    begun = staged(read_data(data, plan, reporter), plan)
    modality = begun.parts.read.examples.schema.modality
    candidates, skipped = loaded(
        begun, plan, references or references_for(modality), named=bool(references), commercial=commercial
    )
    if not candidates:
        reasons = "; ".join(f"{one.reference}: {one.reason}" for one in skipped)
        raise BackboneError(f"none of the {len(skipped)} candidates can be measured. {reasons}")
    contest = Contest(plan, candidates, Budget(plan.budget), reporter)
    rows = contest.run()
    first = candidates[0].ready.data
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
        notes=first.summary.notes,
        score_titles={name: score.title for name, score in contest.scores.items()},
        score_units={name: score.unit for name, score in contest.scores.items()},
    )


class Contest:
    """Measures candidates in rounds."""

    def __init__(self, plan: Plan, candidates: Sequence[Candidate], budget: Budget, reporter: Reporter) -> None:
        """Prepare the scores that suit the task; nothing runs yet."""
        self.seed, self.candidates, self.budget, self.reporter = plan.seed, list(candidates), budget, reporter
        data = candidates[0].ready.data
        self.task, self.data = data.task, data
        kinds = {name: registry.plugin("scores", name) for name in registry.names("scores")}
        self.scores: dict[str, Score] = {name: kind() for name, kind in kinds.items() if kind.suits(self.task)}
        self.store = FeatureStore()
        self.published = {entry["reference"]: float(entry["published"]) for entry in catalogue()}
        self.skipped: list[Skipped] = []
        self.verdict = ""

    def run(self) -> tuple[BackboneRow, ...]:
        """Return the candidates, the best first. Raises BackboneError where the budget ends before the first."""
        labelled = np.union1d(self.data.split.train, self.data.split.val)
        order = np.random.default_rng(draw_seed(self.seed, "rounds of a selection")).permutation(labelled)
        sizes = [len(order) // part for part in ROUNDS if part == 1 or len(order) // part >= FEWEST]
        self._tell_time(len(order))
        left, behind = self.candidates, list[BackboneRow]()
        for size in sizes if len(left) > 2 else sizes[-1:]:
            this = self._round(np.sort(order[:size]))
            measured = self._measured(this, left)
            if not measured:
                raise BackboneError("the budget ended before any candidate was measured: allow more time")
            rows = self._rows(this, measured)
            if size == sizes[-1] or len(measured) < len(left):
                break
            kept = max(2, -(-len(rows) // 2))
            stay = {row.reference for place, row in enumerate(rows) if place < kept or row.best >= HOPELESS}
            behind = [row for row in rows if row.reference not in stay] + behind
            left = [one.candidate for one in measured if one.candidate.reference in stay]
        self.verdict = self._verdict(this, rows, measured)
        return (*rows, *behind)

    def _tell_time(self, examples: int) -> None:
        seconds = sum(one.choice.seconds_each for one in self.candidates) * examples
        count = len(self.candidates)
        self.reporter.say(
            f"{count} candidates on {examples:,} examples: up to {seconds_text(seconds)} of frozen passes"
        )

    def _round(self, rows: np.ndarray) -> Round:
        """Cut the rows of a round into folds."""
        data, here = self.data, np.arange(len(rows))
        units = data.kept_together(rows)
        count = min(FOLDS, len(rows) if units is None else len(np.unique(units)))
        if count < 2:
            raise DataError(f"{len(rows)} labelled examples, or groups of them, are too few to cross-validate on")
        return Round(rows, folds(here, data.strata[rows], units, count, self.seed), units)

    def _measured(self, this: Round, candidates: Sequence[Candidate]) -> list[Measurement]:
        found: list[Measurement] = []
        for candidate in candidates:
            needed = candidate.choice.seconds_each * len(this.rows)
            if found and needed > self.budget.left():
                reason = f"its frozen pass takes about {seconds_text(needed)}, more than the budget leaves"
                self.skipped.append(Skipped(reference=candidate.reference, reason=reason))
                continue
            try:
                found.append(self._measurement(this, candidate))
            except (BackboneError, DataError) as error:
                self.skipped.append(Skipped(reference=candidate.reference, reason=str(error)))
        return found

    def _measurement(self, this: Round, candidate: Candidate) -> Measurement:
        data, backbone = candidate.ready.data, candidate.ready.backbone
        extracted = embed(
            backbone,
            data.examples.take(this.rows),
            keys=[data.keys[row] for row in this.rows],
            runner=candidate.choice,
            store=self.store,
            reporter=self.reporter,
        )
        if extracted.failures:
            raise no_longer_read(data.examples.take(this.rows), extracted.failures)
        features = extracted.pooled()
        if not np.isfinite(features).all():
            raise BackboneError("its features are NaN or infinite: its weights are of no use")
        targets = data.targets_of(this.rows)
        prediction = held_out_prediction(data.task, features, targets, this.folds, this.groups, self.seed)
        return Measurement(candidate, features, prediction)

    def _rows(self, this: Round, measured: Sequence[Measurement]) -> list[BackboneRow]:
        """Return the rows of a round, the best first: by the primary metric, equal ones by their time."""
        metric, targets = self.task.evaluation.primary, self.data.targets_of(this.rows)
        groups = this.groups
        standing = ranks(metric, targets, [one.prediction for one in measured], groups=groups, seed=self.seed)
        rows = [self._row(this, one, rank) for one, rank in zip(measured, standing)]
        sign = -1.0 if metric.greater_is_better else 1.0
        return sorted(rows, key=lambda row: (sign * row.figure.value, row.milliseconds))

    def _row(self, this: Round, one: Measurement, rank: Rank) -> BackboneRow:
        data, backbone = one.candidate.ready.data, one.candidate.ready.backbone
        targets = data.targets_of(this.rows)
        primary = data.task.evaluation.primary
        found = measure([primary], targets, one.prediction, groups=this.groups, seed=self.seed)[primary.name]
        given = LabelledFeatures(one.features, targets, this.folds)
        return BackboneRow(
            reference=one.candidate.reference,
            licence=backbone.licence,
            published=self.published.get(one.candidate.reference),
            parameters=sum(parameter.numel() for parameter in backbone.module.parameters()),
            width=backbone.width,
            milliseconds=1000 * one.candidate.choice.seconds_each,
            examples=len(this.rows),
            figure=figure_row(found),
            best=rank.best,
            ranks=(rank.low, rank.high),
            scores={name: score.score(given) for name, score in self.scores.items()},
        )

    def _verdict(self, this: Round, rows: Sequence[BackboneRow], measured: Sequence[Measurement]) -> str:
        """Return the best, and the fastest that is not significantly worse."""
        metric, best = self.task.evaluation.primary, rows[0]
        unit = info_of(metric).unit
        told = f"Best: {best.reference}, {metric.title.lower()} {figure_text(unit, best.figure)} by a linear probe"
        if len(rows) == 1:
            return f"{told}; nothing else was measured."
        told += f"; the best of {len(rows)} with probability {best.best:.0%}."
        by_name = {one.candidate.reference: one for one in measured}
        targets = self.data.targets_of(this.rows)

        def against(row: BackboneRow) -> Difference:
            one, other = by_name[row.reference].prediction, by_name[best.reference].prediction
            return compare(metric, targets, one, other, groups=this.groups, seed=self.seed, choosing=True)

        faster = [row for row in rows[1:] if 0 < row.milliseconds < best.milliseconds / 1.2]
        for row in sorted(faster, key=lambda row: row.milliseconds):
            found = against(row)
            if found.verdict == "not significant":
                times = best.milliseconds / row.milliseconds
                apart = difference_text(unit, figure_row(found.figure))
                return f"{told} {row.reference} is {times:.1f} times as fast and not significantly worse: {apart}."
        return told
