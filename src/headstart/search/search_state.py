"""Where the trainings of a search are taken up, one at a time, on one backbone that is put back to its start.

Between two rungs a training lies in its checkpoint alone, in the work folder. Going on from there is what a killed run
does too, so that pausing, dropping and resuming are one thing.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from headstart.contracts.model import Model
from headstart.contracts.tuning import TrainingStart
from headstart.engine.training.loop import Loop
from headstart.engine.training.trial_training import TrialTraining, peaks_of, train_briefly
from headstart.kernel.randomness import draw_seed
from headstart.pipeline.arms import Trained, boundary, first_head, model_with, weights_of
from headstart.pipeline.context import FitContext
from headstart.pipeline.stored_views import Beginning, beginning
from headstart.pipeline.time_estimates import Speed
from headstart.pipeline.training import Attempt, opened, train_once
from headstart.pipeline.view_averaging import views_averaged
from headstart.search.candidates import Candidate

MOST_JUDGED, BATCHES_JUDGED = 128, 16
"""Validation examples that a rehearsal is judged by, and in how many batches: their spread is the noise."""

WARM_UP = 0.3
"""Share of a rehearsal over which the rate rises."""

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
            bench: data and backbone. probe: gives the head that some trainings start from.
            budget: seconds for all of them; None is no limit.
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
        return boundary(candidate.recipe, candidate.context.objective, len(self.context.backbone.stages))

    def has_begun(self, candidate: Candidate) -> bool:
        """Return whether the stages that are frozen in it have run."""
        return self.frozen(candidate) in self._begun

    def begun(self, candidate: Candidate) -> Beginning:
        """Where its batches begin: the frozen stages run once for all ways that share them.

        Raises:
            SettingsError: what the user set of the augmentation cannot be done on the way.
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
            way: its name is that of its checkpoint.
            limit: seconds that it may take over all its epochs; None is no limit.

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

    @contextmanager
    def rehearsal(self, candidate: Candidate) -> Iterator[Room]:
        """A way opened for short trainings of which nothing stays."""
        begun, began = self.begun(candidate), time.monotonic()
        model, learnt = self._model(candidate)
        recipe = candidate.recipe.model_copy(update={"warmup": WARM_UP})
        with opened(candidate.context, model, recipe, begun, head_learnt=learnt, judged=self._judged()) as (
            training,
            _,
        ):
            training_start = TrainingStart(learnt, training.measure)
            yield Room(
                training.loop, candidate, training_start, len(self.context.read.split.val), time.monotonic() - began
            )

    def _model(self, candidate: Candidate) -> tuple[Model, bool]:
        self.reset()
        first = first_head(candidate.context, candidate.recipe, self.context.backbone, self.probe)
        return model_with(candidate.context, self.context.backbone, copy.deepcopy(first.head)), first.learnt

    def _judged(self) -> np.ndarray:
        """Validation rows that a rehearsal is judged by."""
        draws = np.random.default_rng(draw_seed(self.context.plan.seed, "rows judged in rehearsals"))
        return draws.permutation(self.context.read.split.val)[:MOST_JUDGED]


class Room:
    """A training in which to rehearse."""

    def __init__(
        self, loop: Loop, candidate: Candidate, training_start: TrainingStart, validated: int, opening: float
    ) -> None:
        """`validated` is how many examples the validation part has; `opening` the seconds that building it took."""
        self.candidate, self.training_start = candidate, training_start
        stream = loop.validation.stream
        self.share = len(stream.rows) / validated
        loop.validation.stream = replace(stream, batch_size=max(1, len(stream.rows) // BATCHES_JUDGED))
        self.loop, self.opening = loop, opening

    def start(self) -> np.ndarray:
        """(batches,) validation losses before any training."""
        return self.loop.validation.losses()

    def train_briefly(self, steps: int, factor: float = 1.0) -> TrialTraining:
        """A short training with the way's rates times a factor, but for those that are the user's."""
        recipe: Any = self.candidate.at(factor).recipe
        rates = recipe.settled(recipe.rates(len(self.candidate.context.backbone.stages)), self.training_start)
        return train_briefly(self.loop, steps, peaks=peaks_of(self.loop, recipe, rates))

    def taking_up(self) -> float:
        """Seconds that it takes each time to build the training, and to read and write its checkpoint."""
        size = sum(tensor.numel() * tensor.element_size() for tensor in self.loop.weights.live().values())
        return self.opening + COPIES * size / DISK
