"""Cost of each candidate on this machine, from a few steps that leave no trace.

A candidate is not even timed when the speed of the backbone alone says that this would take too much of the time, or
that its epochs cannot fit: a step runs the stages forwards and backwards, which is about three times the work of a
pass. One on which what was asked for would do nothing, such as dropout in stages that have no place for it, is not
tried.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from headstart.kernel.errors import SettingsError, TrainingError
from headstart.pipeline.record import Decision
from headstart.search.candidates import Candidate
from headstart.search.cost import Cost
from headstart.search.search_state import STEPS, SearchState
from headstart.search.trial_log import TrialLog

FORWARDS_AND_BACKWARDS = 3.0
"""The work of a step beside that of a pass."""

PASSES = 2
"""What it takes to keep the states of frozen stages, beside a pass over them: choosing its runner costs as much."""

OPENING = 1.0
"""Seconds that building a training takes, about."""

MOST_OF_REST = 0.3
"""A candidate is timed where the first few steps take no more than this share of the time left."""

FEWEST_EPOCHS = 2
"""A candidate that cannot have so many epochs in half of the time left is not tried."""

REFUSED, FAILED, TOO_LONG = "refused", "failed", "too long"
"""Why one is not tried: what was asked for would do nothing on it, its first steps failed, or time is too short."""


@dataclass(frozen=True)
class Priced:
    """A candidate and its cost."""

    candidate: Candidate
    cost: Cost | None
    """None where it is not tried."""
    decision: Decision
    left_out: str = ""
    """Why it is not tried: `REFUSED`, `FAILED` or `TOO_LONG`."""


def priced(
    search_state: SearchState, trial_log: TrialLog, candidates: Sequence[Candidate], left: Callable[[], float]
) -> list[Priced]:
    """Price every candidate, in order; `left` says how many seconds there are."""
    found = []
    for candidate in candidates:

        def decide(candidate: Candidate = candidate) -> dict[str, Any]:
            try:
                return _decide(search_state, candidate, left())
            except (SettingsError, TrainingError) as error:
                return {REFUSED: str(error)}

        found.append(_read(candidate, trial_log.once(f"price of {candidate.name}", decide)))
    return found


def _decide(search_state: SearchState, candidate: Candidate, left: float) -> dict[str, Any]:
    """The cost of a candidate or why it is not tried, as JSON."""
    seconds, epoch = _forecast(search_state, candidate)
    if seconds > MOST_OF_REST * left:
        return {TOO_LONG: f"trying it takes about {seconds:.0f} s, and {left:.0f} s are left"}
    if FEWEST_EPOCHS * epoch > left / 2:
        return {TOO_LONG: f"an epoch takes at least {epoch:.0f} s, of {left:.0f} s left"}
    cost = search_state.timed(candidate)
    if isinstance(cost, str):
        return {FAILED: cost}
    if cost.start + FEWEST_EPOCHS * cost.epoch > left / 2:
        return {TOO_LONG: f"an epoch takes {cost.epoch:.1f} s, of {left:.0f} s left"}
    return {"cost": [cost.step, cost.steps, cost.validation, cost.start]}


def _forecast(search_state: SearchState, candidate: Candidate) -> tuple[float, float]:
    """Seconds of the first few steps with what must run once before them, and of an epoch in which all stages run.

    The latter is 0 where some are frozen, and both are about none where the speed is not known.
    """
    split, frozen = search_state.context.read.split, search_state.frozen(candidate)
    stages, speed = len(search_state.context.backbone.stages), search_state.speed
    steps = FORWARDS_AND_BACKWARDS * STEPS * candidate.recipe.batch_size
    seconds = OPENING + speed.plain * steps * (1 - frozen / stages)
    if frozen and not search_state.has_begun(candidate):
        seconds += PASSES * speed.runner * (len(split.train) + len(split.val))
    return seconds, 0.0 if frozen else FORWARDS_AND_BACKWARDS * speed.plain * len(split.train)


def _read(candidate: Candidate, decided: dict[str, Any]) -> Priced:
    if "cost" not in decided:
        ((cause, why),) = decided.items()
        return Priced(candidate, None, Decision(what=candidate.name, value="not tried", reason=why), cause)
    cost = Cost(*decided["cost"])
    value = ", ".join(f"{candidate.at(factor).rate:.2g}" for factor in candidate.factors)
    rates = "its own, and half a decade above and below" if len(candidate.factors) > 1 else "it is the user's"
    reason = f"{rates}; {candidate.reason}; about {cost.epoch:.2g} s per epoch"
    return Priced(candidate, cost, Decision(what=f"learning rates of {candidate.name}", value=value, reason=reason))
