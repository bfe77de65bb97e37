"""fit: labelled data and a pretrained model in; a model, its evidence and a report out."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from headstart.contracts.backbone import Backbone
from headstart.contracts.format import Columns
from headstart.contracts.runner import Runner
from headstart.engine.extract import Extracted, Wish, extract
from headstart.engine.feature_store import FeatureStore
from headstart.engine.launch import rank
from headstart.kernel import registry
from headstart.kernel.errors import SettingsError, TrainingError
from headstart.kernel.folders import cache_folder
from headstart.kernel.progress import Quiet, Reporter
from headstart.kernel.settings import build
from headstart.product.arms import Trained, predict_rows, solve_arm, train_arm
from headstart.product.bench import Bench
from headstart.product.choose_backbone import choose_backbone
from headstart.product.claim import WORK, claimed, refuse_taken
from headstart.product.clock import Clock
from headstart.product.forgetting import forgetting, with_forgetting
from headstart.product.further import Further, inherited, prepare_further
from headstart.product.judge import judge
from headstart.product.pick_runner import pick_runner, with_runner
from headstart.product.pieces import in_pieces
from headstart.product.plan import Plan, read_plan, write_plan
from headstart.product.prepare import Prepared, without
from headstart.product.record import Decision
from headstart.product.report.write import report
from headstart.product.run import Run
from headstart.product.run_folder import RunFolder, write_record
from headstart.product.seeds import over_seeds
from headstart.product.sources import pass_wish
from headstart.product.suit_backbone import suited
from headstart.product.summary import summarise, write_test_rows

SCRATCH_SECONDS = 60.0
"""What training from scratch gets at least when no budget was given."""


def fit(
    data: Any,
    *,
    out: Path | str | None = None,
    text: str | Sequence[str] = (),
    image: str | None = None,
    label: str | Sequence[str] | None = None,
    group: str | None = None,
    domain: str | None = None,
    slices: str | Sequence[str] = (),
    part: str | None = None,
    format: str | None = None,
    task: str = "auto",
    backbone: str = "auto",
    weights: str = "pretrained",
    tuning: str | None = None,
    objective: str = "supervised",
    augmentation: str = "none",
    runner: str = "auto",
    from_run: Path | str | RunFolder | None = None,
    seed: int = 0,
    seeds: int = 1,
    budget: float | None = None,
    scratch: bool = True,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    overwrite: bool = False,
    reporter: Reporter | None = None,
) -> Run:
    """Adapt a pretrained model to labelled data and judge it honestly.

    Args:
        data: a folder of images, a table (CSV, TSV, Parquet, JSON Lines), a pandas frame, a Hugging Face dataset, or
            the plan.toml of an earlier run, which is repeated.
        out: the run folder; `runs/NAME` without it. The same request resumes an unfinished run.
        text: text column, or two for pairs. image: column of image paths. label: target column, or several of 0 and 1.
        group: column (or regular expression over image paths) of what must not be split.
        domain: column that names the domain. slices: columns whose values get figures of their own.
        part: column that says train, val or test. format: how the data lie; recognised without it.
        task, backbone, tuning, objective, augmentation, runner: plug-ins by name; `headstart help FAMILY` lists them.
            Without `tuning` it is 'probe'; with `from_run` that run's own where it trains by steps, else 'full'.
        weights: 'pretrained', 'random' or a file for the architecture named by `backbone`.
        from_run: a finished run whose backbone and head go on, on these data; what is left out here is as there. New
            classes widen the head. The run's test figures are shown before and after: what was forgotten.
        seed: decides every random draw, the split too where the data have none.
        seeds: fit as often, with seeds from `seed` on; the run then sums up those below it, in seed-0, seed-1, ...
        budget: seconds that each training by steps may take.
        scratch: hold the model against training from scratch.
        settings: settings of the plug-ins, such as {"tuning": {"epochs": 3}}.
        overwrite: replace a run that lies in `out`.
        reporter: shows progress; silent without it.

    Returns:
        The finished run, its report written. Under a launcher such as torchrun this is so in the process of rank 0. The
        others share the frozen pass with it and then end by `SystemExit(0)`, without a word, so that what a script does
        with its run is done once.

    Raises:
        HeadstartError: its subclasses say whether settings, data, backbone, run folder or training are at fault.
    """
    columns = Columns(text=text, image=image, label=label, group=group, domain=domain, slices=slices, part=part)
    said = {
        "data": _name_of(data),
        "format": format,
        "columns": columns,
        "task": task,
        "backbone": backbone,
        "weights": weights,
        "objective": objective,
        "augmentation": augmentation,
        "runner": runner,
        "from_run": str(from_run.folder) if isinstance(from_run, RunFolder) else from_run and str(from_run),
        "seed": seed,
        "seeds": seeds,
        "budget": budget,
        "scratch": scratch,
        "settings": {family: dict(values) for family, values in (settings or {}).items()},
    }
    plan = build(Plan, said if tuning is None else {**said, "tuning": tuning}, where="fit")
    if Path(plan.data).suffix == ".toml":
        plan = _repeated(plan)
        data = plan.data
    elif plan.from_run is not None:
        plan = inherited(plan, tuning)
    plan.check()
    folder = None if out is None else Path(out)
    return run_plan(data, plan, folder, reporter or Quiet(), overwrite=overwrite)


def _repeated(plan: Plan) -> Plan:
    if plan != Plan(data=plan.data):
        raise SettingsError(
            f"{plan.data} is a plan and says everything itself: edit it, or leave the other settings out"
        )
    repeated = read_plan(Path(plan.data))
    if repeated.data.startswith("<"):
        raise SettingsError(f"{plan.data} is of data handed over in memory ({repeated.data}): give them to fit again")
    return repeated


def run_plan(data: Any, plan: Plan, out: Path | None, reporter: Reporter, *, overwrite: bool = False) -> Run:
    """Carry out a plan; its folder is claimed when data and backbone are there. Only rank 0 returns, see `fit`."""
    if rank() > 0:
        join_frozen_pass(data, plan)
        raise SystemExit(0)
    if plan.seeds > 1:
        return Run(over_seeds(plan, out, partial(_one_seed, data, reporter), reporter, overwrite=overwrite))
    refuse_taken(out, plan, overwrite=overwrite)
    clock, started = Clock(), datetime.now(UTC).isoformat(timespec="seconds")
    with clock.step("reading and splitting the data"):
        prepared, further = prepare_further(data, plan, reporter)
    with clock.step("loading the backbone"):
        backbone, reference, decision = choose_backbone(prepared.examples, plan)
        backbone = suited(backbone, prepared.task)
    store = FeatureStore(cache_folder() / "features")
    with clock.step("choosing how to run it"):
        read = in_pieces(prepared, backbone)
        wish, kept = pass_wish(backbone, read.task, read.examples, store)
        runner, reason = pick_runner(backbone, read.examples, read.keys, wish, plan, reporter)
    decisions = (*prepared.decisions, *(found for found in (decision, kept, reason) if found))
    with claimed(out, plan, overwrite=overwrite) as (folder, resumes):
        if resumes:
            reporter.say(f"{folder} was stopped before its end: going on from there")
        chosen = {"backbone": reference, "task": registry.name_of(prepared.task)}  # type: ignore[arg-type]
        write_plan(folder / "plan.toml", with_runner(plan.model_copy(update=chosen), runner).anchored(), decisions)
        with clock.step("the frozen pass"):
            features = frozen_pass(read, backbone, wish, runner, store, reporter)
            left = without(read, features.failures)
        data, pieces = (left, None) if read is prepared else (prepared, left)
        head = None if further is None else further.head(data.task, backbone)
        bench = Bench(plan, data, backbone, features, folder / WORK, reporter, runner, store, pieces, head)
        arms, more = train_arms(bench, clock)
        finish(bench, arms, (*decisions, *more), clock, started, folder, further)
    return Run(folder)


def _one_seed(data: Any, reporter: Reporter, plan: Plan, folder: Path) -> Run:
    return run_plan(data, plan, folder, reporter)


def join_frozen_pass(data: Any, plan: Plan) -> None:
    """Do a part of what `run_plan` does first in another process: the two share it through the feature store."""
    prepared, _ = prepare_further(data, plan, Quiet())
    backbone = suited(choose_backbone(prepared.examples, plan)[0], prepared.task)
    store = FeatureStore(cache_folder() / "features")
    prepared = in_pieces(prepared, backbone)
    wish, _ = pass_wish(backbone, prepared.task, prepared.examples, store)
    runner, _ = pick_runner(backbone, prepared.examples, prepared.keys, wish, plan)
    frozen_pass(prepared, backbone, wish, runner, store, Quiet())


def frozen_pass(
    prepared: Prepared, backbone: Backbone, wish: Wish, runner: Runner, store: FeatureStore, reporter: Reporter
) -> Extracted:
    """Every example through the frozen backbone."""
    return extract(backbone, prepared.examples, prepared.keys, wish, runner=runner, store=store, reporter=reporter)


def finish(
    bench: Bench,
    arms: list[Trained],
    decisions: tuple[Decision, ...],
    clock: Clock,
    started: str,
    folder: Path,
    further: Further | None,
) -> None:
    """Judge the arms, save the model and write the record; the checkpoints go."""
    data = bench.data
    with clock.step("judging on the test part"):
        rows = data.split.test
        predictions = {arm.key: predict_rows(bench, arm, rows) for arm in arms}
        examples, targets = data.examples.take(rows), data.targets_of(rows)
        judged = judge(data.task, examples, targets, predictions, data.groups_of(rows), bench.plan.seed)
    with clock.step("saving the model"):
        arms[0].model.save(folder / "model")
        write_test_rows(folder, data, predictions["model"])
    forgot = None
    if further is not None:
        with clock.step("judging on the old test part"):
            forgot = forgetting(further.run, arms[0].model, further.leaked(data), bench.reporter)
    record = summarise(bench, arms, judged, decisions, clock, started, folder)
    write_record(folder, record if forgot is None else with_forgetting(record, forgot))
    report(folder)
    shutil.rmtree(folder / WORK, ignore_errors=True)


def train_arms(bench: Bench, clock: Clock) -> tuple[list[Trained], list[Decision]]:
    """The model asked for first, then the baselines it is held against, and why a baseline is missing."""
    plan, tuning = bench.plan, bench.plan.plugin("tuning")
    arms: list[Trained] = []
    decisions: list[Decision] = []
    with clock.step("the probe"):
        probe = solve_arm(bench, "model" if tuning.solved else "probe")
    if not tuning.solved:
        with clock.step(f"training ({plan.tuning})"):
            arms.append(
                train_arm(bench, "model", tuning, f"{plan.tuning} tuning of {bench.backbone.name}", plan.budget)
            )
    arms.append(probe)
    reason = _why_no_scratch(bench, tuning)
    if reason:
        decisions.append(Decision(what="training from scratch", value="left out", reason=reason))
        return arms, decisions
    budget = plan.budget or max(SCRATCH_SECONDS, arms[0].seconds if not tuning.solved else 0.0)
    if plan.budget is None:
        reason = "as long as the model itself took, and at least a minute; --budget changes it"
        decisions.append(Decision(what="time for training from scratch", value=f"{budget:.0f} s", reason=reason))
    with clock.step("training from scratch"):
        title = f"{bench.backbone.name} from scratch"
        try:
            arms.append(train_arm(bench, "scratch", plan.scratch_recipe(), title, budget))
        except TrainingError as error:
            decisions.append(Decision(what="training from scratch", value="left out", reason=f"it failed: {error}"))
    return arms, decisions


def _why_no_scratch(bench: Bench, tuning: Any) -> str:
    if not bench.plan.scratch:
        return "--no-scratch was given"
    if tuning.start == "random":
        return "the model itself is trained from scratch"
    if not any(True for _ in bench.backbone.module.parameters()):
        return "the backbone has no weights"
    if not len(bench.data.split.val):
        return "there is no validation part to choose its learning rate on"
    return ""


def _name_of(data: Any) -> str:
    if isinstance(data, (str, Path)):
        return str(data)
    return f"<{type(data).__name__} of {len(data)} rows>" if hasattr(data, "__len__") else f"<{type(data).__name__}>"
