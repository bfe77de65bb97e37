"""A phase of a recipe: a backbone learns to classify generated pictures, in the training loop of every fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from headstart.contracts.backbone import Backbone
from headstart.contracts.composed_augmentation import composed
from headstart.contracts.format import Columns
from headstart.contracts.model import Model
from headstart.contracts.objective import SOURCE
from headstart.contracts.task import Task
from headstart.engine.streams import Stream
from headstart.engine.training.checkpoint import CheckpointFile, Progress
from headstart.engine.training.loop import Loop
from headstart.engine.training.training_plan import TrainingPlan
from headstart.kernel import registry
from headstart.kernel.files import hash_json
from headstart.kernel.progress import Reporter
from headstart.kernel.randomness import draw_seed
from headstart.kernel.settings import Settings
from headstart.kernel.user_settings import build
from headstart.pipeline.training import require_whole
from recipes.picture_pool import FormulaPool, Pictures


class Views(Settings):
    """Random views to train on."""

    name: str = "none"
    """Names of augmentations, joined by '+'."""
    settings: dict[str, Any] = {}
    """Settings of each augmentation, by name."""


class Phase(Settings):
    """Settings of a phase, which starts from the weights of the one before with a new head."""

    pictures: Pictures
    """The pictures to train and validate on."""
    task: dict[str, Any] = {}
    """Settings of the classification task."""
    tuning: dict[str, Any] = {}
    """Settings of training from scratch that differ from its defaults."""
    augmentation: Views = Views()
    """Random views."""

    def training(self) -> Any:
        """Build the settings of training from scratch. Raises SettingsError."""
        return build(registry.plugin("tuning", "scratch"), self.tuning, where="tuning")

    def pixels(self) -> int:
        """Count the pixels seen in all epochs, to which the training time is proportional."""
        return self.pictures.classes * self.pictures.per_class * self.pictures.side**2 * int(self.training().epochs)


class PhaseTraining:
    """A phase ready to run."""

    def __init__(
        self, phase: Phase, backbone: Backbone, world: int, seed: int, budget: float | None, reporter: Reporter
    ) -> None:
        """Build the model and the pool of pictures.

        Args:
            phase: its settings. backbone: trained in place.
            world: seed of the classes. seed: of every random draw.
            budget: seconds at most; None for no limit. reporter: shows progress.

        Raises:
            SettingsError: the phase's settings are not valid.
        """
        self.phase, self.seed, self.budget, self.reporter = phase, seed, budget, reporter
        self.model = _model(phase, backbone, seed)
        self.pool = FormulaPool(phase.pictures, world, backbone.entry)

    def run(self, checkpoint: Path, after_epoch: Callable[[Progress], None]) -> Progress:
        """Train, or resume from the checkpoint; at the end the model has its best weights.

        `after_epoch` is called after each epoch with the progress, while the model has the best weights so far.
        """
        training, backbone, pool = self.phase.training(), self.model.backbone, self.pool
        views = composed(self.phase.augmentation.name, self.phase.augmentation.settings)
        targets: Mapping[str, np.ndarray] = {"label": pool.labels}
        size, bound = training.batch_size, views.bind(backbone.input_kind(), len(pool.train))
        rates = training.rates(len(backbone.stages))
        objective = registry.plugin("objectives", "supervised")()
        kinds = self.model.task.target_kinds
        validation = Stream("validation", pool.validation, targets, pool, size, self.seed, target_kinds=kinds)
        loop = Loop(
            self.model,
            TrainingPlan(objective, training, rates, 0, self.seed, self.budget, pretrained=False),
            {SOURCE: replace(validation, name=SOURCE, rows=pool.train, augmentation=bound)},
            validation,
            checkpoint=CheckpointFile(checkpoint, self._identity()),
            reporter=self.reporter,
        )
        progress = loop.progress
        with pool.by_workers():
            while not progress.stopped:
                progress = loop.run(until=progress.epoch + 1)
                after_epoch(progress)
        require_whole(progress)
        return progress

    def _identity(self) -> str:
        """Hash everything that determines the training."""
        return hash_json([self.phase.model_dump(mode="json"), self.model.backbone.weights_hash(), self.seed])


def _model(phase: Phase, backbone: Backbone, seed: int) -> Model:
    """Put a new head for the classes on the backbone."""
    digits = len(str(phase.pictures.classes - 1))
    names = tuple(f"{number:0{digits}d}" for number in range(phase.pictures.classes))
    counts = (phase.pictures.per_class,) * len(names)
    kind = registry.plugin("tasks", "classification")
    settings: Task = build(kind, {"classes": names, **phase.task}, where="task")
    task = settings.restore({"classes": names, "counts": counts})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(draw_seed(seed, "head weights"))
        heads = nn.ModuleDict({"head": task.head(backbone)})
    return Model(backbone, task, heads, Columns(), {})
