"""fit: labelled data and a pretrained model in; a model, its evidence and a report out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from headstart.contracts.backbone import Backbone
from headstart.contracts.format import Columns
from headstart.contracts.runner import Runner
from headstart.engine.frozen.extract import Extracted, FeatureSpec, extract
from headstart.engine.launch import rank
from headstart.engine.process_group import part
from headstart.engine.store.feature_store import FeatureStore
from headstart.kernel import registry
from headstart.kernel.folders import cache_folder
from headstart.kernel.progress import Quiet, Reporter
from headstart.kernel.replacement import destination
from headstart.kernel.user_settings import build
from headstart.pipeline.arms import predict_rows
from headstart.pipeline.batch_sources import pass_spec
from headstart.pipeline.budget import TimeBudget
from headstart.pipeline.claim import WORK, claimed, refuse_taken
from headstart.pipeline.clock import Clock
from headstart.pipeline.context import FitContext
from headstart.pipeline.continued_run import ContinuedRun, inherited
from headstart.pipeline.destination import require_apart_from_pictures, require_new_run
from headstart.pipeline.interrupted_training import require_whole
from headstart.pipeline.judge import judge
from headstart.pipeline.pass_time import too_long_a_pass
from headstart.pipeline.pick_runner import pick_runner, with_runner
from headstart.pipeline.plan import AUTO, Plan, read_plan
from headstart.pipeline.plan_file import write_plan
from headstart.pipeline.prepare import Prepared, without
from headstart.pipeline.record import Decision
from headstart.pipeline.repeated_plan import is_plan, repeated
from headstart.pipeline.run_folder import RunFolder, write_record
from headstart.pipeline.sequence import start
from headstart.pipeline.summary import summarise, write_test_rows
from headstart.pipeline.windows import in_windows
from headstart.search.train_arms import Arms, train_arms, with_search
from headstart.verbs.completion import complete, completed, is_over
from headstart.verbs.forgetting import forgetting, with_forgetting
from headstart.verbs.run import Run
from headstart.verbs.seeds import over_seeds


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
    objective: str | None = None,
    augmentation: str | None = None,
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
        domain: column that names the domain; every domain has figures of its own, and is a stream for objectives.
        slices: columns whose values get figures of their own.
        part: column that says train, val or test. format: how the data lie; recognised without it.
        task, backbone, tuning, objective, augmentation, runner: plug-ins by name; `headstart help FAMILY` lists them.
            Without `tuning` it is 'probe', with a `budget` 'auto': the best that is found in that time; with `from_run`
            that run's own where it trains by steps, else 'full'.
        weights: 'pretrained', 'random' or a file for the architecture named by `backbone`.
        from_run: a finished run whose backbone and head go on, on these data; task, columns, format and tuning that
            are left out here are as there, objective and augmentation are not. New classes widen the head. The run's
            test figures are shown before and after: what was forgotten.
        seed: decides every random draw, the split too where the data have none.
        seeds: fit as often, with seeds from `seed` on; the run then sums up those below it, in seed-0, seed-1, ...
        budget: seconds from where data and backbone are there to the final model, all baselines included; of several
            seeds each has as much.
        scratch: hold the model against training from scratch.
        settings: settings of the plug-ins, such as {"tuning": {"epochs": 3}}.
        overwrite: replace a run that lies in `out`, when the new one is whole.
        reporter: shows progress; silent without it.

    Returns:
        The finished run, its report written. Under a launcher such as torchrun this is so in the process of rank 0. The
        others share the frozen pass and the training with it and then end by `SystemExit(0)`, without a word, so that
        what a script does with its run is done once. A search, and a series of fits, train in rank 0 alone.

    Raises:
        HeadstartError: its subclasses say whether settings, data, backbone, run folder or training are at fault. A
            training that is broken off, as by a loss of NaN, after an epoch was judged leaves a finished run all the
            same, which the message names; `headstart.load` opens it.
    """
    columns = Columns(text=text, image=image, label=label, group=group, domain=domain, slices=slices, part=part)
    said = {
        "data": _name_of(data),
        "format": format,
        "columns": columns,
        "task": task,
        "backbone": backbone,
        "weights": weights,
        "runner": runner,
        "from_run": str(from_run.folder) if isinstance(from_run, RunFolder) else from_run and str(from_run),
        "seed": seed,
        "seeds": seeds,
        "budget": budget,
        "scratch": scratch,
        "settings": {family: dict(values) for family, values in (settings or {}).items()},
    }
    said |= _choices(tuning, objective, augmentation, searched=budget is not None and from_run is None)
    plan = _settled(build(Plan, said, where="fit"), tuning)
    folder = None if out is None else Path(out)
    given = plan.data if is_plan(data) else data
    require_new_run(folder, plan, given, plan.from_run, plan.backbone, plan.weights)
    return run_plan(given, plan, folder, reporter or Quiet(), overwrite=overwrite)


def _choices(
    tuning: str | None, objective: str | None, augmentation: str | None, *, searched: bool
) -> dict[str, str | None]:
    """What the user named, or left to a search; what is not in it is the plan's default."""
    chosen = AUTO if tuning is None and searched else tuning
    other = AUTO if chosen == AUTO else None
    found = {"tuning": chosen, "objective": objective or other, "augmentation": augmentation or other}
    return {key: name for key, name in found.items() if name is not None}


def _settled(plan: Plan, tuning: str | None) -> Plan:
    """The plan that is carried out: the one in the file that it names, or what it goes on from; checked."""
    if is_plan(plan.data):
        plan = repeated(plan, Plan(data=plan.data), read_plan, "fit")
    elif plan.from_run is not None:
        plan = inherited(plan, tuning)
    plan.check()
    return plan


def run_plan(data: Any, plan: Plan, out: Path | None, reporter: Reporter, *, overwrite: bool = False) -> Run:
    """Carry out a plan; its folder is claimed when data and backbone are there. Only rank 0 returns, see `fit`."""
    if rank() > 0:
        if not is_over(out, plan, overwrite=overwrite):
            join_fit(data, plan)
        raise SystemExit(0)
    if not _trains_together(plan):
        part()
    if (whole := completed(out, plan, reporter, overwrite=overwrite)) is not None:
        return Run(whole)
    if plan.seeds > 1:
        return Run(over_seeds(plan, out, partial(_one_seed, data, reporter), reporter, overwrite=overwrite))
    refuse_taken(out, plan, overwrite=overwrite)
    clock, started = Clock(), datetime.now(UTC).isoformat(timespec="seconds")
    begun = start(data, plan, reporter, clock)
    prepared, backbone, continued = begun.data, begun.backbone, begun.continued
    if out is not None:
        require_apart_from_pictures(out, prepared.examples, "the run")
    time_budget = TimeBudget(plan.budget)
    store = FeatureStore(cache_folder() / "features")
    with clock.step("choosing how to run it"):
        read = in_windows(prepared, backbone)
        spec, kept = pass_spec(backbone, read.task, read.examples, store)
        runner, reason = pick_runner(backbone, read.examples, read.keys, spec, plan, reporter)
        late = too_long_a_pass(read, backbone, spec, plan, store, time_budget, reporter)
    decisions = (*begun.decisions, *(found for found in (kept, reason, late) if found))
    with claimed(out, plan, overwrite=overwrite) as (folder, resumes):
        if resumes:
            reporter.say(f"{destination(folder)} was stopped before its end: going on from there")
        chosen = {"backbone": begun.reference, "task": registry.name_of(prepared.task)}

        def write(known: Plan, reasons: tuple[Decision, ...]) -> None:
            settled = with_runner(known.model_copy(update=chosen), runner).anchored()
            write_plan(folder / "plan.toml", settled, reasons)

        write(plan, decisions)
        with clock.step("the frozen pass"):
            features = frozen_pass(read, backbone, spec, runner, store, reporter)
            left = without(read, features.failures)
        data, windows = (left, None) if read is prepared else (prepared, left)
        head = None if continued is None else continued.head(data.task, backbone)
        context = FitContext(plan, data, backbone, features, folder / WORK, reporter, runner, store, windows, head)
        arms = train_arms(context, clock, time_budget)
        part()
        arms = replace(arms, decisions=(*decisions, *arms.decisions))
        write(arms.context.plan, arms.decisions)
        finish(arms, clock, time_budget.used(), started, folder, continued)
    if plan.tuning != AUTO:
        require_whole(arms.trained[0].progress, out or folder)
    return Run(out or folder)


def _one_seed(data: Any, reporter: Reporter, plan: Plan, folder: Path) -> Run:
    return run_plan(data, plan, folder, reporter)


def join_fit(data: Any, plan: Plan) -> None:
    """Do a part of what `run_plan` does in another process: of the frozen pass, and of every training by steps."""
    begun = start(data, plan, Quiet(), Clock())
    prepared, backbone, continued = begun.data, begun.backbone, begun.continued
    time_budget = TimeBudget(plan.budget)
    store = FeatureStore(cache_folder() / "features")
    read = in_windows(prepared, backbone)
    spec, _ = pass_spec(backbone, read.task, read.examples, store)
    runner, _ = pick_runner(backbone, read.examples, read.keys, spec, plan)
    features = frozen_pass(read, backbone, spec, runner, store, Quiet())
    if _trains_together(plan):
        left = without(read, features.failures)
        found, windows = (left, None) if read is prepared else (prepared, left)
        head = None if continued is None else continued.head(found.task, backbone)
        context = FitContext(plan, found, backbone, features, None, Quiet(), runner, store, windows, head)
        train_arms(context, Clock(), time_budget)
    part()


def _trains_together(plan: Plan) -> bool:
    """Whether all processes of a launcher train: a search or a series of fits is led by one clock, so by one alone."""
    if AUTO in (plan.tuning, plan.augmentation) or plan.seeds > 1:
        return False
    return plan.scratch or not plan.plugin("tuning").solved


def frozen_pass(
    prepared: Prepared, backbone: Backbone, spec: FeatureSpec, runner: Runner, store: FeatureStore, reporter: Reporter
) -> Extracted:
    """Every example through the frozen backbone."""
    return extract(backbone, prepared.examples, prepared.keys, spec, runner=runner, store=store, reporter=reporter)


def finish(arms: Arms, clock: Clock, used: float, started: str, folder: Path, continued: ContinuedRun | None) -> None:
    """Judge the arms, save the model and write record and report; the checkpoints go.

    `used` are the seconds from where data and backbone were there to the final model.
    """
    context, data = arms.context, arms.context.data
    with clock.step("judging on the test part"):
        rows = data.split.test
        predictions = {arm.key: predict_rows(context, arm, rows) for arm in arms.trained}
        examples, targets = data.examples.take(rows), data.targets_of(rows)
        judged = judge(data.task, examples, targets, predictions, data.groups_of(rows), context.plan.seed)
    with clock.step("saving the model"):
        arms.trained[0].model.save(folder / "model")
        write_test_rows(folder, data, predictions["model"])
    forgot = None
    if continued is not None:
        with clock.step("judging on the old test part"):
            forgot = forgetting(continued.run, arms.trained[0].model, continued.leaked(data), context.reporter)
    record = with_search(summarise(context, arms.trained, judged, arms.decisions, clock, started, folder), arms, used)
    write_record(folder, record if forgot is None else with_forgetting(record, forgot))
    complete(folder)


def _name_of(data: Any) -> str:
    if isinstance(data, (str, Path)):
        return str(data)
    return f"<{type(data).__name__} of {len(data)} rows>" if hasattr(data, "__len__") else f"<{type(data).__name__}>"
