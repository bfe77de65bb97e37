"""Putting what a pretraining found out into its record."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from torch import nn

from headstart.contracts.metric import MetricInfo
from headstart.contracts.model_files import model_hash
from headstart.engine.device import machine, versions
from headstart.engine.training.collapse import MONITORS
from headstart.kernel.replacement import destination
from headstart.pipeline.clock import Clock
from headstart.pipeline.command import command
from headstart.pipeline.interrupted_training import what_was_kept
from headstart.pipeline.pretraining.choices import Choices
from headstart.pipeline.pretraining.gain import KNN, KNN_INFO
from headstart.pipeline.pretraining.record import Gain, PretrainRecord, UnlabelledSummary
from headstart.pipeline.pretraining.training import Course, Training
from headstart.pipeline.pretraining.unlabelled import Unlabelled
from headstart.pipeline.pretraining.verdict import verdict
from headstart.pipeline.pretraining.view_examples import view_rows
from headstart.pipeline.record import BudgetRow, Epoch, StageRow
from headstart.pipeline.stage_rows import frozen_rows, trained_rows

LOSS = MetricInfo(
    title="Loss", greater_is_better=False, note="The objective's own; held-out inputs are never trained on."
)

MOST_NAMED = 1000
"""Unreadable inputs that a record names."""

LEAST_SECONDS = 0.01
"""A step that took less had nothing to do."""


def summarise(
    choices: Choices,
    data: Unlabelled,
    training: Training,
    course: Course,
    gain: Gain | None,
    clock: Clock,
    started: str,
    folder: Path,
) -> PretrainRecord:
    """Everything in one record."""
    plan, recipe, backbone, progress = choices.plan, choices.course, training.encoder.backbone, course.progress
    history = tuple(Epoch(**{**vars(epoch), "epoch": epoch.epoch + 1}) for epoch in progress.history)
    words = verdict(plan.objective, len(data.train), backbone.width, history, choices.rounds, gain)
    return PretrainRecord(
        headstart=version("headstart"),
        name=destination(folder).name,
        verdict=" ".join(filter(None, (words, what_was_kept(progress)))),
        command=command("pretrain", destination(folder), plan.data),
        started=started,
        seed=plan.seed,
        objective=plan.objective,
        augmentation=str(choices.augmentation),
        data=_about(data, training),
        metrics={"loss": LOSS, **MONITORS, **({KNN: KNN_INFO} if KNN in history[-1].monitors else {})},
        backbone=backbone.name,
        backbone_origin=backbone.origin,
        width=backbone.width,
        stages=trained_rows(frozen_rows(backbone), backbone, recipe.rates(len(backbone.stages)), recipe),
        head=_head(training.encoder.additions, recipe.head_learning_rate),
        decisions=choices.decisions,
        start=course.initial_backbone,
        history=history,
        rounds=choices.rounds,
        chosen=progress.choices(),
        stopped=progress.stopped,
        seconds=progress.seconds,
        views=view_rows(backbone, data, training.held_out),
        gain=gain,
        times={name: round(spent, 3) for name, spent in clock.seconds.items() if spent >= LEAST_SECONDS},
        budget=None if plan.budget is None else BudgetRow(seconds=plan.budget, used=round(progress.seconds, 3)),
        model_hash=model_hash(folder / "model"),
        versions=versions(),
        machine=machine(),
    )


def _about(data: Unlabelled, training: Training) -> UnlabelledSummary:
    troubles = training.unreadable.troubles()
    return UnlabelledSummary(
        source=data.source,
        seen=data.seen,
        modality=data.examples.schema.modality,
        trained=len(data.train),
        held_out=len(data.held_out),
        unreadable=troubles[:MOST_NAMED],
        unreadable_count=len(troubles),
        notes=data.notes,
    )


def _head(additions: nn.ModuleDict, learning_rate: float) -> StageRow | None:
    """The row of what was trained beside the backbone and is thrown away."""
    sizes = [parameter.numel() for parameter in additions.parameters() if parameter.requires_grad]
    if not sizes:
        return None
    name = ", ".join(additions)
    return StageRow(name=name, parameters=sum(sizes), trained=sum(sizes), state="trained", learning_rate=learning_rate)
