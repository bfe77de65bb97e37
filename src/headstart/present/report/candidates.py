"""What was tried on the way to the model, judged on validation: never a figure of the test part."""

from __future__ import annotations

import math

from markupsafe import Markup

from headstart.pipeline.numbers import figure_text, is_share, metric_title
from headstart.pipeline.record import CandidateRow, FigureRow, RunRecord
from headstart.present.report.intervals import Whisker, interval_plot

MOST_LISTED = 100
MOST_DRAWN = 12
"""As many are seen at once, in the plot and beside it."""


def figure_of(candidate: CandidateRow) -> FigureRow:
    """Its primary metric on validation, with the interval where there is one."""
    return FigureRow(value=candidate.val_metric, low=candidate.val_low, high=candidate.val_high, n=0)


def kept(candidate: CandidateRow) -> bool:
    """Whether it became the model."""
    return candidate.fate.startswith("kept")


def style(candidate: CandidateRow) -> str:
    """'good', 'bad' or 'neutral': what became of it."""
    if kept(candidate):
        return "good"
    return "bad" if candidate.fate.startswith("failed") else "neutral"


def ranked(record: RunRecord) -> list[CandidateRow]:
    """The one that was kept, then the others from best to worst; last those without a figure."""
    sign = -1 if record.greater_is_better.get(record.primary_metric, True) else 1

    def place(candidate: CandidateRow) -> tuple[bool, bool, float]:
        unknown = math.isnan(candidate.val_metric)
        return not kept(candidate), unknown, 0.0 if unknown else sign * candidate.val_metric

    return sorted(record.candidates, key=place)


def plot(record: RunRecord) -> Markup:
    """The best ones with their intervals; the one that was kept has the model's colour and says so."""
    rows = [_whisker(record, one) for one in ranked(record)[:MOST_DRAWN] if not math.isnan(one.val_metric)]
    title = f"{metric_title(record.primary_metric)} on validation"
    return interval_plot(title, rows, share=is_share(record.primary_metric))


def _whisker(record: RunRecord, candidate: CandidateRow) -> Whisker:
    figure = figure_of(candidate)
    name = f"{candidate.name} (kept)" if kept(candidate) else candidate.name
    return Whisker(
        name, figure, figure_text(record.primary_metric, figure), "series-1" if kept(candidate) else "series-4"
    )
