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
from headstart.contracts.tuning import Outset
from headstart.engine.training.loop import Loop
from headstart.engine.training.trial_training import Rehearsal, peaks_of, rehearse
from headstart.kernel.randomness import draw_seed
from headstart.pipeline.arms import Trained, boundary, first_head, model_with, weights_of
from headstart.pipeline.context import Bench
from headstart.pipeline.pass_time import Speed
from headstart.pipeline.stored_views import Beginning, beginning
from headstart.pipeline.training import Attempt, opened, train_once
from headstart.pipeline.view_averaging import views_averaged
from headstart.search.candidates import Way

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


class Workshop:
    """Builds and runs trainings."""

    def __init__(self, bench: Bench, probe: Trained, budget: float | None, speed: Speed) -> None:
        """Make ready.

        Args:
            bench: data and backbone. probe: gives the head that some trainings start from.
            budget: seconds for all of them; None is no limit.
            speed: of the backbone.
        """
        self.bench, self.probe, self.speed = bench, probe, speed
        self.budget = None if budget is None else BUDGET_OF_VIEWS * budget
        self.start = weights_of(bench.backbone)
        self._begun: dict[int, Beginning] = {}

    def reset(self) -> None:
        """Put the backbone back to its start."""
        self.bench.backbone.module.load_state_dict(self.start)

    def frozen(self, way: Way) -> int:
        """The first stage that moves."""
        return boundary(way.recipe, way.bench.plan.plugin("objective"), len(self.bench.backbone.stages))

    def has_begun(self, way: Way) -> bool:
        """Whether the stages that are frozen in it have run."""
        return self.frozen(way) in self._begun

    def begun(self, way: Way) -> Beginning:
        """Where its batches begin: the frozen stages run once for all ways that share them.

        Raises:
            SettingsError: what the user set of the augmentation cannot be done on the way.
        """
        frozen = self.frozen(way)
        if frozen not in self._begun:
            self.reset()
            key = f"stages before {frozen}"
            begun = beginning(way.bench, self.bench.backbone, way.recipe, frozen, key, self.budget)
            views_averaged(way.bench, begun.bound)  # refuses now what would be refused when all is trained
            self._begun[frozen] = begun
        return self._begun[frozen]

    def train(self, way: Way, until: int | None, limit: float | None) -> Attempt:
        """Train on from where it stands, until so many epochs are done, or to its end without a number.

        Args:
            way: its name is that of its checkpoint.
            limit: seconds that it may take over all its epochs; None is no limit.

        Raises:
            TrainingError: a loss is not finite.
        """
        model, learnt = self._model(way)
        recipe, begun = way.recipe, self.begun(way)
        return train_once(
            way.bench, way.name, model, recipe, limit, begun, head_learnt=learnt, until=until, epochs=recipe.epochs
        )

    @contextmanager
    def rehearsal(self, way: Way) -> Iterator[Room]:
        """A way opened for short trainings of which nothing stays."""
        begun, began = self.begun(way), time.monotonic()
        model, learnt = self._model(way)
        recipe = way.recipe.model_copy(update={"warmup": WARM_UP})
        with opened(way.bench, model, recipe, begun, head_learnt=learnt, judged=self._judged()) as (training, _):
            outset = Outset(learnt, training.measure)
            yield Room(training.loop, way, outset, len(self.bench.read.split.val), time.monotonic() - began)

    def _model(self, way: Way) -> tuple[Model, bool]:
        self.reset()
        first = first_head(way.bench, way.recipe, self.bench.backbone, self.probe)
        return model_with(way.bench, self.bench.backbone, copy.deepcopy(first.head)), first.learnt

    def _judged(self) -> np.ndarray:
        """Validation rows that a rehearsal is judged by."""
        draws = np.random.default_rng(draw_seed(self.bench.plan.seed, "rows judged in rehearsals"))
        return draws.permutation(self.bench.read.split.val)[:MOST_JUDGED]


class Room:
    """A training in which to rehearse."""

    def __init__(self, loop: Loop, way: Way, outset: Outset, validated: int, opening: float) -> None:
        """`validated` is how many examples the validation part has; `opening` the seconds that building it took."""
        self.way, self.outset = way, outset
        stream = loop.validation.stream
        self.share = len(stream.rows) / validated
        loop.validation.stream = replace(stream, batch_size=max(1, len(stream.rows) // BATCHES_JUDGED))
        self.loop, self.opening = loop, opening

    def start(self) -> np.ndarray:
        """(batches,) validation losses before any training."""
        return self.loop.validation.losses()

    def rehearse(self, steps: int, factor: float = 1.0) -> Rehearsal:
        """A short training with the way's rates times a factor, but for those that are the user's."""
        recipe: Any = self.way.at(factor).recipe
        rates = recipe.settled(recipe.rates(len(self.way.bench.backbone.stages)), self.outset)
        return rehearse(self.loop, steps, peaks=peaks_of(self.loop, recipe, rates))

    def taking_up(self) -> float:
        """Seconds that it takes each time to build the training, and to read and write its checkpoint."""
        size = sum(tensor.numel() * tensor.element_size() for tensor in self.loop.weights.live().values())
        return self.opening + COPIES * size / DISK
