"""Cost of each candidate on this machine and the rates worth trying, from short trainings that leave no trace.

A way is not even rehearsed when the speed of the backbone alone says that this would take too much of the time, or that
its epochs cannot fit: a step runs the stages forwards and backwards, which is about three times the work of a pass. One
on which what was asked for would do nothing, such as dropout in stages that have no place for it, is not tried.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from headstart.engine.training.trial_training import TrialTraining
from headstart.kernel.errors import SettingsError, TrainingError
from headstart.pipeline.record import Decision
from headstart.search.candidates import Candidate, few_judged
from headstart.search.cost import Cost
from headstart.search.rate_range import Tried, grid, rate_range
from headstart.search.search_state import MOST_JUDGED, Room, SearchState
from headstart.search.trial_log import TrialLog

TIMED = 4
"""Steps by which a way is priced, the first of which warms up."""

MOST_TIMED = 8
"""The same of few examples: steps of an epoch differ in what they take."""

SHARE = 0.2
"""Of the time left, that rehearsals may take."""

FORWARDS_AND_BACKWARDS = 3.0
"""The work of a step beside that of a pass."""

PASSES = 2
"""What it takes to keep the states of frozen stages, beside a pass over them: choosing its runner costs as much."""

OPENING = 1.0
"""Seconds that building a training takes, about."""

MOST_OF_REST = 0.3
"""A way is rehearsed where the first few steps take no more than this share of the time left."""

FEWEST_EPOCHS = 2
"""A way that cannot have so many epochs in half of the time left is not tried."""

SHORTEST, LONGEST = 8, 32
"""Steps of a short training that finds rates."""

RATES = (5, 3)
"""How many are tried, as time allows."""

NEIGHBOURS = (1.0, math.sqrt(10), 1 / math.sqrt(10))
"""Factors on a rate that was not looked for."""


REFUSED, FAILED, TOO_LONG = CAUSES = "refused", "failed", "too long"
"""Why a way is not tried: what was asked for would do nothing on it, its first steps failed, or time is too short."""


@dataclass(frozen=True)
class Priced:
    """A way, what it costs, and what was decided of it."""

    candidate: Candidate
    cost: Cost | None
    """None where it is not tried."""
    factors: tuple[float, ...]
    """On its recipe's rates; what comes first is tried first."""
    decision: Decision | None
    left_out: str = ""
    """What it is not tried for, one of `CAUSES`."""


def priced(
    search_state: SearchState,
    trial_log: TrialLog,
    candidates: Sequence[Candidate],
    left: Callable[[], float],
    enough: Callable[[Candidate, Cost], bool],
) -> list[Priced]:
    """Price every way, in order; `left` says how many seconds there are.

    Where one is `enough` at its cost, as there is no time to try another beside it, the others are not tried.
    """
    found, allowed = [], SHARE * left()
    for number, candidate in enumerate(candidates):

        def decide(
            candidate: Candidate = candidate, share: float = allowed / (len(candidates) - number)
        ) -> dict[str, Any]:
            before = left()
            try:
                decided = _decide(search_state, candidate, before, share)
            except (SettingsError, TrainingError) as error:
                decided = {REFUSED: str(error)}
            last = "cost" in decided and enough(candidate, Cost(*decided["cost"]))
            return {**decided, "took": 0.0 if math.isinf(before) else before - left(), "last": last}

        decided = trial_log.once(f"price of {candidate.name}", decide)
        allowed -= decided["took"]
        found.append(_read(candidate, decided))
        if decided.get("last"):
            reason = f"there is no time for another beside {candidate.name}"
            others = [Decision(what=one.name, value="not tried", reason=reason) for one in candidates[number + 1 :]]
            return [
                *found,
                *(Priced(one, None, (), told, TOO_LONG) for one, told in zip(candidates[number + 1 :], others)),
            ]
    return found


def _decide(search_state: SearchState, candidate: Candidate, left: float, share: float) -> dict[str, Any]:
    """What is to be known of a way, as JSON."""
    least, trial = _least_epoch(search_state, candidate), _trial(search_state, candidate)
    if trial > MOST_OF_REST * left:
        return {TOO_LONG: f"trying it takes about {trial:.0f} s, and {left:.0f} s are left"}
    if FEWEST_EPOCHS * least > left / 2:
        return {TOO_LONG: f"an epoch takes at least {least:.0f} s, of {left:.0f} s left"}
    with search_state.rehearsal(candidate) as room:
        first = room.train_briefly(
            max(TIMED, min(MOST_TIMED, room.loop.steps)) if few_judged(candidate.context) else TIMED
        )
        if first.failure:
            return {FAILED: first.failure}
        cost = Cost(first.step, room.loop.steps, first.validation / max(room.share, 1e-9), room.taking_up())
        if cost.start + FEWEST_EPOCHS * cost.epoch > left / 2:
            return {TOO_LONG: f"an epoch takes {cost.epoch:.1f} s, of {left:.0f} s left"}
        rates = _rates(room, candidate, cost, first.validation, share)
    return {"cost": [cost.step, cost.steps, cost.validation, cost.start], **rates}


def _rates(room: Room, candidate: Candidate, cost: Cost, validation: float, share: float) -> dict[str, Any]:
    """The factors to try, and why."""
    if candidate.sought not in candidate.free:
        return {"factors": [1.0], "reason": "it is the user's"}
    if few_judged(candidate.context):
        return {"factors": list(NEIGHBOURS), "reason": "so few validation examples do not tell which one is the best"}
    for count in RATES:
        steps = LONGEST if math.isinf(share) else int((share / count - validation) / max(cost.step, 1e-9))
        if steps >= SHORTEST:
            factors = grid(1.0, count)
            return _from_range(factors, [room.train_briefly(min(steps, LONGEST), f) for f in factors], room, candidate)
    return {"factors": list(NEIGHBOURS), "reason": "there is no time to look for a better one first"}


def _from_range(
    factors: Sequence[float], short: Sequence[TrialTraining], room: Room, candidate: Candidate
) -> dict[str, Any]:
    rate, failures = candidate.rate, [one.failure for one in short]
    found = rate_range([Tried(rate * factor, one.losses) for factor, one in zip(factors, short)], room.start())
    if found is None:
        why = f"each short training failed ({failures[0]})" if all(failures) else "no short training lowered the loss"
        return {"factors": [factors[0]], "reason": f"{why}: the lowest rate"}
    ends = [end for end in (found.high, found.low) if end != found.rate]
    return {"factors": [one / rate for one in (found.rate, *ends)], "reason": found.reason}


def _least_epoch(search_state: SearchState, candidate: Candidate) -> float:
    """Seconds of an epoch in which all stages run, about; 0 where some are frozen, or the speed is not known."""
    if search_state.frozen(candidate):
        return 0.0
    return FORWARDS_AND_BACKWARDS * search_state.speed.plain * len(search_state.context.read.split.train)


def _trial(search_state: SearchState, candidate: Candidate) -> float:
    """Seconds that the first few steps take about, with what must run once before them."""
    split, frozen, stages = (
        search_state.context.read.split,
        search_state.frozen(candidate),
        len(search_state.context.backbone.stages),
    )
    inputs = FORWARDS_AND_BACKWARDS * TIMED * candidate.recipe.batch_size + min(len(split.val), MOST_JUDGED)
    seconds = OPENING + search_state.speed.plain * inputs * (1 - frozen / stages)
    if frozen and not search_state.has_begun(candidate):
        seconds += PASSES * search_state.speed.runner * (len(split.train) + len(split.val))
    return seconds


def _read(candidate: Candidate, decided: dict[str, Any]) -> Priced:
    if "cost" not in decided:
        (cause,) = decided.keys() & set(CAUSES)
        decision = Decision(what=candidate.name, value="not tried", reason=decided[cause])
        return Priced(candidate, None, (), decision, cause)
    cost = Cost(*decided["cost"])
    factors = tuple(decided["factors"])
    value = ", ".join(f"{candidate.rate * factor:.2g}" for factor in factors)
    told = f"{decided['reason']}; {candidate.reason}; about {cost.epoch:.2g} s per epoch"
    return Priced(
        candidate, cost, factors, Decision(what=f"learning rates of {candidate.name}", value=value, reason=told)
    )
