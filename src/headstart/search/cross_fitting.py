"""Where few are labelled, the best fine-tuning is held against the probe on all of them, by cross-fitting.

A validation part of a dozen examples tells nothing apart. So it is one of several folds: the training part is cut into
the others, and each is predicted by a training on all but it and by a head solved on these (Stone 1974,
"Cross-validatory choice and assessment of statistical predictions"). The training has the rates that were best, ends
after as many epochs as the candidate had, and keeps its last weights: no fold chooses anything by itself. The tuning is
compared and not the very weights: the model is trained once more, on all that are labelled, where time allows.

Where their answers can be mixed, both become one model of models whose weights follow from these predictions: see
`pipeline/blending.py`. Its gain over the probe is that of blends whose weights come from the other folds.

Elsewhere one of them is taken. Hardly anything was chosen on what it is judged by, as it is on validation alone, and of
a hundred examples a 95 % interval misses most gains that are real. So a fine-tuning that is better by more than one
standard error is taken (Breiman, Friedman, Olshen & Stone 1984, "Classification and regression trees": the simplest
within one standard error).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from headstart.contracts.figures import Figure
from headstart.contracts.prediction import Prediction
from headstart.evidence.folds import Fold, folds
from headstart.kernel.errors import DataError, TrainingError
from headstart.pipeline.arms import arm_of, solve_arm
from headstart.pipeline.blending import Blending, may_blend
from headstart.pipeline.context import FitContext
from headstart.pipeline.record import Decision
from headstart.pipeline.refit import not_refitted, refitted
from headstart.pipeline.stored_views import as_many_views
from headstart.pipeline.trained import Trained, weights_of
from headstart.pipeline.training import predict_validation
from headstart.search.blended_choice import blend_compared
from headstart.search.candidates import Candidate, few_judged
from headstart.search.pricing import OPENING
from headstart.search.probe_comparison import Answer, Where, compared
from headstart.search.search_state import SearchState
from headstart.search.trial import Trial
from headstart.search.trial_log import TrialLog

FOLDS = (5, 4, 3)
"""How many, as time allows; the validation part is one of them."""

KEPT = 0.8
"""Share of the time that candidates leave for four folds and a training on all, for as many epochs as one had."""

CERTAIN = 0.9
"""Share of the time left that folds and a training on all may fill: the last one must not be too late."""

Both = tuple[Prediction, Prediction]
"""Of the fine-tuning and of the probe."""


class Compared(NamedTuple):
    """Outcome of the comparison on all that are labelled."""

    answer: Answer | None = None
    """None where they were not asked."""
    blending: Blending | None = None
    """Where both are to be blended."""
    decisions: tuple[Decision, ...] = ()


@dataclass(frozen=True)
class CrossFitting:
    """Works on all that are labelled, training and validation part."""

    search_state: SearchState
    trial_log: TrialLog
    left: Callable[[], float]
    """Seconds that there are."""

    def compared(self, best: Trial, arm: Trained, probe: Trained) -> Compared:
        """Compare the best candidate, `arm`, with the probe on all labelled examples; nothing where these are not
        asked."""
        if not few_judged(self.search_state.context) or arm.validation is None or probe.validation is None:
            return Compared()
        count = self.trial_log.once("folds", lambda: self._affordable(best))
        if not count:
            return Compared(decisions=(_decision("left out", f"{FOLDS[-1]} more trainings do not fit into the time"),))
        first, found = (arm.validation, probe.validation), weights_of(arm.model.backbone)
        self.search_state.reset()
        made = self.trial_log.once("cross-fitting", lambda: self._made(best, count, first))
        arm.model.backbone.module.load_state_dict(found)
        if "failed" in made:
            return Compared(decisions=(_decision("left out", made["failed"]),))
        found, how = made["answer"], made["blending"]
        answer = Answer(**{**found, **{name: Figure(*found[name]) for name in ("tuned", "probe")}})
        why = "a validation part of so few examples tells too little apart"
        blending = None if how is None else Blending(tuple(how[0]), tuple(how[1]), how[2])
        return Compared(answer, blending, (_decision(f"{count} folds", why),))

    def trained(self, best: Trial, candidate: Candidate, arm: Trained, left: float) -> tuple[Candidate, Trained]:
        """The candidate `arm` trained once more, where its recipe says so and there is time; its plan says so.

        Args:
            best: its course. candidate: what the plan is to repeat. arm: what the search has of it.
            left: seconds.
        """
        if not candidate.recipe.refit:
            return candidate, arm
        seconds = self._opening(best) + growth(candidate.context) * best.seconds
        if self.trial_log.once("training on all", lambda: seconds <= left):
            limit = None if math.isinf(left) else left
            again = refitted(candidate.context, arm, candidate.recipe, limit, self.search_state.start)
        else:
            again = not_refitted(arm, f"takes about {seconds:.0f} s, and {left:.0f} s are left")
        if again.model is arm.model:
            candidate = replace(candidate, recipe=candidate.recipe.model_copy(update={"refit": False})).planned()
        return candidate, again

    def _opening(self, best: Trial) -> float:
        """Seconds until a training on other rows begins, its views included."""
        return OPENING + self.search_state.begun(best.candidate).seconds

    def _affordable(self, best: Trial) -> int:
        """As many folds as there is time for, with the training on all; 0 where not even the fewest fit."""
        opening, more = self._opening(best), growth(best.candidate.context)
        needed = {count: time_on_all(best.seconds, count, more, opening) for count in FOLDS}
        return next((count for count in FOLDS if needed[count] <= CERTAIN * self.left()), 0)

    def _made(self, best: Trial, count: int, first: Both) -> dict[str, Any]:
        try:
            answer, how = self._answer(best, count, first)
            return {"answer": asdict(answer), "blending": how}
        except (DataError, TrainingError) as error:
            return {"failed": str(error)}

    def _answer(self, best: Trial, count: int, first: Both) -> tuple[Answer, Blending | None]:
        candidate, begun = best.candidate, self.search_state.begun(best.candidate)
        candidate = replace(candidate, context=as_many_views(candidate.context, begun))
        data = candidate.context.data
        train, val = data.split.train, data.split.val
        labelled = np.union1d(train, val)
        cut = folds(train, data.strata, data.split.units, count - 1, candidate.context.plan.seed)
        found = [first]
        for number, fold in enumerate(cut, 1):
            others = Fold(np.union1d(fold.rest, val), fold.held)
            found.append(self._predicted(candidate, others, best.done, count - number))
        parts = [val, *(fold.held for fold in cut)]
        order = np.argsort(np.concatenate(parts))
        joined = [Prediction.join(each).take(order) for each in zip(*found)]
        one, other = (_calibrated(candidate.context, labelled, each) for each in joined)
        short = f"on {len(labelled)} labelled examples, each predicted without it,"
        where = Where(short, f"{short} in {count} folds, after {best.done} epochs", labelled, one_error=True)
        title = f"the best fine-tuning ({candidate.name} of {candidate.context.backbone.name})"
        if not may_blend(candidate.context):
            return compared(candidate.context, where, one, other, title), None
        folded = [np.searchsorted(labelled, np.sort(part)) for part in parts]
        return blend_compared(candidate.context, where, (other, one), folded, candidate.name)

    def _predicted(self, candidate: Candidate, fold: Fold, epochs: int, folds_left: int) -> Both:
        """Predictions of fine-tuning and probe, trained on the rest, for what is held, in its order."""
        context = _context_of(candidate.context, fold)
        probe = solve_arm(context, "probe")
        changes = {"epochs": epochs, "keep": "last", "soup": False, "interpolate": False}
        here = replace(candidate, context=context, recipe=candidate.recipe.model_copy(update=changes))
        search_state = SearchState(context, probe, None, self.search_state.speed)
        limit = None if context.plan.budget is None else self.left() / folds_left
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


def time_on_all(seconds: float, count: int, more: float, opening: float) -> float:
    """Seconds of the folds beside the validation part, and of a training on all that are labelled.

    Args:
        seconds: of a training on the training part. count: number of folds, the validation part included.
        more: `growth`. opening: seconds until a training begins.
    """
    of_folds = (count - 1) * more - 1  # times the training part: all that are labelled but those held
    return count * opening + seconds * (of_folds + more)


def _context_of(context: FitContext, fold: Fold) -> FitContext:
    """The context that trains on the rest and validates on what is held; it leaves nothing in the work folder."""
    split = replace(context.data.split, train=fold.rest, val=fold.held)
    return replace(context, data=replace(context.data, split=split), work=None)


def _calibrated(context: FitContext, rows: np.ndarray, found: Prediction) -> Prediction:
    evaluation = context.data.task.evaluation
    return evaluation.finish(found, evaluation.calibrate(found, context.data.targets_of(rows)))


def _decision(value: str, reason: str) -> Decision:
    return Decision(what="cross-fitting", value=value, reason=reason)
