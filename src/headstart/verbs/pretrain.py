"""pretrain: inputs without labels in; a backbone, the course of its training and a report out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from headstart.contracts.backbone import Backbone
from headstart.contracts.format import Columns
from headstart.engine.launch import rank
from headstart.engine.process_group import part
from headstart.engine.store.feature_store import FeatureStore
from headstart.kernel.folders import cache_folder
from headstart.kernel.progress import Quiet, Reporter
from headstart.kernel.replacement import destination
from headstart.kernel.user_settings import build
from headstart.pipeline.claim import claimed, refuse_taken
from headstart.pipeline.clock import Clock
from headstart.pipeline.destination import require_apart_from_pictures, require_new_run
from headstart.pipeline.interrupted_training import require_whole
from headstart.pipeline.plan_file import write_plan
from headstart.pipeline.pretraining.choices import Choices, choose
from headstart.pipeline.pretraining.gain import Judgement, Watcher, read_sample
from headstart.pipeline.pretraining.initial_backbone import initial_backbone
from headstart.pipeline.pretraining.plan import PretrainPlan, read_plan
from headstart.pipeline.pretraining.run import PretrainedRun, write_record
from headstart.pipeline.pretraining.summary import summarise
from headstart.pipeline.pretraining.training import Training
from headstart.pipeline.pretraining.unlabelled import Unlabelled, read_unlabelled
from headstart.pipeline.repeated_plan import is_plan, repeated
from headstart.verbs.completion import complete, completed, is_over

COUNTED = 10_000
"""Inputs at most by which a backbone of random weights is settled."""


def pretrain(
    data: Any,
    *,
    out: Path | str | None = None,
    text: str | Sequence[str] = (),
    image: str | None = None,
    numeric: Sequence[str] = (),
    label: str | Sequence[str] | None = None,
    format: str | None = None,
    backbone: str = "auto",
    weights: str = "pretrained",
    objective: str = "auto",
    augmentation: str = "auto",
    labelled: Path | str | None = None,
    seed: int = 0,
    budget: float | None = None,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    overwrite: bool = False,
    reporter: Reporter | None = None,
) -> PretrainedRun:
    """Train a backbone on data without labels; the run's folder is a backbone for `fit`.

    Args:
        data: a folder of images in any layout, a table of texts, of image paths or of numbers, a pandas frame, a
            Hugging Face dataset, or the plan.toml of an earlier pretraining, which is repeated. Labels are not used.
        out: the run folder; `runs/NAME` without it. The same request resumes an unfinished run.
        text: text column, or two for pairs. image: column of image paths. numeric: columns of numbers.
        label: column of the labels in `labelled`. format: how the data lie; recognised without it.
        backbone: what is trained: a name, a folder or file, or a run, which goes on.
        weights: 'pretrained', 'random' to train from scratch, or a file for the architecture named by `backbone`.
        objective: what is learnt: a plug-in for data without labels; the one that suits data and backbone when 'auto'.
        augmentation: random views; those that the objective asks for when 'auto'.
        labelled: a labelled sample, perhaps of the same data, by which the result is judged: k-NN accuracy after each
            epoch, and the gain of a linear probe over the start. Nothing is learnt from its labels.
        seed: decides every random draw.
        budget: seconds of training at most, the look at the start included; as many of the epochs are planned as fit.
        settings: such as {"training": {"epochs": 20}, "objective": {"temperature": 0.1}}.
        overwrite: replace a run that lies in `out`, when the new one is whole.
        reporter: shows progress; silent without it.

    Returns:
        The finished run. Under a launcher such as torchrun this is so in the process of rank 0; the others train with
        it and then end by `SystemExit(0)`.

    Raises:
        HeadstartError: its subclasses say whether settings, data, backbone, run folder or training are at fault; a
            representation that has collapsed is a `TrainingError`. One that is broken off by a loss of NaN after an
            epoch was judged leaves a finished run all the same, which the message names.
    """
    said = {
        "data": str(data) if isinstance(data, (str, Path)) else f"<{type(data).__name__}>",
        "format": format,
        "columns": Columns(text=text, image=image, numeric=numeric, label=label),
        "backbone": backbone,
        "weights": weights,
        "objective": objective,
        "augmentation": augmentation,
        "labelled": None if labelled is None else str(labelled),
        "seed": seed,
        "budget": budget,
        "settings": {part: dict(values) for part, values in (settings or {}).items()},
    }
    plan = _settled(build(PretrainPlan, said, where="pretrain"))
    given = plan.data if is_plan(data) else data
    folder = None if out is None else Path(out)
    require_new_run(folder, plan, given, plan.labelled, plan.backbone, plan.weights)
    return run_plan(given, plan, folder, reporter or Quiet(), overwrite=overwrite)


def _settled(plan: PretrainPlan) -> PretrainPlan:
    """The plan that is carried out, or the one in the file that it names; checked."""
    if is_plan(plan.data):
        plan = repeated(plan, PretrainPlan(data=plan.data), read_plan, "pretrain")
    plan.check()
    return plan


def run_plan(
    data: Any, plan: PretrainPlan, out: Path | None, reporter: Reporter, *, overwrite: bool = False
) -> PretrainedRun:
    """Carry out a plan. Only the process of rank 0 returns, see `pretrain`."""
    if rank() > 0:
        if not is_over(out, plan, overwrite=overwrite):
            _join(data, plan)
        raise SystemExit(0)
    if (whole := completed(out, plan, reporter, overwrite=overwrite)) is not None:
        return PretrainedRun(whole)
    refuse_taken(out, plan, overwrite=overwrite)
    clock, started = Clock(), datetime.now(UTC).isoformat(timespec="seconds")
    found, choices, backbone = _ready(data, plan, clock)
    for note in found.notes:
        reporter.say(note[:1].upper() + note[1:])
    if out is not None:
        require_apart_from_pictures(out, found.examples, "the run")
    with claimed(out, plan, overwrite=overwrite) as (folder, resumes):
        if resumes:
            reporter.say(f"{destination(folder)} was stopped before its end: going on from there")
        write_plan(folder / "plan.toml", choices.plan.anchored(), choices.decisions)
        with clock.step("the probe on the start"):
            judgement, watcher = _judged_by(plan, found, backbone, reporter)
        with clock.step("training"):
            training = Training(choices, found, backbone, watcher, folder, reporter)
            course = training.run()
        part()
        training.encoder.save(folder / "model")
        with clock.step("the probe on the result"):
            gain = None if judgement is None else judgement.finish(backbone)
        write_record(folder, summarise(choices, found, training, course, gain, clock, started, folder))
        complete(folder)
    require_whole(course.progress, out or folder)
    return PretrainedRun(out or folder)


def _ready(data: Any, plan: PretrainPlan, clock: Clock) -> tuple[Unlabelled, Choices, Backbone]:
    """What there is before a folder is claimed; the same in every process."""
    with clock.step("listing the data"):
        found = read_unlabelled(data, plan.columns, plan.format, plan.seed)
    with clock.step("loading the backbone"):
        begun = initial_backbone(plan, found.examples)
        if begun.plan.weights == "random":
            begun.backbone.settle(found.examples.raws(found.train[:: -(-len(found.train) // COUNTED)]))
        return found, choose(begun.plan, found, begun.backbone, begun.decision), begun.backbone


def _judged_by(
    plan: PretrainPlan, data: Unlabelled, start: Backbone, reporter: Reporter
) -> tuple[Judgement | None, Watcher | None]:
    """The labelled sample with its probe on the start, and what watches the training by it; None without a sample."""
    if plan.labelled is None:
        return None, None
    sample, store = read_sample(plan.as_fit(), reporter), FeatureStore(cache_folder() / "features")
    judgement = Judgement.begin(plan.as_fit(), sample, start, data, store, reporter)
    return judgement, Watcher(sample, start, plan.seed)


def _join(data: Any, plan: PretrainPlan) -> None:
    """Train with the process of rank 0."""
    found, choices, backbone = _ready(data, plan, Clock())
    Training(choices, found, backbone, None, None, Quiet()).run()
    part()
