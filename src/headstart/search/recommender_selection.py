"""select on interactions: recommenders ranked by the validation part, each at the settings that suit it best there."""

from __future__ import annotations

import time
from collections.abc import Sequence
from importlib.metadata import version

from headstart.contracts.figures import info_of
from headstart.engine.frozen.execution import plain_runner
from headstart.engine.frozen.extract import nothing_extracted
from headstart.evidence.comparison import figures
from headstart.evidence.ranking import ranks
from headstart.kernel import registry
from headstart.kernel.errors import DataError
from headstart.kernel.progress import Reporter
from headstart.pipeline.budget import Budget
from headstart.pipeline.context import FitContext
from headstart.pipeline.decision_log import DecisionLog
from headstart.pipeline.judge import figure_row
from headstart.pipeline.numbers import figure_text, in_sentence
from headstart.pipeline.plan import Plan
from headstart.pipeline.plan_file import AUTO
from headstart.pipeline.ready import Staged, ready
from headstart.pipeline.selection.record import BackboneRow, Selection, Skipped
from headstart.pipeline.selection.select_run import standing
from headstart.search.recommender_arms import LEFT_OUT, WARM, Fit


def rank_recommenders(begun: Staged, plan: Plan, references: Sequence[str], reporter: Reporter) -> Selection:
    """Rank the recommenders that `references` name, all without any, for users with a history.

    Raises DataError, SettingsError or BackboneError as `fit`.
    """
    started, log = time.monotonic(), DecisionLog()
    found = ready(begun, plan.model_copy(update={"backbone": "+".join(references) or AUTO}), Budget(), log)
    features = nothing_extracted(plain_runner())
    fit = Fit(FitContext(plan, found.data, found.backbone, features, None, reporter, log=log))
    tried = fit.all_tried().get(WARM, [])
    skipped = tuple(Skipped(reference=one.what, reason=one.reason) for one in log.made if one.value == LEFT_OUT)
    if not tried:
        raise DataError(f"no recommender can be ranked. {'; '.join(f'{s.reference}: {s.reason}' for s in skipped)}")
    metric, targets, users = fit.task.evaluation.primary, fit.targets(WARM), len(fit.groups[WARM])
    each = ranks(metric, targets, [one.prediction for one in tried], seed=plan.seed)
    rows = [
        BackboneRow(
            reference=registry.name_of(one.recommender),
            licence=found.backbone.licence,
            parameters=one.numbers,
            width=len(fit.items),
            milliseconds=1000 * one.seconds_each,
            examples=users,
            figure=figure_row(figures([metric], targets, one.prediction, groups=None, seed=plan.seed)[metric.name]),
            best=rank.best,
            ranks=(rank.low, rank.high),
            scores={},
        )
        for one, rank in zip(tried, each)
    ]
    rows.sort(key=lambda row: row.figure.value, reverse=True)
    words = {registry.name_of(one.recommender): one.recommender.words() for one in tried}
    told = f"Best: {words[rows[0].reference]}, {in_sentence(metric.title)} "
    told += figure_text(info_of(metric).unit, rows[0].figure)
    return Selection(
        name=plan.data,
        headstart=version("headstart"),
        task=registry.name_of(found.data.task),
        primary_metric=metric.name,
        metrics={metric.name: info_of(metric)},
        examples=users,
        backbones=tuple(rows),
        skipped=skipped,
        verdict=f"{told}; {standing(rows, metric)}." if len(rows) > 1 else f"{told}; nothing else was measured.",
        seconds=time.monotonic() - started,
        notes=found.data.summary.notes,
        basis="of lists for users of the validation part, by which the settings of each were chosen too",
    )
