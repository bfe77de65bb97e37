"""The record of a pretraining, its answer in words, and some inputs beside the views of them that it saw."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from headstart.contracts.backbone import Backbone
from headstart.contracts.figures import MetricInfo
from headstart.contracts.inputs import Pixels
from headstart.contracts.model_files import model_hash
from headstart.engine.streams import Stream
from headstart.engine.training.collapse import MONITORS, RANK
from headstart.evidence.comparison import UNDECIDED
from headstart.kernel.errors import DataError
from headstart.kernel.replacement import destination
from headstart.pipeline.budget import Budget
from headstart.pipeline.numbers import difference_text, figure_text
from headstart.pipeline.pretraining.choices import Choices
from headstart.pipeline.pretraining.gain import KNN, KNN_INFO
from headstart.pipeline.pretraining.record import SIMPLE, Gain, PretrainRecord, UnlabelledSummary, ViewRow
from headstart.pipeline.pretraining.training import Outcome, Training
from headstart.pipeline.pretraining.unlabelled import Unlabelled
from headstart.pipeline.record import Epoch, StageRow
from headstart.pipeline.stage_rows import frozen_rows, trained_rows
from headstart.pipeline.summary import budget_row, command, epochs_of, made_by
from headstart.pipeline.training import fault_of, what_was_kept

LOSS = MetricInfo(
    title="Loss", greater_is_better=False, note="The objective's own; held-out inputs are never trained on."
)

MOST_NAMED = 1000
"""Unreadable inputs that a record names."""

LEAST_SECONDS = 0.01
"""A step that took less had nothing to do."""

SHOWN = 6
"""Inputs whose views are shown."""

SIDE = 112
"""Pixels of a shown picture at most; small ones are shown larger."""


def summarise(
    choices: Choices,
    data: Unlabelled,
    training: Training,
    outcome: Outcome,
    gain: Gain | None,
    budget: Budget,
    started: str,
    folder: Path,
) -> PretrainRecord:
    """Everything in one record."""
    plan, recipe, backbone, progress = choices.plan, choices.recipe, training.encoder.backbone, outcome.progress
    history = epochs_of(progress)
    words = verdict(plan.objective, len(data.train), backbone.width, history, choices.rounds, gain)
    return PretrainRecord(
        name=destination(folder).name,
        verdict=" ".join(filter(None, (words, what_was_kept(progress)))),
        fault=fault_of(progress),
        command=command("pretrain", destination(folder), plan.data),
        started=started,
        seed=plan.seed,
        objective=plan.objective,
        augmentation=str(choices.augmentation),
        data=_about(data, training),
        metrics={"loss": LOSS, **MONITORS, **({KNN: KNN_INFO} if KNN in history[-1].monitors else {})},
        backbone=backbone.name,
        backbone_origin=backbone.origin,
        backbone_licence=backbone.licence,
        width=backbone.width,
        stages=trained_rows(frozen_rows(backbone), backbone, recipe.rates(len(backbone.stages)), recipe),
        head=_head(training.encoder.additions, recipe.head_learning_rate),
        decisions=choices.decisions,
        start=outcome.start,
        history=history,
        rounds=choices.rounds,
        chosen=progress.choices(),
        stopped=progress.stopped,
        seconds=progress.seconds,
        views=view_rows(backbone, data, training.held_out),
        gain=gain,
        times={name: round(spent, 3) for name, spent in budget.steps.items() if spent >= LEAST_SECONDS},
        budget=budget_row(budget, progress.seconds),
        model_hash=model_hash(folder / "model"),
        **made_by(),
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


def verdict(
    objective: str, examples: int, width: int, history: tuple[Epoch, ...], rounds: int, gain: Gain | None
) -> str:
    """Two or three sentences; an epoch is one of `rounds` parts of a pass over the examples."""
    epochs = f"{len(history)} epoch{'s' if len(history) != 1 else ''}"
    epochs += f" of 1/{rounds} of the data each" if rounds > 1 else ""
    rank = history[-1].monitors.get(RANK)
    use = "" if rank is None else f" The features use about {rank:.0f} of {width} dimensions."
    learnt = f"Trained on {examples:,} inputs without labels with {objective} for {epochs}.{use}"
    if gain is None:
        return f"{learnt} To learn if it helps, give a labelled sample with --labelled."
    return f"{learnt} {_gain(gain)}"


def _gain(gain: Gain) -> str:
    metric = gain.info(gain.primary_metric)
    figure = figure_text(metric.unit, gain.arms["model"].figures[gain.primary_metric])
    reached = f"Linear probe on the result: {metric.title} {figure}"
    comparison = next((found for found in gain.comparisons if found.against == "start"), None)
    if comparison is None:
        return f"{reached}."
    difference = difference_text(metric.unit, comparison.difference)
    if comparison.verdict == "better":
        return f"{reached}, {difference} over its start.{_simpler(gain)}"
    if comparison.verdict == "worse":
        return f"{reached}, WORSE than its start: {difference}. Use the start instead."
    if comparison.verdict == UNDECIDED:
        return f"{reached}; gain over its start undecided: {difference}."
    return f"{reached}; no significant gain over its start: {difference}.{_simpler(gain)}"


def _simpler(gain: Gain) -> str:
    """A sentence where a method that takes seconds is not beaten."""
    comparisons = {found.against: found for found in gain.comparisons}
    unbeaten = [comparisons[name] for name in SIMPLE if name in comparisons and comparisons[name].verdict != "better"]
    if not unbeaten:
        return ""
    found = next((comparison for comparison in unbeaten if comparison.verdict == "worse"), unbeaten[0])
    difference = difference_text(gain.unit(gain.primary_metric), found.difference)
    word = "It is WORSE than" if found.verdict == "worse" else "It does not significantly beat"
    return f" {word} a {gain.arms[found.against].title}, which takes seconds: {difference}."


def view_rows(backbone: Backbone, data: Unlabelled, streams: Mapping[str, Stream]) -> tuple[ViewRow, ...]:
    """The first pictures that are held out, each in the views of the first epoch; none of other inputs."""
    kind = backbone.input_kind()
    if not isinstance(kind, Pixels):
        return ()
    first = next(iter(streams.values()))
    try:
        rows = first.rows[:SHOWN] if first.screen is None else first.screen(first.rows[:SHOWN])
    except DataError:  # none of them can be read
        return ()
    shown = [_pictures(first.batch(rows).state.hidden, kind)]
    if first.augmentation is not None and first.augmentation.first_stage(1) == 0:
        seen = [*streams.values()] if len(streams) > 1 else [first]
        shown += [_pictures(stream.batch(rows, 0).state.hidden, kind) for stream in seen]
    origins = data.examples.take(rows).origins()
    return tuple(ViewRow(origin=origin, pictures=pictures) for origin, *pictures in zip(origins, *shown))


def _pictures(hidden: Tensor, kind: Pixels) -> list[str]:
    """Data URIs of normalised pictures (batch, 3, height, width)."""
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (kind.mean, kind.std))
    values = ((hidden.cpu() * std + mean).clamp(0, 1) * 255).round().to(torch.uint8)
    return [_data_uri(np.asarray(picture)) for picture in values.permute(0, 2, 3, 1)]


def _data_uri(pixels: np.ndarray) -> str:
    image = Image.fromarray(pixels)
    if max(image.size) < SIDE // 2:
        image = image.resize((image.width * 2, image.height * 2), resample=0)
    image.thumbnail((SIDE, SIDE))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
