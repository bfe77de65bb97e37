"""A pretraining from its plan to a run folder: read, load, choose, train, judge, record and present."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from headstart.contracts.backbone import Backbone
from headstart.contracts.modality import raws_of
from headstart.engine.launch import rank
from headstart.engine.process_group import part
from headstart.engine.store.feature_store import FeatureStore
from headstart.kernel.progress import Quiet, Reporter
from headstart.pipeline.budget import Budget
from headstart.pipeline.claim import refuse_taken
from headstart.pipeline.completion import Present, complete, completed, led, require_no_fault
from headstart.pipeline.destination import require_apart_from_pictures
from headstart.pipeline.plan_file import write_plan
from headstart.pipeline.pretraining.choices import Choices, choose, initial_backbone
from headstart.pipeline.pretraining.gain import Judgement, Watcher, read_sample
from headstart.pipeline.pretraining.plan import PretrainPlan
from headstart.pipeline.pretraining.summary import summarise
from headstart.pipeline.pretraining.training import Training
from headstart.pipeline.pretraining.unlabelled import Unlabelled, read_unlabelled
from headstart.pipeline.run_folder import write_record

COUNTED = 10_000
"""Inputs at most by which decoding is decided and a backbone of random weights is settled."""


def run_pretraining(
    data: Any, plan: PretrainPlan, out: Path | None, reporter: Reporter, present: Present, *, overwrite: bool
) -> Path:
    """Carry out a plan. Of several processes only rank 0 returns; the others train with it and end, as in `run_fit`."""
    leads, started = rank() == 0, datetime.now(UTC).isoformat(timespec="seconds")
    if (whole := completed(out, plan, reporter, present, overwrite=overwrite)) is not None:
        return whole
    if leads:
        refuse_taken(out, plan, overwrite=overwrite)
    reporter, budget = reporter if leads else Quiet(), Budget(plan.budget)
    found, choices, backbone = _start(data, plan, budget)
    for note in found.notes:
        reporter.say(note[:1].upper() + note[1:])
    if leads and out is not None:
        require_apart_from_pictures(out, found.examples, "the run")
    with led(out, plan, reporter, overwrite=overwrite) as folder:
        if folder is None:
            Training(choices, found, backbone, None, None, reporter).run()
            part()
            raise SystemExit(0)
        write_plan(folder / "plan.toml", choices.plan.anchored(), choices.decisions)
        with budget.step("the probe on the start"):
            judgement, watcher = _judged_by(plan, found, backbone, reporter)
        with budget.step("training"):
            training = Training(choices, found, backbone, watcher, folder, reporter)
            outcome = training.run()
        part()
        training.encoder.save(folder / "model")
        with budget.step("the probe on the result"):
            gain = None if judgement is None else judgement.finish(backbone)
        write_record(folder, summarise(choices, found, training, outcome, gain, budget, started, folder))
        complete(folder, present)
    require_no_fault(out or folder)
    return out or folder


def _start(data: Any, plan: PretrainPlan, budget: Budget) -> tuple[Unlabelled, Choices, Backbone]:
    """List the data, load the backbone and settle what was left open; the same in every process."""
    with budget.step("listing the data"):
        found = read_unlabelled(data, plan.columns, plan.format, plan.seed)
    with budget.step("loading the backbone"):
        begun = initial_backbone(plan, found.examples)
        some = raws_of(found.examples, found.train[:: -(-len(found.train) // COUNTED)])
        found = replace(found, notes=(*found.notes, *begun.backbone.learn_decoding(some)))
        if begun.plan.weights == "random":
            begun.backbone.settle(some)
        return found, choose(begun.plan, found, begun.backbone, begun.decision), begun.backbone


def _judged_by(
    plan: PretrainPlan, data: Unlabelled, start: Backbone, reporter: Reporter
) -> tuple[Judgement | None, Watcher | None]:
    """The labelled sample with its probe on the start, and what watches the training by it; None without a sample."""
    if plan.labelled is None:
        return None, None
    sample, store = read_sample(plan.as_fit(), start, reporter), FeatureStore()
    judgement = Judgement.begin(plan.as_fit(), sample, start, data, store, reporter)
    return judgement, Watcher(sample, start, plan.seed)
