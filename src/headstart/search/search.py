"""The search for the best tuning in the time there is: price candidates, halve them, compare the best with the probe.

1. A few steps of each tuning say what it costs.
2. Tunings at several rates become candidates, as many and for as many epochs as fit into the time in the worst case.
3. Successive halving by what the task chooses its best epoch by; whoever goes on is resumed, and real times correct the
   forecast.
4. The best one replaces the probe only where it beats it on validation beyond noise. Where few are labelled, all of
   them say how much of it is blended with the probe.

Every decision that depends on a clock goes into the journal, so that a killed search is the same search afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from headstart.kernel.errors import SettingsError, TrainingError
from headstart.pipeline.arms import arm_of, finished_arm
from headstart.pipeline.blending import blended_arm
from headstart.pipeline.budget import Budget
from headstart.pipeline.context import FitContext
from headstart.pipeline.record import CandidateRow, Decision
from headstart.pipeline.stored_views import as_many_views
from headstart.pipeline.time_estimates import Speed
from headstart.pipeline.trained import Trained
from headstart.pipeline.training import data_identity
from headstart.pipeline.view_averaging import left_out, views_averaged
from headstart.search.candidates import NEIGHBOURS, Candidate, candidates, few_judged, with_views
from headstart.search.cost import Cost
from headstart.search.cross_fitting import KEPT, CrossFitting
from headstart.search.halving import Contender, Rung, affordable, rungs, schedule
from headstart.search.pricing import FAILED, OPENING, REFUSED, Priced, priced
from headstart.search.probe_comparison import against_probe
from headstart.search.search_state import SearchState
from headstart.search.trial import Trial, decision_of, reached, row_of_probe
from headstart.search.trial_log import TrialLog

MOST_CANDIDATES = 12

CERTAIN = 0.92
"""Share of the time left that is planned for: what is forecast is not exact."""

UNKNOWN = Speed()


@dataclass(frozen=True)
class Found:
    """Outcome of a search."""

    context: FitContext
    """Its plan is that of the model: the one that repeats it."""
    arm: Trained | None
    """The model; None where the probe is."""
    candidates: tuple[CandidateRow, ...]
    decisions: tuple[Decision, ...]
    sentence: str
    """Why the model is what it is, in a sentence."""


class Search:
    """One search."""

    def __init__(
        self,
        context: FitContext,
        probe: Trained,
        time_budget: Budget,
        keep: float,
        speed: Speed = UNKNOWN,
        shipped: Trained | None = None,
    ) -> None:
        """Make ready.

        Args:
            context: data and backbone. probe: the arm that is to be beaten, which has not seen the validation part.
            time_budget: the time. keep: seconds of it that must be left when the search is over.
            speed: of the backbone. shipped: the probe that a blend takes, fit on all that are labelled.
        """
        self.shipped = shipped or probe
        self.probe, self.time_budget = probe, time_budget
        self.kept_for_others = self.keep = keep
        """Seconds that must be left when candidates have trained: the best one is then taken up and compared."""
        self.kept_for_all = 0.0
        path = None if context.work is None else context.work / "search.json"
        self.trial_log = TrialLog(path, data_identity(context), time_budget)
        self.context, self.views = with_views(context)
        self.search_state = SearchState(
            self.context, probe, None if time_budget.seconds is None else self.left(), speed
        )
        self.all_labels = CrossFitting(self.search_state, self.trial_log, self.left)
        self.decisions: list[Decision] = [self.views] if self.views else []

    def left(self) -> float:
        """Seconds that the search may still use."""
        return max(0.0, self.time_budget.left() - self.keep)

    def run(self) -> Found:
        """Search.

        Raises:
            SettingsError: what was asked for can be done with none of the tunings.
        """
        if not self.trial_log.once("is there time", lambda: self.left() > OPENING):
            return self._probe_stays("no time is left for anything else")
        self.possible, told = candidates(self.context)
        self.decisions += told
        prices = priced(self.search_state, self.trial_log, self.possible, self.left)
        self.decisions += [one.decision for one in prices]
        causes = {one.left_out for one in prices}
        if causes == {REFUSED}:
            raise SettingsError("\n".join(dict.fromkeys(one.decision.reason for one in prices)))
        trial = self._lineup([one for one in prices if one.cost is not None])
        if not trial:
            return self._probe_stays(_why_none(causes))
        self._halve(trial)
        best = min(trial, key=lambda one: one.lowest)
        if math.isinf(best.lowest):
            return self._probe_stays("every fine-tuning failed", trial)
        return self._judged(best, trial)

    def _lineup(self, prices: Sequence[Priced]) -> list[Trial]:
        """The candidates with the epochs that each is planned for; those that do not fit are told of."""
        self.keep += max((one.cost.start + 2 * one.cost.validation for one in prices if one.cost), default=0.0)
        contenders = _candidates(prices)
        if self.time_budget.seconds is not None and few_judged(self.context):
            self.kept_for_all = KEPT * self.left()
            self.keep += self.kept_for_all
        offered = [
            Contender(candidate.name, cost, candidate.recipe.epochs, fixed="epochs" not in candidate.free)
            for candidate, cost in contenders
        ]

        def decide() -> dict[str, Any]:
            seconds = CERTAIN * self.left()
            return {"epochs": schedule(offered, seconds), "seconds": None if math.isinf(seconds) else seconds}

        decided = self.trial_log.once("schedule", decide)
        epochs: Mapping[str, int] = decided["epochs"]
        chosen = [
            Trial(candidate.at(1.0, epochs[candidate.name]), cost, epochs[candidate.name], candidate.recipe.epochs)
            for candidate, cost in contenders
            if candidate.name in epochs
        ]
        seconds = decided["seconds"]
        time = "time is not bounded" if seconds is None else f"{seconds:.0f} s are for them"
        value = f"{len(chosen)} of {len(contenders)}"
        reason = (
            f"{time}; each of several is planned for at least half of the epochs that it wants, the worst case counted"
        )
        self.decisions.append(Decision(what="candidates", value=value, reason=reason))
        return chosen

    def _halve(self, trial: Sequence[Trial]) -> None:
        alive = list(trial)
        for number, rung in enumerate(rungs(len(alive)), start=1):
            if number > 1:
                alive = self._survivors(alive, rung, number)
            for one in alive:
                self._train(one, rung.until(one.epochs))
            noun = "candidate" if len(alive) == 1 else "candidates"
            self.context.reporter.say(
                f"Round {number}: {len(alive)} {noun}, {reached(self.context.data.task.evaluation, alive)}"
            )

    def _survivors(self, alive: Sequence[Trial], rung: Rung, number: int) -> list[Trial]:
        """The best of the last rung, as many as there is time for."""
        ranked = sorted((one for one in alive if not math.isinf(one.lowest)), key=lambda one: one.lowest)

        def decide() -> int:
            chosen = ranked[: rung.candidates]
            here = [one.rest(rung.until(one.epochs)) for one in chosen]
            return affordable([(seconds, one.rest() - seconds) for one, seconds in zip(chosen, here)], self.left())

        kept = self.trial_log.once(f"survivors of round {number - 1}", decide) if ranked else 0
        for one in ranked[kept:]:
            one.fate = f"dropped after round {number - 1}"
        return ranked[:kept]

    def _train(self, one: Trial, until: int) -> None:
        """Train a candidate on, and note what came of it."""
        if one.stopped or one.done >= until:
            return
        name = one.candidate.name

        def decide() -> dict[str, Any]:
            self.search_state.begun(one.candidate)  # what all share is nobody's cost
            began = self.time_budget.used()
            limit = None if self.time_budget.seconds is None else one.seconds + self.left()
            try:
                progress = self.search_state.train(one.candidate, until, limit).progress
            except TrainingError as error:
                return {"failed": str(error)}
            return {
                "done": progress.epoch,
                "lowest": progress.best_cost,
                "metric": progress.history[progress.best_epoch].val_metric,
                "seconds": progress.seconds,
                "stopped": progress.stopped,
                "broken_off": progress.broken_off,
                "took": self.time_budget.used() - began,
            }

        found = self.trial_log.once(f"{name} until {until}", decide)
        if "failed" in found:
            one.lowest, one.stopped, one.fate = math.inf, "failed", f"failed: {found['failed']}"
            return
        one.cost = one.cost.corrected(found["done"] - one.done, found["took"])
        one.done, one.lowest, one.metric = found["done"], found["lowest"], found["metric"]
        one.seconds, one.stopped, one.broken_off = found["seconds"], found["stopped"], found["broken_off"]

    def _judged(self, best: Trial, trial: Sequence[Trial]) -> Found:
        """The best one against the probe."""
        candidate, backbone = best.candidate, self.context.backbone
        attempt, begun = self.search_state.train(candidate, best.done, None), self.search_state.begun(candidate)
        arm = arm_of(
            candidate.context, "model", f"{candidate.name} of {backbone.name}", backbone, attempt, begun.decisions
        )
        arm = finished_arm(candidate.context, arm, begun, views_averaged(candidate.context, begun.bound))
        answer = against_probe(best.candidate.context, arm, self.probe)
        self.keep -= self.kept_for_all
        crossed, blending, told = self.all_labels.compared(best, arm, self.probe)
        self.decisions += told
        shown = crossed or answer
        answer = replace(answer, better=shown.better)
        best.fate = "kept" if answer.better else "best fine-tuning, no significant gain over the probe"
        if blending is not None:
            best.fate = f"blended with the probe: {blending.in_words('fine-tuning')}"
        for one in trial:
            one.fate = one.fate or "not the best in the last round"
        rows = (row_of_probe(self.probe, answer), *(one.row(answer if one is best else None) for one in trial))
        name = best.candidate.name if blending is None else blending.in_words(best.candidate.name)
        why = Decision(what="model", value=name if answer.better else "probe", reason=shown.reason)
        decisions = (*self._told(rows), *filter(None, (left_out(candidate.context, begun.bound),)), why)
        if answer.better:
            left = self.time_budget.left() - self.kept_for_others
            candidate = replace(candidate, context=as_many_views(candidate.context, begun))
            candidate, arm = self.all_labels.trained(best, candidate, arm, left)
            candidate = candidate.blended(blending)
            if blending is not None:
                arm = blended_arm(candidate.context, self.shipped, arm, blending, self.search_state.start)
            return Found(candidate.context, arm, rows, decisions, shown.sentence + best.shortened())
        self.search_state.reset()
        return Found(self._as_probe(), None, rows, decisions, shown.sentence)

    def _probe_stays(self, reason: str, trial: Sequence[Trial] = ()) -> Found:
        self.search_state.reset()
        rows = (row_of_probe(self.probe, None), *(one.row(None) for one in trial))
        decision = Decision(what="model", value="probe", reason=reason)
        sentence = f"The model is the frozen probe: {reason}."
        return Found(self._as_probe(), None, rows, (*self._told(rows), decision), sentence)

    def _told(self, rows: Sequence[CandidateRow]) -> list[Decision]:
        """All decisions so far, with what became of each candidate but the first, which is the probe."""
        return [*self.decisions, *(decision_of(self.context.data.task.evaluation, row) for row in rows[1:])]

    def _as_probe(self) -> FitContext:
        """The context whose plan repeats the probe."""
        plan = self.context.plan
        settings = {
            key: plan.settings[key] for key in plan.settings if key not in ("augmentation", "objective", "blend")
        }
        plain = {key: type(plan).model_fields[key].default for key in ("tuning", "augmentation", "objective")}
        changes = {**plain, "settings": {**settings, "tuning": {"refit": plan.refits}}}
        return replace(self.context, plan=plan.model_copy(update=changes))


def _candidates(prices: Sequence[Priced]) -> list[tuple[Candidate, Cost]]:
    """Every tuning at its own rate first, then at the other rates that may be as good."""
    found = [
        (one.candidate.at(one.candidate.factors[place]), one.cost)
        for place in range(len(NEIGHBOURS))
        for one in prices
        if one.cost is not None and place < len(one.candidate.factors)
    ]
    return [(replace(one, name=f"{one.name}, {one.rate:.2g}"), cost) for one, cost in found[:MOST_CANDIDATES]]


def _why_none(causes: set[str]) -> str:
    """Why there is no candidate, by what tunings were left out for; '' stands for one that was not."""
    if not causes:
        return "there is nothing to fine-tune"
    return "every fine-tuning failed" if causes <= {REFUSED, FAILED} else "no fine-tuning fits into the time"
