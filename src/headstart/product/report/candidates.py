"""What was tried on the way to the model, judged on validation: never a figure of the test part."""

from __future__ import annotations

from markupsafe import Markup

from headstart.product.numbers import figure_text, is_share, metric_title
from headstart.product.record import Candidate, FigureRow, RunRecord
from headstart.product.report.intervals import Whisker, interval_plot

MOST_LISTED = 100
MOST_DRAWN = 16


def figure_of(candidate: Candidate) -> FigureRow:
    """Its primary metric on validation, with the interval where there is one."""
    return FigureRow(value=candidate.val_metric, low=candidate.val_low, high=candidate.val_high, n=0)


def kept(candidate: Candidate) -> bool:
    """Whether it became the model."""
    return candidate.fate.startswith("kept")


def style(candidate: Candidate) -> str:
    """'good', 'bad' or 'neutral': what became of it."""
    if kept(candidate):
        return "good"
    return "bad" if candidate.fate.startswith("failed") else "neutral"


def plot(record: RunRecord) -> Markup:
    """The best ones beside each other; a filled round mark in the model's colour is the one that was kept."""
    rising = record.greater_is_better.get(record.primary_metric, True)
    known = [candidate for candidate in record.candidates if candidate.val_metric == candidate.val_metric]
    ranked = sorted(known, key=lambda one: (not kept(one), -one.val_metric if rising else one.val_metric))
    rows = [_whisker(record, candidate) for candidate in ranked[:MOST_DRAWN]]
    title = f"{metric_title(record.primary_metric)} on validation"
    return interval_plot(title, rows, share=is_share(record.primary_metric))


def _whisker(record: RunRecord, candidate: Candidate) -> Whisker:
    figure = figure_of(candidate)
    name = f"{candidate.name} (kept)" if kept(candidate) else candidate.name
    return Whisker(
        name, figure, figure_text(record.primary_metric, figure), "series-1" if kept(candidate) else "series-4"
    )
