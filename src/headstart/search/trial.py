"""A candidate as a search goes on, and what is told of it: where it stands, in the record and in the plan."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from headstart.contracts.task import Evaluation
from headstart.pipeline.numbers import value_text
from headstart.pipeline.record import CandidateRow, Decision
from headstart.pipeline.trained import Trained
from headstart.search.candidates import Candidate
from headstart.search.cost import Cost
from headstart.search.probe_comparison import Answer


@dataclass
class Trial:
    """A candidate as the search goes on."""

    candidate: Candidate
    cost: Cost
    epochs: int
    """Planned."""
    wanted: int
    """What the size of the data asks for, or the user."""
    done: int = 0
    lowest: float = math.inf
    """Of its epochs' costs on validation: the loss, or what else the task is chosen by; infinite where it failed."""
    metric: float = math.nan
    """On validation, of that epoch."""
    seconds: float = 0.0
    """In its loop."""
    stopped: str = ""
    """Why it trains no further; empty while it does."""
    broken_off: bool = False
    """Whether that was because it could not; its best epoch until then counts."""
    fate: str = ""

    def rest(self, until: int | None = None) -> float:
        """Seconds that it needs until so many epochs are done, or to its end."""
        if self.stopped:
            return 0.0
        return self.cost.seconds((self.epochs if until is None else until) - self.done)

    def shortened(self) -> str:
        """A sentence on the epochs that the budget left of those it wants, to be added; empty where it has them all."""
        short = self.epochs < self.wanted
        return f" The budget left it {self.epochs} of the {self.wanted} epochs that it wants." if short else ""

    def row(self, answer: Answer | None) -> CandidateRow:
        """For the record; `answer` is how it compares with the probe, None where that was not asked."""
        low, high = (answer.tuned.low, answer.tuned.high) if answer else (math.nan, math.nan)
        return CandidateRow(
            name=self.candidate.name,
            tuning=self.candidate.tuning,
            learning_rate=self.candidate.rate,
            epochs=self.done,
            seconds=self.seconds,
            val_metric=self.metric,
            val_low=low,
            val_high=high,
            fate=f"{self.fate}; broken off: {self.stopped}" if self.broken_off else self.fate,
        )


def reached(evaluation: Evaluation, alive: Sequence[Trial]) -> str:
    """Return how far the best of the candidates has come, by what they are compared by."""
    best = min(alive, key=lambda one: one.lowest, default=None)
    if evaluation.chosen_by == "loss":
        return f"lowest validation loss {math.inf if best is None else best.lowest:.4g}"
    metric = evaluation.primary
    value = value_text(metric.unit, math.nan if best is None else best.metric)
    return f"best {metric.title} on validation {value}"


def decision_of(evaluation: Evaluation, row: CandidateRow) -> Decision:
    """Return the outcome of a candidate, for the plan."""
    metric = evaluation.primary
    best = f"{metric.title} {value_text(metric.unit, row.val_metric)} on validation at its best"
    reason = f"{best}, {row.epochs} epochs in {row.seconds:.1f} s"
    return Decision(what=f"candidate {row.name}", value=row.fate, reason=reason)


def row_of_probe(probe: Trained, answer: Answer | None) -> CandidateRow:
    """The probe among the candidates."""
    found = (answer.probe.value, answer.probe.low, answer.probe.high) if answer else (math.nan,) * 3
    return CandidateRow(
        name="probe",
        tuning="probe",
        learning_rate=math.nan,
        epochs=0,
        seconds=probe.seconds,
        val_metric=found[0],
        val_low=found[1],
        val_high=found[2],
        fate="beaten" if answer and answer.better else "kept",
    )
