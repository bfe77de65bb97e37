"""The evidence of a run as the page shows it: figures, comparisons, learning curves and slices, each with its plot."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from markupsafe import Markup

from headstart.contracts.figures import MetricInfo
from headstart.contracts.metric import SHARE
from headstart.pipeline import verdict
from headstart.pipeline.numbers import difference_text, figure_text
from headstart.pipeline.pretraining.record import Gain
from headstart.pipeline.record import Arm, Comparison, RunRecord, SliceRow
from headstart.present.report.curves import loss_chart, metric_chart
from headstart.present.report.intervals import Reference, Whisker, brief, interval_plot

SERIES = {"model": "series-1", "probe": "series-2", "start": "series-2", "scratch": "series-3"}
"""Colour and mark of the arms."""

VERDICTS = {"better": "good", "worse": "bad"}
"""Style of a comparison's verdict; any other verdict is neutral."""

MOST_SLICES_DRAWN = 25


class ArmCurves(NamedTuple):
    """The learning curves of one arm."""

    name: str
    arm: Arm
    loss: Markup
    metric: Markup


class SliceTable(NamedTuple):
    """The subgroups of one column."""

    column: str
    rows: list[SliceRow]
    metrics: list[str]
    plot: Markup | None


def series_of(arm: str) -> str:
    """The CSS class of an arm."""
    return SERIES.get(arm, "series-4")


def metrics(record: RunRecord | Gain) -> list[str]:
    """All metrics that any arm has, the primary one first."""
    found = {record.primary_metric: None} | {name: None for arm in record.arms.values() for name in arm.figures}
    return [name for name in found if any(name in arm.figures for arm in record.arms.values())]


def main_arm(record: RunRecord) -> Arm | None:
    """The model, or the first arm where none is called so."""
    return record.arms.get("model") or next(iter(record.arms.values()), None)


def support(record: RunRecord | Gain, metric: str) -> int:
    """On how many examples, or groups, a metric rests."""
    return max(arm.figures[metric].n for arm in record.arms.values() if metric in arm.figures)


def beside_constant(record: RunRecord) -> str:
    """'equals always answering 'ham'', where the model's figure is no better than a constant prediction's; else ''."""
    if "model" not in record.arms:
        return ""
    return verdict.beside_constant(record.primary_metric, record.info(record.primary_metric), record.arms)


def class_names(record: RunRecord) -> list[str]:
    """The classes of all parts of the split."""
    return _once(name for part in record.data.parts for name in part.classes)


def direction(record: RunRecord | Gain, metric: str) -> str:
    """Which way is better, for the axis of a plot; empty where it is not known."""
    known = record.info(metric).greater_is_better
    return "" if known is None else "higher is better →" if known else "← lower is better"


def figure_plot(record: RunRecord | Gain, metric: str) -> Markup:
    """One metric of all arms that have it."""
    unit = record.unit(metric)
    rows = [
        Whisker(name, arm.figures[metric], figure_text(unit, brief(arm.figures[metric])), series_of(name))
        for name, arm in record.arms.items()
        if metric in arm.figures
    ]
    better = direction(record, metric)
    return interval_plot(record.title(metric), rows, share=unit == SHARE, better=better)


def comparison_plots(record: RunRecord | Gain) -> list[tuple[str, Markup]]:
    """Per metric: the paired differences to the other arms, with the line of no difference."""
    return [
        (metric, _difference_plot(record.info(metric), [c for c in record.comparisons if c.metric == metric]))
        for metric in _once(comparison.metric for comparison in record.comparisons)
    ]


def _difference_plot(metric: MetricInfo, comparisons: list[Comparison]) -> Markup:
    rows = [
        Whisker(
            f"model − {comparison.against}",
            comparison.difference,
            difference_text(metric.unit, brief(comparison.difference)),
            VERDICTS.get(comparison.verdict, "neutral"),
        )
        for comparison in comparisons
    ]
    reference = Reference(0.0, "no difference")
    better = "right: the model is better"
    title = f"{metric.title}: the model minus the others"
    return interval_plot(title, rows, share=metric.unit == SHARE, signed=True, better=better, reference=reference)


def forgetting_plot(record: RunRecord) -> Markup | None:
    """The primary metric on the old test part, of the run that this one went on from and of its own model."""
    old = record.forgetting
    if old is None:
        return None
    unit = record.unit(old.metric)
    rows = [
        Whisker(name, figures[old.metric], figure_text(unit, brief(figures[old.metric])), series)
        for name, figures, series in (("before", old.before, "series-4"), ("after", old.after, "series-1"))
        if old.metric in figures
    ]
    title = f"{record.title(old.metric)} on {'the kept domain' if old.kept else 'the old test part'}"
    return interval_plot(title, rows, share=unit == SHARE, better=direction(record, old.metric))


def curves(record: RunRecord) -> list[ArmCurves]:
    """The arms that were trained by steps."""
    trained = {name: arm for name, arm in record.arms.items() if arm.history}
    values = [epoch.val_metric for arm in trained.values() for epoch in arm.history]
    return [
        ArmCurves(
            name,
            arm,
            loss_chart(arm, series_of(name)),
            metric_chart(arm, record.info(record.primary_metric), values, series_of(name)),
        )
        for name, arm in trained.items()
    ]


def slice_tables(record: RunRecord) -> list[SliceTable]:
    """Per column: its subgroups and a plot of the primary metric."""
    tables = []
    for column in _once(row.column for row in record.slices):
        rows = [row for row in record.slices if row.column == column]
        shown = [metric for metric in metrics(record) if any(metric in row.figures for row in rows)]
        tables.append(SliceTable(column, rows, shown, _slice_plot(record, column, rows)))
    return tables


def _slice_plot(record: RunRecord, column: str, rows: list[SliceRow]) -> Markup | None:
    metric, unit = record.primary_metric, record.unit(record.primary_metric)
    whiskers = [
        Whisker(row.value, row.figures[metric], figure_text(unit, brief(row.figures[metric])), "series-1")
        for row in rows
        if metric in row.figures
    ]
    if not whiskers:
        return None
    arm = main_arm(record)
    overall = arm.figures.get(metric) if arm else None
    reference = Reference(overall.value, "all examples") if overall else None
    title = f"{record.title(metric)} by {column}"
    return interval_plot(title, whiskers[:MOST_SLICES_DRAWN], share=unit == SHARE, reference=reference)


def is_worst(record: RunRecord, row: SliceRow) -> bool:
    """Return whether the record names this subgroup as the worst."""
    return record.worst_slice.replace(" ", "") == f"{row.column}={row.value}".replace(" ", "")


def comparison_with(record: RunRecord, arm: str) -> Comparison | None:
    """The comparison with an arm on the primary metric."""
    found = (c for c in record.comparisons if c.against == arm and c.metric == record.primary_metric)
    return next(found, None)


def _once(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
