"""Putting what a fit found out into its record, and the test part's rows beside it."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from headstart.contracts.carriers import Prediction
from headstart.contracts.model_files import model_hash
from headstart.engine.device import machine, versions
from headstart.kernel import registry
from headstart.kernel.files import write_atomic
from headstart.kernel.replacement import destination
from headstart.pipeline.arms import FitContext, Trained
from headstart.pipeline.clock import Clock
from headstart.pipeline.command import command
from headstart.pipeline.judge import Judged
from headstart.pipeline.prepare import Prepared
from headstart.pipeline.record import Arm, Decision, Epoch, FrozenPass, RunRecord
from headstart.pipeline.verdict import verdict


def summarise(
    context: FitContext,
    arms: Sequence[Trained],
    judged: Judged,
    decisions: Sequence[Decision],
    clock: Clock,
    started: str,
    folder: Path,
) -> RunRecord:
    """Everything in one record."""
    metrics = context.data.task.metrics()
    rows = {arm.key: _arm(arm, judged) for arm in arms}
    unit = "unseen examples" if context.data.groups is None else "unseen groups"
    why = next((decision.reason for decision in decisions if decision.what == "training from scratch"), "")
    words, negative = verdict(metrics[0].name, metrics[0].info, rows, judged.comparisons, unit=unit, no_scratch=why)
    return RunRecord(
        headstart=version("headstart"),
        name=destination(folder).name,
        verdict=words,
        negative_transfer=negative,
        command=command("fit", destination(folder), context.plan.data),
        started=started,
        seed=context.plan.seed,
        task=registry.name_of(context.data.task),
        primary_metric=metrics[0].name,
        metrics={metric.name: metric.info for metric in metrics},
        data=context.data.summary.model_copy(update={"notes": (*context.data.summary.notes, *judged.slice_notes)}),
        backbone=context.backbone.name,
        backbone_origin=context.backbone.origin,
        stages=arms[0].stages,
        head=arms[0].head,
        decisions=tuple(decisions),
        arms=rows,
        comparisons=judged.comparisons,
        slices=judged.slices,
        worst_slice=judged.worst_slice,
        panels=judged.panels,
        mistakes=judged.mistakes,
        frozen_pass=FrozenPass(
            computed=context.features.computed, reused=context.features.reused, seconds=dict(context.features.seconds)
        ),
        times={name: round(seconds, 3) for name, seconds in clock.seconds.items()},
        model_hash=model_hash(folder / "model"),
        versions=versions(),
        machine=machine(),
    )


def write_test_rows(folder: Path, data: Prepared, prediction: Prediction) -> None:
    """RUN/split.csv (where each example went, with its content key) and RUN/test_predictions.csv."""
    origins = data.examples.origins()
    parts = [(origins[row], data.keys[row], name) for name, rows in data.parts().items() for row in rows]
    split = pd.DataFrame(parts, columns=["origin", "key", "part"])
    write_atomic(folder / "split.csv", split.to_csv(index=False).encode())
    test = data.examples.take(data.split.test)
    frame = pd.DataFrame({"origin": test.origins(), "truth": data.task.labels(test), **data.task.rows(prediction)})
    write_atomic(folder / "test_predictions.csv", frame.to_csv(index=False).encode())


def _arm(arm: Trained, judged: Judged) -> Arm:
    progress = arm.progress
    return Arm(
        title=arm.title,
        figures=judged.figures[arm.key],
        history=tuple(Epoch(**{**vars(epoch), "epoch": epoch.epoch + 1}) for epoch in progress.history)
        if progress
        else (),
        seconds=arm.seconds,
        chosen=dict(arm.chosen),
        stopped=progress.stopped if progress else "",
    )
