"""A fit from its plan to a run folder: the steps of `sequence`, then train, judge, record and present."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from headstart.contracts.prediction import Prediction
from headstart.contracts.runner import Runner
from headstart.engine.launch import rank
from headstart.engine.process_group import part
from headstart.kernel.files import delete
from headstart.kernel.progress import Quiet, Reporter
from headstart.pipeline.arms import LARGE
from headstart.pipeline.baselines import BaselineArm, fit_baselines
from headstart.pipeline.claim import WORK, refuse_taken, unfinished
from headstart.pipeline.completion import Present, complete, completed, led, require_no_fault
from headstart.pipeline.context import FitContext
from headstart.pipeline.continued_run import ContinuedRun
from headstart.pipeline.data import Given
from headstart.pipeline.destination import require_apart_from_pictures
from headstart.pipeline.judge import judge
from headstart.pipeline.kept_domain import kept_forgetting
from headstart.pipeline.kept_reference import write_reference
from headstart.pipeline.label_curve import label_curve
from headstart.pipeline.label_gains import with_gains
from headstart.pipeline.own_test_part import forgetting, with_forgetting
from headstart.pipeline.plan import Plan
from headstart.pipeline.plan_file import AUTO, write_plan
from headstart.pipeline.record import SOURCE_MODEL, TUNED, RunRecord
from headstart.pipeline.resampled_figures import write_resamples
from headstart.pipeline.run_folder import write_record
from headstart.pipeline.sequence import Start, start
from headstart.pipeline.source_forgetting import source_forgetting
from headstart.pipeline.summary import TARGET_ROWS, summarise, write_target_rows, write_test_rows
from headstart.pipeline.trained import Arms, own_weights, predict_rows, predict_target
from headstart.pipeline.training import fault_of

Train = Callable[[FitContext], Arms]
"""Tries what a plan asks for, and the baselines it is held against."""


def run_fit(
    given: Given, plan: Plan, out: Path | None, reporter: Reporter, train: Train, present: Present, *, overwrite: bool
) -> Path:
    """Carry out the plan of one seed; its folder is claimed when data and backbone are there.

    Of several processes that a launcher started only rank 0 returns; the others compute with it, write nothing, and end
    by `SystemExit(0)`.
    """
    leads, together, started = rank() == 0, _trains_together(plan), datetime.now(UTC).isoformat(timespec="seconds")
    if leads and not together:
        part()
    if (whole := completed(out, plan, reporter, present, overwrite=overwrite)) is not None:
        return whole
    if leads:
        refuse_taken(out, plan, overwrite=overwrite)
    reporter = reporter if leads else Quiet()
    begun = start(given, plan, reporter, unfinished(out, plan))
    if leads and out is not None:
        require_apart_from_pictures(out, begun.data.examples, "the run")
    with led(out, plan, reporter, overwrite=overwrite) as folder:
        if folder is None:
            context = begun.embedded()
            if together:
                train(context)
            part()
            raise SystemExit(0)
        _write_plan(folder, begun.plan, begun.choice.runner, begun)
        arms = train(begun.embedded(folder / WORK, reporter))
        part()
        _write_plan(folder, arms.context.plan, arms.context.features.runner, begun)
        fault = "" if plan.tuning == AUTO else fault_of(arms.asked.progress)
        _record(arms, begun.continued, started, folder, present, fault)
        complete(folder, present)
    require_no_fault(out or folder)
    return out or folder


def _write_plan(folder: Path, plan: Plan, runner: Runner, begun: Start) -> None:
    write_plan(folder / "plan.toml", plan.with_runner(runner).anchored(), tuple(begun.log.made))


def _has_curve(context: FitContext) -> bool:
    """Return whether a label curve is wanted, and can be had: of labels of the source, by features that were kept."""
    return context.plan.label_curve and context.target is None and len(context.features.rows) > 0


def _trains_together(plan: Plan) -> bool:
    """True where all processes of a launcher train; one clock, so one process, leads a search or a series of fits."""
    if AUTO in (plan.tuning, plan.augmentation) or plan.seeds > 1:
        return False
    return plan.scratch or not plan.plugin("tuning").solved


def _record(
    arms: Arms, continued: ContinuedRun | None, started: str, folder: Path, present: Present, fault: str
) -> None:
    """Judge the arms, save the model and write the record; a fine-tuning beside the model gets a run of its own."""
    context, data, budget = arms.context, arms.context.data, arms.context.budget
    with budget.step("the classical baselines"):
        baselines = () if context.target is not None else fit_baselines(data, context.plan.seed)
    with budget.step("judging on the test part"):
        predictions = {arm.key: predict_rows(context, arm, data.split.test) for arm in arms.trained}
    with budget.step("the label curve"):
        forecast = label_curve(context) if _has_curve(context) else None
    delete(folder / TUNED)  # what a killed process left may be another one
    tuned = None
    if TUNED in predictions:
        probe = predictions.get(SOURCE_MODEL, predictions["model"])
        both = predictions | {"model": predictions[TUNED], "probe": probe}
        both = {key: one for key, one in both.items() if key not in (SOURCE_MODEL, TUNED)}
        tuned = _judged(arms.with_tuned_model(), baselines, both, started, folder / TUNED)
        shutil.copyfile(folder / "plan.toml", folder / TUNED / "plan.toml")
        write_record(folder / TUNED, tuned.model_copy(update={"fault": fault}))
        present(folder / TUNED)
    record = _judged(arms, baselines, predictions, started, folder)
    curve = None if forecast is None else with_gains(*forecast, record)
    more: dict[str, Any] = {"fault": fault, "tuned": "" if tuned is None else TUNED, "label_curve": curve}
    if context.target is not None and record.adaptation is not None:
        predicted = predict_target(context, arms.trained[0], context.target)
        write_target_rows(folder, data, context.target, predicted)
        more["adaptation"] = record.adaptation.model_copy(update={"predictions": TARGET_ROWS})
    record = record.model_copy(update=more)
    if continued is None:
        with budget.step("judging on the old test part"):
            forgot = kept_forgetting(context, arms) or source_forgetting(context, arms.trained[0], present)
        write_record(folder, record if forgot is None else with_forgetting(record, forgot))
        return
    with budget.step("judging on the old test part"):
        model, leaked = arms.trained[0].model, continued.leaked(data)
        forgot = forgetting(continued.run, model, leaked, context.reporter, present)
    write_record(folder, with_forgetting(record, forgot))


def _judged(
    arms: Arms, baselines: tuple[BaselineArm, ...], predictions: Mapping[str, Prediction], started: str, folder: Path
) -> RunRecord:
    """Judge the arms, by their predictions for the test part, save the model and return the record."""
    context, data, budget = arms.context, arms.context.data, arms.context.budget
    rows, model = data.split.test, arms.trained[0]
    with budget.step("judging on the test part"):
        predictions = {**predictions, **{baseline.key: baseline.prediction for baseline in baselines}}
        examples, targets = data.examples.take(rows), data.targets_of(rows)
        numbers = sum(column.size for column in predictions["model"].columns.values())
        if numbers > LARGE:
            context.reporter.say(f"Judging {numbers:,} numbers on {len(rows):,} test examples takes a while")
        judged = judge(data.task, examples, targets, predictions, data.groups_of(rows), context.plan.seed)
        write_resamples(folder, data, predictions, judged.figures["model"])
    with budget.step("saving the model"), own_weights(model):
        model.model.save(folder / "model")
        write_test_rows(folder, data, predictions["model"])
        write_reference(folder, context, model)
    return summarise(arms, baselines, judged, started, folder)
