"""Putting what a fit found out into its record, and the test part's rows beside it."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from headstart.contracts.examples import Examples
from headstart.contracts.figures import info_of
from headstart.contracts.model_files import model_hash
from headstart.contracts.prediction import Prediction
from headstart.contracts.presentation import presentation_of
from headstart.contracts.task import BoundTask
from headstart.engine.device import machine, versions
from headstart.engine.training.checkpoint import Progress
from headstart.kernel import registry
from headstart.kernel.files import write_atomic
from headstart.kernel.replacement import destination
from headstart.pipeline.adaptation.target import EmbeddedTarget
from headstart.pipeline.baselines import BaselineArm
from headstart.pipeline.budget import Budget
from headstart.pipeline.judge import Judged
from headstart.pipeline.prepare import Prepared
from headstart.pipeline.record import Arm, BudgetRow, Comparison, Epoch, FrozenPass, RunRecord
from headstart.pipeline.time_gain import time_gain
from headstart.pipeline.trained import Arms, Trained
from headstart.pipeline.verdict import bounded, for_target, verdict, why_no_scratch

TARGET_ROWS = "target_predictions.csv"
"""File of the predictions for a target, in the run folder."""

MOST_PROBABILITIES = 2_000_000
"""In a run's own table of the test part; `predict` writes as many as there are."""


def summarise(arms: Arms, baselines: Sequence[BaselineArm], judged: Judged, started: str, folder: Path) -> RunRecord:
    """Everything in one record."""
    context, decisions, budget = arms.context, tuple(arms.context.log.made), arms.context.budget
    metrics = context.data.task.evaluation.metrics
    rows = {arm.key: _arm(arm, judged) for arm in arms.trained} | {
        baseline.key: _baseline(baseline, judged) for baseline in baselines
    }
    comparisons = bounded(judged.comparisons, rows)
    words, negative = _verdict(arms, rows, comparisons)
    passed = sum(context.features.seconds.values())
    return RunRecord(
        name=destination(folder).name,
        verdict=words,
        negative_transfer=negative,
        command=command("fit", destination(folder), context.plan.data),
        started=started,
        seed=context.plan.seed,
        task=registry.name_of(context.data.task),
        primary_metric=metrics[0].name,
        metrics={metric.name: info_of(metric) for metric in metrics},
        data=context.data.summary.model_copy(update={"notes": (*context.data.summary.notes, *judged.slice_notes)}),
        backbone=context.backbone.name,
        backbone_origin=context.backbone.origin,
        backbone_licence=context.backbone.licence,
        stages=arms.trained[0].stages,
        head=arms.trained[0].head,
        decisions=decisions,
        arms=rows,
        cut_off=arms.cut_off,
        time_gain=time_gain(rows, metrics[0].name, info_of(metrics[0]), passed),
        comparisons=comparisons,
        slices=judged.slices,
        worst_slice=judged.worst_slice,
        edits=context.backbone.edits,
        layers=context.layers,
        adaptation=arms.adaptation,
        candidates=arms.candidates,
        panels=(*judged.panels, *arms.panels, *(() if context.foresight is None else context.foresight.panels)),
        mistakes=judged.mistakes,
        frozen_pass=FrozenPass(
            computed=context.features.computed, reused=context.features.reused, seconds=dict(context.features.seconds)
        ),
        times={name: round(seconds, 3) for name, seconds in budget.steps.items()},
        budget=budget_row(budget, arms.used),
        model_hash=model_hash(folder / "model"),
        **made_by(),
    )


def _verdict(arms: Arms, rows: Mapping[str, Arm], comparisons: Sequence[Comparison]) -> tuple[str, bool]:
    """The verdict of a fit, with how its model was found, and whether it is negative transfer."""
    context, metric = arms.context, arms.context.data.task.evaluation.primary
    if arms.adaptation is not None:
        return for_target(metric.name, info_of(metric), rows, arms.adaptation), False
    going_on = context.plan.from_run
    words, negative = verdict(
        metric.name,
        info_of(metric),
        rows,
        comparisons,
        unit="unseen examples" if context.data.groups is None else "unseen groups",
        no_scratch=why_no_scratch(context.log.made),
        cut_off=arms.cut_off,
        infos={one.name: info_of(one) for one in context.data.task.evaluation.metrics},
        remedy=f"Use --backbone {going_on} without --from." if going_on else "Use --tuning probe.",
    )
    return " ".join(filter(None, (words, arms.sentence))), negative


def made_by() -> dict[str, Any]:
    """Version and machine that made a run: fields of its record."""
    return {"headstart": version("headstart"), "versions": versions(), "machine": machine()}


def budget_row(budget: Budget, used: float) -> BudgetRow | None:
    """Use of the time that was allowed; None where it was not limited."""
    if budget.seconds is None:
        return None
    return BudgetRow(seconds=budget.seconds, used=round(used, 3), steps=dict(budget.allowed))


def epochs_of(progress: Progress) -> tuple[Epoch, ...]:
    """The learning curves of a training; epochs count from 1."""
    return tuple(Epoch(**{**vars(epoch), "epoch": epoch.epoch + 1}) for epoch in progress.history)


def command(verb: str, folder: Path, data: str) -> str:
    """The command line as it was given, or what repeats a `verb` called from Python on `data`, as a plan names them."""
    started = getattr(sys.modules["__main__"], "__spec__", None)
    if Path(sys.argv[0]).name == "headstart" or (started and started.name == "headstart.__main__"):
        return shlex.join(["headstart", *sys.argv[1:]])
    if data.startswith("<"):
        return f"headstart.{verb}({data}, ...)"
    return shlex.join(["headstart", verb, str(folder / "plan.toml")])


def write_test_rows(folder: Path, data: Prepared, prediction: Prediction) -> None:
    """RUN/split.csv (where each example went, with its content key) and RUN/test_predictions.csv.

    Where the probabilities of all classes are more than `MOST_PROBABILITIES`, those of the test part are left out.
    """
    origins = data.examples.origins()
    parts = [(origins[row], data.keys[row], name) for name, rows in data.parts().items() for row in rows]
    split = pd.DataFrame(parts, columns=["origin", "key", "part"])
    write_atomic(folder / "split.csv", split.to_csv(index=False).encode())
    test = data.examples.take(data.split.test)
    frame = pd.DataFrame(
        {"origin": test.origins(), **_truth(data.task, test), **_columns(data.task, prediction, len(test))}
    )
    write_atomic(folder / "test_predictions.csv", frame.to_csv(index=False).encode())


def _truth(task: BoundTask, examples: Examples) -> dict[str, Sequence[Any]]:
    """The labels as a column, or several where there are labels of several tasks."""
    labels = presentation_of(task).labels(examples)
    if not all(isinstance(label, Mapping) for label in labels):
        return {"truth": labels}
    names = dict.fromkeys(name for label in labels for name in label)
    return {f"{name} truth": [label.get(name) for label in labels] for name in names}


def write_target_rows(folder: Path, data: Prepared, target: EmbeddedTarget, prediction: Prediction) -> None:
    """RUN/target_predictions.csv, as `write_test_rows` writes those of the test part, without a truth."""
    origins = target.data.examples.origins()
    frame = pd.DataFrame({"origin": origins, **_columns(data.task, prediction, len(origins))})
    write_atomic(folder / TARGET_ROWS, frame.to_csv(index=False).encode())


def _columns(task: BoundTask, prediction: Prediction, rows: int) -> dict[str, Any]:
    columns = dict(presentation_of(task).columns(prediction))
    if rows * len(columns) > MOST_PROBABILITIES:  # of 10,000 classes they took 2 GB and minutes
        columns = {name: values for name, values in columns.items() if not name.startswith("p_")}
    return columns


def _arm(arm: Trained, judged: Judged) -> Arm:
    progress = arm.progress
    return Arm(
        title=arm.title,
        figures=judged.figures[arm.key],
        history=epochs_of(progress) if progress else (),
        seconds=arm.seconds,
        chosen=dict(arm.chosen),
        stopped=_ended(arm, progress) if progress else "",
        cut_off=progress.cut_off if progress else "",
        fit_on=arm.fit_on,
        shortcoming=arm.shortcoming,
    )


def _ended(arm: Trained, progress: Progress) -> str:
    """Why the training ended: never that all was done, where a limit of steps or a given length left it too short."""
    return arm.shortcoming if arm.shortcoming and progress.stopped.startswith("all ") else progress.stopped


def _baseline(baseline: BaselineArm, judged: Judged) -> Arm:
    return Arm(
        title=baseline.title,
        figures=judged.figures[baseline.key],
        seconds=baseline.seconds,
        chosen=dict(baseline.chosen),
    )
