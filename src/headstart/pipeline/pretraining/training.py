"""The training of a backbone without labels: streams of views over all inputs, held-out inputs, checkpoints."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from headstart.contracts.backbone import Backbone
from headstart.contracts.format import Columns
from headstart.contracts.modality import modality_named
from headstart.contracts.model import Encoder
from headstart.contracts.objective import TARGET, TARGET_AGAIN
from headstart.engine.frozen.feeding import lengths_of
from headstart.engine.frozen.lazy_inputs import LazyInputs
from headstart.engine.streams import Stream, selected
from headstart.engine.training.checkpoint import CheckpointFile, Progress
from headstart.engine.training.loop import Loop
from headstart.engine.training.training_plan import TrainingPlan
from headstart.kernel.files import hash_bytes, hash_json
from headstart.kernel.progress import Reporter
from headstart.kernel.randomness import draw_seed
from headstart.pipeline.claim import WORK
from headstart.pipeline.pretraining.choices import Choices
from headstart.pipeline.pretraining.gain import Watcher
from headstart.pipeline.pretraining.unlabelled import Unlabelled
from headstart.pipeline.record import DataIssue


class Outcome(NamedTuple):
    """Outcome of a training."""

    start: dict[str, float]
    """Held-out loss and monitors before the first step."""
    progress: Progress


class Unreadable:
    """Inputs that could not be read, each told of once and listed in the run's folder, where a resumed run reads it."""

    def __init__(self, data: Unlabelled, path: Path | None, reporter: Reporter) -> None:
        """Begin with what an interrupted session has found."""
        self.data, self.path, self.reporter = data, path, reporter
        kept = path.read_text(encoding="utf-8").splitlines() if path is not None and path.exists() else []
        self.reasons: dict[str, str] = dict(json.loads(line) for line in kept)

    def __call__(self, row: int, reason: str) -> None:
        """One more."""
        origin = self.data.examples.take([row]).origins()[0]
        if origin in self.reasons:
            return
        self.reasons[origin] = reason
        if len(self.reasons) == 1:
            self.reporter.say(f"{origin} {reason}: it is left out, as whatever else cannot be read")
        if self.path is not None:
            with open(self.path, "a", encoding="utf-8") as file:
                file.write(json.dumps([origin, reason]) + "\n")

    def troubles(self) -> tuple[DataIssue, ...]:
        """By name."""
        return tuple(DataIssue(origin=origin, reason=reason) for origin, reason in sorted(self.reasons.items()))


class Training:
    """A training that is ready to run; the backbone is trained in place."""

    def __init__(
        self,
        choices: Choices,
        data: Unlabelled,
        backbone: Backbone,
        watcher: Watcher | None,
        folder: Path | None,
        reporter: Reporter,
    ) -> None:
        """Make ready.

        Args:
            choices, data, backbone: what is trained, on what and how.
            watcher: looks at labelled examples after each epoch.
            folder: of the run, with the checkpoint from which a training goes on that was killed; None for none.
            reporter: shows progress.

        Raises:
            TrainingError: nothing would move.
        """
        unreadable = Unreadable(data, None if folder is None else folder / "unreadable.jsonl", reporter)
        self.unreadable = unreadable
        inputs = LazyInputs(backbone, data.examples, unreadable)
        recipe, stages = choices.recipe, len(backbone.stages)
        with torch.random.fork_rng():
            torch.manual_seed(draw_seed(choices.plan.seed, "additions"))
            additions = nn.ModuleDict(dict(choices.objective.additions(backbone)))
        self.encoder = Encoder(backbone, _columns(data, choices.plan.columns), additions=additions)
        plan = TrainingPlan(
            choices.objective,
            recipe.model_copy(update={"epochs": recipe.epochs * choices.rounds}),
            recipe.rates(stages),
            0,
            choices.plan.seed,
            choices.plan.budget,
            pretrained=choices.plan.weights != "random",
            latest=True,
        )
        identity = _identity(choices, data, backbone)
        self.streams = streams(choices, data, inputs, data.train)
        self.held_out = streams(choices, data, inputs, data.held_out)
        self.loop = Loop(
            self.encoder,
            plan,
            self.streams,
            self.held_out,
            checkpoint=None if folder is None else CheckpointFile(folder / WORK / "pretraining.checkpoint", identity),
            reporter=reporter,
            watch=self._watch,
        )
        self._watcher = watcher

    def run(self) -> Outcome:
        """Look at the start, then train.

        Raises:
            TrainingError: it cannot go on, or the representation has collapsed, before any epoch was judged.
            DataError: none of the inputs of a batch can be read.
        """
        began = time.monotonic()
        start = self.loop.validate()
        self.loop.initial_monitors = start.monitors
        self.loop.progress.seconds = time.monotonic() - began  # of the budget; a resumed training has its own count
        progress = self.loop.run()
        for reasons in self.loop.processes.gathered(self.unreadable.reasons):
            self.unreadable.reasons |= reasons
        return Outcome({"loss": start.loss, **start.monitors}, progress)

    def _watch(self) -> Mapping[str, float]:
        return {} if self._watcher is None else self._watcher(self.loop.stepper.forward)


def streams(choices: Choices, data: Unlabelled, inputs: LazyInputs, rows: np.ndarray) -> Mapping[str, Stream]:
    """The streams that the objective draws from, of some rows."""
    ragged = modality_named(data.examples.schema.modality).like_lengths
    lengths = lengths_of(inputs.backbone, data.examples, np.arange(len(data.examples))) if ragged else None
    names = selected(choices.objective.streams, {TARGET: rows, TARGET_AGAIN: rows})
    return {
        name: Stream(
            name,
            rows,
            {},
            inputs,
            choices.recipe.batch_size,
            choices.plan.seed,
            choices.augmentation,
            lengths=lengths,
            follows=TARGET if name == TARGET_AGAIN else "",
            screen=inputs.screen,
            rounds=choices.rounds if rows is data.train else 1,
            origins=lambda wanted: data.examples.take(wanted).origins(),
        )
        for name in names
    }


def _columns(data: Unlabelled, columns: Columns) -> Columns:
    """The columns that a table must have again to be read as the same inputs."""
    schema = data.examples.schema
    named = modality_named(schema.modality).named(data.examples.table, schema)
    return columns.model_copy(update={"label": None, "labels": (), **named})


def _identity(choices: Choices, data: Unlabelled, backbone: Backbone) -> str:
    """A hash of all that decides a training; of the inputs their names, or what they are where they lie in a table."""
    chosen = [choices.plan.model_dump(mode="json"), choices.recipe.model_dump(mode="json"), choices.rounds]
    columns = [data.examples.table.column(name) for name in (*data.examples.schema.inputs, data.examples.schema.origin)]
    buffers = (buffer for column in columns for chunk in column.chunks for buffer in chunk.buffers() if buffer)
    listed = hash_bytes(*(hash_bytes(memoryview(buffer)).encode() for buffer in buffers))
    return hash_json([chosen, listed, str(choices.augmentation), backbone.weights_hash()])
