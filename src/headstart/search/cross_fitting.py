"""Where few are labelled, the best fine-tuning is held against the probe on all of them, by cross-fitting.

A validation part of a dozen examples tells nothing apart. So it is one of several folds: the training part is cut into
the others, and each is predicted by a training on all but it and by a head solved on these (Stone 1974,
"Cross-validatory choice and assessment of statistical predictions"). The training has the rates that were best, ends
after as many epochs as the candidate had, and keeps its last weights: no fold chooses anything by itself. What is
compared is the way and not the very weights: the model is trained once more, on all that are labelled, where time
allows.

Hardly anything was chosen on what it is judged by, as it is on validation alone, and of a hundred examples a 95 %
interval misses most gains that are real. So a fine-tuning that is better by more than one standard error is taken
(Breiman, Friedman, Olshen & Stone 1984, "Classification and regression trees": the simplest within one standard error).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from headstart.contracts.figures import Figure
from headstart.contracts.prediction import Prediction
from headstart.evidence.folds import Fold, folds
from headstart.kernel.errors import DataError, TrainingError
from headstart.pipeline.arms import arm_of, solve_arm
from headstart.pipeline.context import FitContext
from headstart.pipeline.record import Decision
from headstart.pipeline.time_estimates import Speed
from headstart.pipeline.training import predict_validation
from headstart.search.candidates import Candidate
from headstart.search.cost import Cost
from headstart.search.pricing import OPENING
from headstart.search.probe_comparison import Answer, Where, compared
from headstart.search.search_state import SearchState
from headstart.search.trial_log import TrialLog

FOLDS = (5, 4, 3)
"""How many, as time allows; the validation part is one of them."""

ENOUGH_STEPS = 50
"""Of a training, above which more folds are worth more than more steps."""

CERTAIN = 0.9
"""Share of the time left that folds and a training on all may fill: the last one must not be too late."""

LEAST = 0.3
"""Share of the candidate's epochs that a training on all but a fold must have to stand for it."""

Both = tuple[Prediction, Prediction]
"""Of the fine-tuning and of the probe."""


@dataclass(frozen=True)
class CrossFitting:
    """The comparison, still to be made."""

    trial_log: TrialLog
    speed: Speed
    left: Callable[[], float]
    """Seconds that there are."""
    opening: float = OPENING
    """Seconds until a training begins."""

    def __call__(self, candidate: Candidate, epochs: int, cost: Cost, first: Both) -> tuple[Answer | None, Decision]:
        """What all labelled examples say of a way and the probe, None where it could not be asked, and how.

        Args:
            way: its bench's plan names as many views as are kept. The backbone is as it was at the start.
            epochs: that the candidate had. cost: of the way.
            first: what both predict for the validation part.
        """
        chosen = self.trial_log.once("epochs and folds", lambda: self._chosen(cost, epochs, growth(candidate.context)))
        if chosen is None:
            return None, _decision("left out", f"{FOLDS[-1]} more trainings do not fit into the time")
        epochs, count = chosen
        found = self.trial_log.once("cross-fitting", lambda: self._made(candidate, epochs, count, first))
        if "failed" in found:
            return None, _decision("left out", found["failed"])
        answer = Answer(**{**found, **{name: Figure(*found[name]) for name in ("tuned", "probe")}})
        return answer, _decision(f"{count} folds", "a validation part of so few examples tells too little apart")

    def _chosen(self, cost: Cost, epochs: int, more: float) -> tuple[int, int] | None:
        """Epochs and folds for which there is time: as many folds as fit, or else fewer epochs, at least half."""
        seconds = CERTAIN * self.left()
        for count in FOLDS:
            if time_on_all(cost, epochs, count, more, self.opening) <= seconds:
                return epochs, count
        rest = seconds - time_on_all(cost, 0, FOLDS[-1], more, self.opening)
        fewer = int(rest / (cost.epoch * (FOLDS[-1] * more - 1)))
        return (fewer, FOLDS[-1]) if fewer >= max(1, LEAST * epochs) else None

    def _made(self, candidate: Candidate, epochs: int, count: int, first: Both) -> dict[str, Any]:
        try:
            return asdict(self._answer(candidate, epochs, count, first))
        except (DataError, TrainingError) as error:
            return {"failed": str(error)}

    def _answer(self, candidate: Candidate, epochs: int, count: int, first: Both) -> Answer:
        data = candidate.context.data
        train, val = data.split.train, data.split.val
        labelled = np.union1d(train, val)
        cut = folds(train, data.strata, data.split.units, count - 1, candidate.context.plan.seed)
        others = [Fold(np.union1d(fold.rest, val), fold.held) for fold in cut]
        found = [
            first,
            *(self._predicted(candidate, fold, epochs, count - number) for number, fold in enumerate(others, 1)),
        ]
        order = np.argsort(np.concatenate([val, *(fold.held for fold in cut)]))
        one, other = (
            _calibrated(candidate.context, labelled, Prediction.join(parts).take(order)) for parts in zip(*found)
        )
        short = f"on {len(labelled)} labelled examples, each predicted without it,"
        where = Where(short, f"{short} in {count} folds, after {epochs} epochs", labelled, one_error=True)
        return compared(candidate.context, where, one, other, f"{candidate.name} of {candidate.context.backbone.name}")

    def _predicted(self, candidate: Candidate, fold: Fold, epochs: int, folds_left: int) -> Both:
        """What is held, in its order, as the fine-tuning and the probe predict it after training on the rest."""
        context = _context_of(candidate.context, fold)
        probe = solve_arm(context, "probe")
        changes = {"epochs": epochs, "keep": "last", "soup": False, "interpolate": False}
        recipe = candidate.recipe.model_copy(update=changes)
        here = replace(candidate, context=context, recipe=recipe)
        search_state, seconds = SearchState(context, probe, None, self.speed), self.left()
        limit = None if context.plan.budget is None else seconds / folds_left
        try:
            attempt, begun = search_state.train(here, epochs, limit), search_state.begun(here)
            arm = arm_of(context, "model", candidate.name, context.backbone, attempt, ())
            tuned = predict_validation(context, arm.model.eval(), begun)
        finally:
            search_state.reset()
        if tuned is None or probe.validation is None:
            raise DataError("what is held out could not be predicted")
        return tuned, probe.validation


def growth(context: FitContext) -> float:
    """All that are labelled, as a multiple of the training part."""
    split = context.read.split
    return 1 + len(split.val) / len(split.train)


def time_on_all(cost: Cost, epochs: float, count: int, more: float, opening: float) -> float:
    """Seconds of the folds beside the validation part, and of a training on all that are labelled.

    Args:
        cost: of the way. epochs: of each training. count: of all folds.
        more: `growth`. opening: seconds until a training begins.
    """
    of_folds = (count - 1) * more - 1  # times the training part: all that are labelled but those held
    return count * opening + epochs * cost.epoch * (of_folds + more)


def time_kept(cost: Cost, wanted: int, more: float, opening: float, seconds: float) -> float:
    """Return the seconds to reserve for `time_on_all`, so that all are trained for as long as the candidate.

    Where they do not suffice for the epochs `wanted`, all have fewer, in as many folds as leave them enough steps.
    """
    for count in FOLDS:
        rest = max(0.0, seconds - cost.start - time_on_all(cost, 0, count, more, opening))
        epochs = min(wanted, rest / (more * count * cost.epoch))
        if epochs >= min(wanted, ENOUGH_STEPS / cost.steps):
            break
    return time_on_all(cost, epochs, count, more, opening)


def _context_of(context: FitContext, fold: Fold) -> FitContext:
    """The bench that trains on the rest and validates on what is held; it leaves nothing in the work folder."""
    split = replace(context.data.split, train=fold.rest, val=fold.held)
    return replace(context, data=replace(context.data, split=split), work=None)


def _calibrated(context: FitContext, rows: np.ndarray, found: Prediction) -> Prediction:
    evaluation = context.data.task.evaluation
    return evaluation.finish(found, evaluation.calibrate(found, context.data.targets_of(rows)))


def _decision(value: str, reason: str) -> Decision:
    return Decision(what="cross-fitting", value=value, reason=reason)
