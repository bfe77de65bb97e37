"""The trainings of a search, one at a time, on one backbone that is put back to its start.

Between two rungs a training lies in its checkpoint alone, in the work folder. Going on from there is what a killed run
does too, so that pausing, dropping and resuming are one thing.
"""

from __future__ import annotations

import copy
import time

from headstart.contracts.model import Model
from headstart.engine.training.trial_training import seconds_per_step
from headstart.kernel.errors import TrainingError
from headstart.pipeline.arms import boundary, first_head, model_with
from headstart.pipeline.context import FitContext
from headstart.pipeline.stored_views import Beginning, beginning
from headstart.pipeline.time_estimates import Speed
from headstart.pipeline.trained import Trained, weights_of
from headstart.pipeline.training import Attempt, opened, train_once
from headstart.pipeline.view_averaging import views_averaged
from headstart.search.candidates import Candidate
from headstart.search.cost import Cost

STEPS = 6
"""Steps by which a candidate is timed, the first of which warms up."""

BUDGET_OF_VIEWS = 0.4
"""Share of the time for the search out of which kept views may have their own share, 10 % of the whole then."""

DISK = 150e6
"""Bytes per second at which a checkpoint is taken, written and read back, on the safe side."""

COPIES = 6
"""Tensors in a checkpoint for each one that moves: itself, AdamW's two moments, the best epochs."""


class SearchState:
    """Builds and runs trainings."""

    def __init__(self, context: FitContext, probe: Trained, budget: float | None, speed: Speed) -> None:
        """Make ready.

        Args:
            context: data and backbone. probe: gives the head that some trainings start from.
            budget: seconds for all of them; None for no limit.
            speed: of the backbone.
        """
        self.context, self.probe, self.speed = context, probe, speed
        self.budget = None if budget is None else BUDGET_OF_VIEWS * budget
        self.start = weights_of(context.backbone)
        self._begun: dict[int, Beginning] = {}

    def reset(self) -> None:
        """Put the backbone back to its start."""
        self.context.backbone.module.load_state_dict(self.start)

    def frozen(self, candidate: Candidate) -> int:
        """The first stage that moves."""
        return boundary(candidate.recipe, candidate.context.objective, self.context.backbone)

    def has_begun(self, candidate: Candidate) -> bool:
        """Return whether the stages that are frozen in it have run."""
        return self.frozen(candidate) in self._begun

    def begun(self, candidate: Candidate) -> Beginning:
        """Where its batches begin: the frozen stages run once for all candidates that share them.

        Raises:
            SettingsError: what the user set of the augmentation cannot be done on it.
        """
        frozen = self.frozen(candidate)
        if frozen not in self._begun:
            self.reset()
            key = f"stages before {frozen}"
            begun = beginning(candidate.context, self.context.backbone, candidate.recipe, frozen, key, self.budget)
            views_averaged(candidate.context, begun.bound)  # refuses now what would be refused when all is trained
            self._begun[frozen] = begun
        return self._begun[frozen]

    def train(self, candidate: Candidate, until: int | None, limit: float | None) -> Attempt:
        """Train on from where it stands, until so many epochs are done, or to its end without a number.

        Args:
            candidate: its name is that of its checkpoint.
            limit: seconds that it may take over all its epochs; None for no limit.

        Raises:
            TrainingError: a loss is not finite.
        """
        model, learnt = self._model(candidate)
        recipe, begun = candidate.recipe, self.begun(candidate)
        return train_once(
            candidate.context,
            candidate.name,
            model,
            recipe,
            limit,
            begun,
            head_learnt=learnt,
            until=until,
            epochs=recipe.epochs,
        )

    def timed(self, candidate: Candidate) -> Cost | str:
        """Return the cost of a candidate by a few steps, of which nothing stays; why they failed where they do."""
        begun, began = self.begun(candidate), time.monotonic()
        model, learnt = self._model(candidate)
        with opened(candidate.context, model, candidate.recipe, begun, head_learnt=learnt) as (training, _):
            loop, opening = training.loop, time.monotonic() - began
            try:
                step = seconds_per_step(loop, STEPS)
            except TrainingError as error:
                return str(error)
            size = sum(tensor.numel() * tensor.element_size() for tensor in loop.weights.live().values())
            return Cost(step, loop.steps, loop.validation.estimated_seconds(), opening + COPIES * size / DISK)

    def _model(self, candidate: Candidate) -> tuple[Model, bool]:
        self.reset()
        first = first_head(candidate.context, candidate.recipe, self.context.backbone, self.probe)
        return model_with(candidate.context, self.context.backbone, copy.deepcopy(first.head)), first.learnt
