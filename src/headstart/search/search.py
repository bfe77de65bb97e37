"""The search for the best tuning in the time there is: price the ways, find their rates, halve, compare with the probe.

1. Each way is rehearsed: a few steps say what it costs, and where time allows which rates do it good.
2. Ways and rates become candidates, as many and for as many epochs as fit into the time in the worst case.
3. Successive halving by what the task chooses its best epoch by; whoever goes on is resumed, and real times correct the
   forecast.
4. The best one replaces the probe only where it beats it on validation beyond noise, or on all that are labelled where
   few are.

Every decision that depends on a clock goes into the journal, so that a killed search is the same search afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from headstart.kernel.errors import SettingsError, TrainingError
from headstart.pipeline.arms import Trained, arm_of, finished_arm
from headstart.pipeline.budget import Allowance
from headstart.pipeline.context import Bench
from headstart.pipeline.pass_time import Speed
from headstart.pipeline.record import Candidate, Decision
from headstart.pipeline.stored_views import as_many_views
from headstart.pipeline.training import data_identity
from headstart.pipeline.view_averaging import left_out, views_averaged
from headstart.search.candidates import Way, ways, with_views
from headstart.search.cost import Cost
from headstart.search.final_training import CERTAIN, AllLabels
from headstart.search.halving import Contender, Rung, affordable, rungs, schedule
from headstart.search.pricing import FAILED, OPENING, REFUSED, Priced, priced
from headstart.search.probe_comparison import against_probe
from headstart.search.search_state import Workshop
from headstart.search.trial import Standing, decision_of, reached, row_of_probe
from headstart.search.trial_log import Journal

MOST_CANDIDATES = 12

UNKNOWN = Speed()


@dataclass(frozen=True)
class Found:
    """What a search came to."""

    bench: Bench
    """Its plan is that of the model: the one that repeats it."""
    arm: Trained | None
    """The model; None where the probe is."""
    candidates: tuple[Candidate, ...]
    decisions: tuple[Decision, ...]
    sentence: str
    """Why the model is what it is, in a sentence."""


class Search:
    """One search."""

    def __init__(self, bench: Bench, probe: Trained, allowance: Allowance, keep: float, speed: Speed = UNKNOWN) -> None:
        """Make ready.

        Args:
            bench: data and backbone. probe: the arm that is to be beaten.
            allowance: the time. keep: seconds of it that must be left when the search is over.
            speed: of the backbone.
        """
        self.probe, self.allowance = probe, allowance
        self.kept_for_others = keep
        self.keep = keep + probe.seconds
        """Seconds that must be left when candidates have trained: then the probe may be solved once more, and the best
        candidate be taken up, calibrated and compared."""
        self.kept_for_all = 0.0
        path = None if bench.work is None else bench.work / "search.json"
        self.journal = Journal(path, data_identity(bench), allowance)
        self.bench, self.views = with_views(bench)
        self.workshop = Workshop(self.bench, probe, None if allowance.seconds is None else self.left(), speed)
        self.all_labels = AllLabels(self.workshop, self.journal, self.left)
        self.decisions: list[Decision] = [self.views] if self.views else []

    def left(self) -> float:
        """Seconds that the search may still use."""
        return max(0.0, self.allowance.left() - self.keep)

    def _left_in_all(self) -> float:
        """With what was kept for the end of the search."""
        return self.allowance.left() - self.kept_for_others

    def run(self) -> Found:
        """Search.

        Raises:
            SettingsError: what was asked for can be done with none of the tunings.
        """
        if not self.journal.once("is there time", lambda: self.left() > OPENING):
            return self._probe_stays("no time is left for anything else")
        self.possible, told = ways(self.bench)
        self.decisions += told
        prices = priced(self.workshop, self.journal, self.possible, self.left, self.all_labels.fills_the_time)
        self.decisions += [one.decision for one in prices if one.decision is not None]
        causes = {one.left_out for one in prices}
        if causes == {REFUSED}:
            raise SettingsError("\n".join(dict.fromkeys(one.decision.reason for one in prices if one.decision)))
        standing = self._lineup([one for one in prices if one.cost is not None])
        if not standing:
            return self._probe_stays(_why_none(causes))
        self._halve(standing)
        best = min(standing, key=lambda one: one.lowest)
        if math.isinf(best.lowest):
            return self._probe_stays("every fine-tuning failed", standing)
        return self._judged(best, standing)

    def _lineup(self, prices: Sequence[Priced]) -> list[Standing]:
        """The candidates with the epochs that each is planned for; those that do not fit are told of."""
        self.keep += max((one.cost.start + 2 * one.cost.validation for one in prices if one.cost), default=0.0)
        contenders = _candidates(prices)
        if contenders:
            self.kept_for_all = self.all_labels.seconds_kept(*contenders[0])
            self.keep += self.kept_for_all
        offered = [
            Contender(way.name, cost, way.recipe.epochs, fixed="epochs" not in way.free) for way, cost in contenders
        ]

        def decide() -> dict[str, Any]:
            seconds = CERTAIN * self.left()
            found = schedule(offered, seconds)
            return {"epochs": dict(found.epochs) if found else {}, "seconds": None if math.isinf(seconds) else seconds}

        decided = self.journal.once("schedule", decide)
        epochs: Mapping[str, int] = decided["epochs"]
        chosen = [
            Standing(way.at(1.0, epochs[way.name]), cost, epochs[way.name])
            for way, cost in contenders
            if way.name in epochs
        ]
        seconds = decided["seconds"]
        time = "time is not bounded" if seconds is None else f"{seconds:.0f} s are for them"
        value = f"{len(chosen)} of {len(contenders)}"
        reason = (
            f"{time}; each of several is planned for at least half of the epochs that it wants, the worst case counted"
        )
        self.decisions.append(Decision(what="candidates", value=value, reason=reason))
        return chosen

    def _halve(self, standing: Sequence[Standing]) -> None:
        alive = list(standing)
        for number, rung in enumerate(rungs(len(alive)), start=1):
            if number > 1:
                alive = self._survivors(alive, rung, number)
            for one in alive:
                self._train(one, rung.until(one.epochs))
            self.bench.reporter.say(f"Round {number}: {len(alive)} candidates, {reached(self.bench.data.task, alive)}")

    def _survivors(self, alive: Sequence[Standing], rung: Rung, number: int) -> list[Standing]:
        """The best of the last rung, as many as there is time for."""
        ranked = sorted((one for one in alive if not math.isinf(one.lowest)), key=lambda one: one.lowest)

        def decide() -> int:
            chosen = ranked[: rung.candidates]
            here = [one.rest(rung.until(one.epochs)) for one in chosen]
            return affordable([(seconds, one.rest() - seconds) for one, seconds in zip(chosen, here)], self.left())

        kept = self.journal.once(f"survivors of round {number - 1}", decide) if ranked else 0
        for one in ranked[kept:]:
            one.fate = f"dropped after round {number - 1}"
        return ranked[:kept]

    def _train(self, one: Standing, until: int) -> None:
        """Train a candidate on, and note what came of it."""
        if one.stopped or one.done >= until:
            return
        name = one.way.name

        def decide() -> dict[str, Any]:
            self.workshop.begun(one.way)  # what all share is nobody's cost
            began = self.allowance.used()
            limit = None if self.allowance.seconds is None else one.seconds + self.left()
            try:
                progress = self.workshop.train(one.way, until, limit).progress
            except TrainingError as error:
                return {"failed": str(error)}
            metric = progress.history[progress.best_epoch].val_metric
            return {
                "done": progress.epoch,
                "lowest": progress.best_cost,
                "metric": metric,
                "best": progress.best_epoch + 1,
                "seconds": progress.seconds,
                "stopped": progress.stopped,
                "broken_off": progress.broken_off,
                "took": self.allowance.used() - began,
            }

        found = self.journal.once(f"{name} until {until}", decide)
        if "failed" in found:
            one.lowest, one.stopped, one.fate = math.inf, "failed", f"failed: {found['failed']}"
            return
        one.cost = one.cost.corrected(found["done"] - one.done, found["took"])
        one.done, one.lowest, one.metric, one.best = found["done"], found["lowest"], found["metric"], found["best"]
        one.seconds, one.stopped, one.broken_off = found["seconds"], found["stopped"], found["broken_off"]

    def _judged(self, best: Standing, standing: Sequence[Standing]) -> Found:
        """The best one against the probe."""
        way, backbone = best.way, self.bench.backbone
        attempt, begun = self.workshop.train(way, best.done, None), self.workshop.begun(way)
        arm = arm_of(way.bench, "model", f"{way.name} of {backbone.name}", backbone, attempt, begun.decisions)
        arm = finished_arm(way.bench, arm, begun, views_averaged(way.bench, begun.bound))
        answer = against_probe(best.way.bench, arm, self.probe)
        self.keep -= self.kept_for_all
        crossed, told = self.all_labels.compared(best, arm, self.probe)
        self.decisions += told
        shown = crossed or answer
        answer = replace(answer, better=shown.better)
        best.fate = "kept" if answer.better else "best of the fine-tunings, not shown to beat the probe"
        for one in standing:
            one.fate = one.fate or "second to the best"
        rows = (row_of_probe(self.probe, answer), *(one.row(answer if one is best else None) for one in standing))
        why = Decision(what="model", value=best.way.name if answer.better else "probe", reason=shown.reason)
        decisions = (*self._told(rows), *filter(None, (left_out(way.bench, begun.bound),)), why)
        if answer.better:
            way, left = replace(way, bench=as_many_views(way.bench, begun)), self._left_in_all()
            way, arm = self.all_labels.trained(best, way, arm, self.probe, left)
            return Found(way.bench, arm, rows, decisions, shown.sentence)
        self.workshop.reset()
        return Found(self._as_probe(), None, rows, decisions, shown.sentence)

    def _probe_stays(self, reason: str, standing: Sequence[Standing] = ()) -> Found:
        self.workshop.reset()
        rows = (row_of_probe(self.probe, None), *(one.row(None) for one in standing))
        decision = Decision(what="model", value="probe", reason=reason)
        sentence = f"The model is the frozen probe: {reason}."
        return Found(self._as_probe(), None, rows, (*self._told(rows), decision), sentence)

    def _told(self, rows: Sequence[Candidate]) -> list[Decision]:
        """All decisions so far, with what became of each candidate but the first, which is the probe."""
        return [*self.decisions, *(decision_of(self.bench.data.task, row) for row in rows[1:])]

    def _as_probe(self) -> Bench:
        """The bench whose plan repeats the probe, solved once more with the validation part where time is left."""
        refit = self.journal.once("refit", lambda: self._left_in_all() > self.probe.seconds)
        settings = {key: value for key, value in self.bench.plan.settings.items() if key != "augmentation"}
        settings["tuning"] = {"refit": refit}
        changes = {"tuning": "probe", "augmentation": "none", "settings": settings}
        plan = self.bench.plan.settled().model_copy(update=changes)
        return replace(self.bench, plan=plan)


def _candidates(prices: Sequence[Priced]) -> list[tuple[Way, Cost]]:
    """Every way at its own rate first, then at the other rates that may be as good."""
    found: list[tuple[Way, Cost]] = []
    for place in range(max((len(one.factors) for one in prices), default=0)):
        for one in prices:
            if one.cost is not None and place < len(one.factors):
                found.append((_named(one.way.at(one.factors[place])), one.cost))
    return found[:MOST_CANDIDATES]


def _why_none(causes: set[str]) -> str:
    """Why there is no candidate, by what the ways were left out for; '' stands for one that was not."""
    if not causes:
        return "there is nothing to fine-tune"
    return "every fine-tuning failed" if causes <= {REFUSED, FAILED} else "no fine-tuning fits into the time"


def _named(way: Way) -> Way:
    return replace(way, name=f"{way.name}, {way.rate:.2g}")
