"""The course of a pretraining: its loss and every monitor, from before the first step on, as charts."""

from __future__ import annotations

import math
from typing import NamedTuple

from markupsafe import Markup

from headstart.contracts.figures import MetricInfo
from headstart.contracts.metric import SHARE
from headstart.pipeline.pretraining.record import PretrainRecord, ViewRow
from headstart.present.report import svg
from headstart.present.report.curves import Curve
from headstart.present.report.curves import chart as drawn
from headstart.present.report.pictures import PICTURE

MOST_VIEWS = 12


class Monitor(NamedTuple):
    """A number that was followed."""

    name: str
    info: MetricInfo
    epochs: list[int]
    """From 0, before the first step, where that was looked at."""
    values: list[float]

    @property
    def first(self) -> float:
        """At the start."""
        return self.values[0]

    @property
    def last(self) -> float:
        """At the end."""
        return self.values[-1]


def monitors(record: PretrainRecord) -> list[Monitor]:
    """The held-out loss, then whatever else was looked at."""
    names = dict.fromkeys(("loss", *(name for epoch in record.history for name in epoch.monitors)))
    return [_monitor(record, name) for name in names]


def chart(record: PretrainRecord, monitor: Monitor) -> Markup:
    """One monitor over the epochs; the loss beside that of the training."""
    curves = [Curve("held out", monitor.info.unit, monitor.values, "validation")]
    if monitor.name == "loss":
        before = [math.nan] * (len(monitor.epochs) - len(record.history))
        curves.insert(0, Curve("training", "", [*before, *(e.train_loss for e in record.history)], "training"))
    shown = [value for curve in curves for value in curve.values]
    y_range = svg.span(shown, share=monitor.info.unit == SHARE)
    return drawn(monitor.info.title, monitor.info.title, monitor.epochs, curves, y_range, "series-1")


def shown_views(record: PretrainRecord) -> list[ViewRow]:
    """Those whose pictures are all of the one form that is put into the page."""
    whole = [row for row in record.views if all(PICTURE.fullmatch(picture) for picture in row.pictures)]
    return whole[:MOST_VIEWS]


def _monitor(record: PretrainRecord, name: str) -> Monitor:
    epochs = [epoch.epoch for epoch in record.history]
    values = [epoch.val_loss if name == "loss" else epoch.monitors.get(name, math.nan) for epoch in record.history]
    if name in record.start:
        epochs, values = [0, *epochs], [record.start[name], *values]
    return Monitor(name, record.info(name), epochs, values)
