"""Candidates for the model, judged on validation: never a figure of the test part."""

from __future__ import annotations

import math

from markupsafe import Markup

from headstart.contracts.metric import SHARE
from headstart.pipeline.numbers import figure_text
from headstart.pipeline.record import CandidateRow, FigureRow, RunRecord
from headstart.present.report.intervals import Whisker, interval_plot

MOST_LISTED = 100
MOST_DRAWN = 12
"""As many are seen at once, in the plot and beside it."""


def figure_of(candidate: CandidateRow) -> FigureRow:
    """Its primary metric on validation, with the interval where there is one."""
    return FigureRow(value=candidate.val_metric, low=candidate.val_low, high=candidate.val_high, n=0)


def kept(candidate: CandidateRow) -> bool:
    """Return whether it became the model."""
    return candidate.fate.startswith("kept")


def style(candidate: CandidateRow) -> str:
    """'good', 'bad' or 'neutral': what became of it."""
    if kept(candidate):
        return "good"
    return "bad" if candidate.fate.startswith("failed") else "neutral"


def ranked(record: RunRecord) -> list[CandidateRow]:
    """The one that was kept, then the others from best to worst; last those without a figure."""
    sign = 1 if record.info(record.primary_metric).greater_is_better is False else -1

    def place(candidate: CandidateRow) -> tuple[bool, bool, float]:
        unknown = math.isnan(candidate.val_metric)
        return not kept(candidate), unknown, 0.0 if unknown else sign * candidate.val_metric

    return sorted(record.candidates, key=place)


def plot(record: RunRecord) -> Markup:
    """The best ones with their intervals; the one that was kept has the model's colour and says so."""
    rows = [_whisker(record, one) for one in ranked(record)[:MOST_DRAWN] if not math.isnan(one.val_metric)]
    metric = record.info(record.primary_metric)
    return interval_plot(f"{metric.title} on validation", rows, share=metric.unit == SHARE)


def _whisker(record: RunRecord, candidate: CandidateRow) -> Whisker:
    figure = figure_of(candidate)
    name = f"{candidate.name} (kept)" if kept(candidate) else candidate.name
    series = "series-1" if kept(candidate) else "series-4"
    return Whisker(name, figure, figure_text(record.unit(record.primary_metric), figure), series)
