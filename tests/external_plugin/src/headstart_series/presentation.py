"""Lifetimes as tables and reports show them: times with their range, ranges that held, the worst predictions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from headstart.contracts.examples import Examples
from headstart.contracts.metric import SHARE
from headstart.contracts.panels import Mistake, Panel, Table
from headstart.contracts.prediction import Prediction
from headstart.contracts.review import Review
from headstart.contracts.task import Targets
from headstart_series.lifetimes import BoundLifetimes


class LifetimePresentation:
    """Times in a unit, '412+' where the end was not seen."""

    def __init__(self, unit: str) -> None:
        """Show times in this unit."""
        self.unit = unit

    def labels(self, examples: Examples) -> Sequence[Any]:
        """Return '412', or '412+' where the end was not seen."""
        found = examples.target("lifetime")
        return [f"{lifetime['time']:g}{'' if lifetime['ended'] else '+'}" for lifetime in found]

    def tally(self, labels: Sequence[Any]) -> Mapping[str, int]:
        """Count lifetimes that ended and that did not."""
        return Counter("still running" if str(label).endswith("+") else "ended" for label in labels)

    def columns(self, prediction: Prediction) -> Mapping[str, np.ndarray]:
        """Return the time, and the range in which four of five should end."""
        shown = prediction.columns
        return {"prediction": shown["time"], "low": shown["low"], "high": shown["high"]}

    def panels(self, prediction: Prediction, targets: Targets) -> tuple[Panel, ...]:
        """Return how many lifetimes ended within their predicted range, from short to long ones."""
        (time, ended), shown = targets["lifetime"].T, prediction.columns
        within = (shown["low"] <= time) & (time <= shown["high"]) & (ended > 0)
        thirds = [rows for rows in np.array_split(np.argsort(shown["time"], kind="stable"), 3) if len(rows)]
        table = Table(
            title="Lifetimes within their predicted range",
            note="Of the lifetimes that ended, 80 % should have done so within the range.",
            header=("predicted from", "to", "examples", "ended", "within the range"),
            units=(self.unit, self.unit, "", "", SHARE),
            rows=tuple(
                (
                    float(shown["time"][rows[0]]),
                    float(shown["time"][rows[-1]]),
                    len(rows),
                    int(ended[rows].sum()),
                    float(within[rows].sum() / ended[rows].sum()) if ended[rows].any() else None,
                )
                for rows in thirds
            ),
        )
        return (table,)

    def mistakes(self, prediction: Prediction, targets: Targets, most: int) -> tuple[Mistake, ...]:
        """Return the ended lifetimes that were predicted worst, by ratio."""
        (time, ended), predicted = targets["lifetime"].T, prediction.columns["time"]
        ratio = np.exp(np.abs(np.log(predicted / time))) * (ended > 0)
        return tuple(
            Mistake(
                row=int(row),
                truth=f"{time[row]:.6g} {self.unit}",
                predicted=f"{predicted[row]:.6g} {self.unit}",
                weight=float(ratio[row]),
                weight_text=f"{ratio[row]:.3g} times too {'long' if predicted[row] > time[row] else 'short'}",
            )
            for row in np.argsort(-ratio, kind="stable")[:most]
            if ratio[row] > 1.0001
        )


def presentation(task: BoundLifetimes) -> LifetimePresentation:
    """Show times in the unit of the settings."""
    return LifetimePresentation(task.settings.unit)


def review(examples: Examples) -> Review:
    """Say how many lifetimes were seen to end."""
    ended = [bool(lifetime["ended"]) for lifetime in examples.target("lifetime") if lifetime is not None]
    return Review(notes=(f"{sum(ended)} of {len(ended)} lifetimes were seen to end",))
