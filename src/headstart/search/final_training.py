"""Extra work of a search where few are labelled: the folds, the training on all, and the time kept for both."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from headstart.pipeline.arms import Trained, weights_of
from headstart.pipeline.record import Decision
from headstart.pipeline.refit import not_refitted, refitted
from headstart.pipeline.stored_views import as_many_views
from headstart.search.candidates import Candidate, few_judged
from headstart.search.cost import Cost
from headstart.search.cross_fitting import FOLDS, CrossFitting, growth, time_kept, time_on_all
from headstart.search.halving import HALF
from headstart.search.pricing import OPENING
from headstart.search.probe_comparison import Answer
from headstart.search.search_state import SearchState
from headstart.search.trial import Trial
from headstart.search.trial_log import TrialLog

CERTAIN = 0.92
"""Share of the time left that is planned for: what is forecast is not exact."""


@dataclass(frozen=True)
class FinalTraining:
    """Works on all that are labelled, training and validation part."""

    search_state: SearchState
    trial_log: TrialLog
    left: Callable[[], float]
    """Seconds that the search may still use."""

    @property
    def few(self) -> bool:
        """Return whether validation examples are too few to choose by."""
        return few_judged(self.search_state.context)

    def fills_the_time(self, candidate: Candidate, cost: Cost) -> bool:
        """Return whether, with all that follows, no two candidates have time for half of their epochs."""
        if not self.few or math.isinf(self.left()):
            return False
        epochs = HALF * candidate.recipe.epochs
        after = time_on_all(cost, epochs, FOLDS[-1], growth(candidate.context), self._opening(candidate))
        return 2 * cost.seconds(epochs) + after > CERTAIN * self.left()

    def seconds_kept(self, candidate: Candidate, cost: Cost) -> float:
        """Return the seconds that the candidates must leave, `way` being the most promising one."""
        if not self.few or math.isinf(self.left()):
            return 0.0
        return time_kept(
            cost, candidate.recipe.epochs, growth(candidate.context), self._opening(candidate), CERTAIN * self.left()
        )

    def compared(self, best: Trial, arm: Trained, probe: Trained) -> tuple[Answer | None, tuple[Decision, ...]]:
        """Compare the best candidate, `arm`, with the probe on all labelled examples; None where they are not asked."""
        if not self.few or arm.validation is None or probe.validation is None:
            return None, ()
        found = weights_of(arm.model.backbone)
        self.search_state.reset()
        candidate = replace(
            best.candidate, context=as_many_views(best.candidate.context, self.search_state.begun(best.candidate))
        )
        cross_fit = CrossFitting(self.trial_log, self.search_state.speed, self.left, self._opening(best.candidate))
        answer, decision = cross_fit(candidate, best.done, best.timed, (arm.validation, probe.validation))
        arm.model.backbone.module.load_state_dict(found)
        return answer, (decision,)

    def trained(
        self, best: Trial, candidate: Candidate, arm: Trained, probe: Trained, left: float
    ) -> tuple[Candidate, Trained]:
        """The candidate `arm` trained once more, where that is the way's and in time; the way's plan says so.

        Args:
            best: the candidate. way: its own, which the plan is to repeat.
            arm, probe: what the search has of both.
            left: seconds.
        """
        if not candidate.recipe.refit:
            return candidate, arm
        seconds = probe.seconds + growth(candidate.context) * (self._opening(best.candidate) + best.seconds)
        if self.trial_log.once("training on all", lambda: seconds <= left):
            limit = None if math.isinf(left) else left
            again = refitted(candidate.context, arm, candidate.recipe, limit, self.search_state.start)
        else:
            again = not_refitted(arm, f"takes about {seconds:.0f} s, and {left:.0f} s are left")
        if again.model is arm.model:
            candidate = replace(candidate, recipe=candidate.recipe.model_copy(update={"refit": False})).planned()
        return candidate, again

    def _opening(self, candidate: Candidate) -> float:
        """Seconds until a training on other rows begins, its views included."""
        return OPENING + self.search_state.begun(candidate).seconds
