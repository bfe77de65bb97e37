"""fit: labelled data and a pretrained model in; a model, its evidence and a report out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from headstart.contracts.format import Columns
from headstart.engine.launch import rank
from headstart.engine.process_group import part
from headstart.kernel.errors import SettingsError
from headstart.kernel.progress import Quiet, Reporter
from headstart.kernel.user_settings import build
from headstart.pipeline.backbone_columns import with_columns_of_run
from headstart.pipeline.completion import completed
from headstart.pipeline.continued_run import inherited
from headstart.pipeline.data import EachATask, Given, Several
from headstart.pipeline.destination import require_new_run
from headstart.pipeline.fit_run import run_fit
from headstart.pipeline.plan import HEAD_BY_STEPS, Plan, read_plan
from headstart.pipeline.plan_file import AUTO, is_plan, repeated
from headstart.pipeline.run_folder import RunFolder
from headstart.pipeline.seeds import over_seeds
from headstart.pipeline.several_domains import several
from headstart.present.report.write import report
from headstart.search.adapt_arms import adapt_arms
from headstart.search.train_arms import train_arms
from headstart.verbs.run import Run


def fit(
    data: Any,
    *,
    out: Path | str | None = None,
    text: str | Sequence[str] = (),
    image: str | None = None,
    numeric: str | Sequence[str] = (),
    categorical: str | Sequence[str] = (),
    date: str | Sequence[str] = (),
    leave_out: str | Sequence[str] = (),
    label: str | Sequence[str] | None = None,
    group: str | None = None,
    domain: str | None = None,
    slices: str | Sequence[str] = (),
    part: str | None = None,
    joint: bool = False,
    format: str | None = None,
    task: str = "auto",
    backbone: str = "auto",
    weights: str = "pretrained",
    tuning: str | None = None,
    objective: str | None = None,
    augmentation: str | None = None,
    runner: str = "auto",
    from_run: Path | str | RunFolder | None = None,
    target: Any = None,
    target_labels: Any = None,
    source: Any = None,
    items: Any = None,
    keep: Path | str | None = None,
    seed: int = 0,
    seeds: int = 1,
    budget: float | None = None,
    scratch: bool = True,
    label_curve: bool = True,
    layers: bool = False,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    overwrite: bool = False,
    reporter: Reporter | None = None,
) -> Run:
    """Adapt a pretrained model to labelled data and judge it honestly.

    Args:
        data: a folder of images, a table (CSV, TSV, Parquet, JSON Lines), a pandas frame, a Hugging Face dataset, or
            the plan.toml of an earlier run, which is repeated. Folders, tables or frames in a list are put together,
            each as a domain with figures of its own.
        out: the run folder; `runs/NAME` without it. The same request resumes an unfinished run.
        text: text column, or two for pairs. image: column of image paths. label: target column, or several: of 0
            and 1 for each label, or each a task of its own, in which labels may be missing.
        numeric: columns of numbers; then only the columns that are named are inputs. categorical, date: columns that
            are taken as such, whatever they hold. leave_out: columns of a table that are not inputs.
        group: column (or regular expression over image paths) of what must not be split.
        domain: column that names the domain; every domain has figures of its own, and is a stream for objectives.
        slices: columns whose values get figures of their own.
        joint: each of several data sets is a task of its own on one backbone; with a label for each, in their order.
        part: column that says train, val or test. format: how the data lie; recognised without it.
        task, backbone, tuning, objective, augmentation, runner: plug-ins by name; `headstart help FAMILY` lists them.
            Without `tuning` it is 'probe', with head settings 'head_only', with a `budget` 'auto': the best that is
            found in that time; with `from_run` that run's own where it trains by steps, else 'full'.
            A `backbone` 'auto' with a `budget` is the best of those on this machine by a ranking on the training part.
        weights: 'pretrained', 'random' or a file for the architecture named by `backbone`.
        from_run: a finished run whose backbone and head go on, on these data; task, columns, format and tuning that
            are left out here are as there, objective and augmentation are not. New classes widen the head. The run's
            test figures are shown before and after: what was forgotten.
        target: inputs of another domain, given as `data` are. The model is adapted to them where evidence without their
            labels supports that, and is that of the source alone where it does not; none of their labels is read.
        target_labels: a few labelled examples of the target, beside `target`.
        source: interactions of another domain with users in common, which recommendations may learn from; a run on such
            interactions can be given as the `backbone` instead.
        items: a table of the items, by which recommendations reach new ones and domains without users in common.
        keep: labelled examples of a domain that the model knows, as one that translates does, read as `data` are: it is
            scored there before and after.
        seed: decides every random draw, the split too where the data have none.
        seeds: fit as often, with seeds from `seed` on; the run then sums up those below it, in seed-0, seed-1, ...
        budget: seconds from where data and backbone are there to the final model, all baselines included; of several
            seeds each has as much.
        scratch: hold the model against training from scratch.
        label_curve: forecast what the probe would reach with more labels, by probes on subsets of those that there are.
        layers: probe every stage of the frozen backbone, to see where knowledge that transfers ends.
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
    named = {"text": text, "image": image, "label": label, "numeric": numeric, "categorical": categorical, "date": date}
    named |= {"leave_out": leave_out, "group": group, "domain": domain, "slices": slices, "part": part}
    given = Given(_together(data, joint=joint), target, target_labels, source, items)
    said: dict[str, Any] = {**_names_of(given), "format": format, "task": task, "from_run": _path_of(from_run)}
    said |= {"backbone": backbone, "weights": weights, "runner": runner, "seed": seed, "seeds": seeds, "budget": budget}
    said |= {"scratch": scratch, "label_curve": label_curve, "layers": layers, "columns": Columns(**named)}
    said |= {"keep": _path_of(keep), **_choices(tuning, objective, augmentation, settings or {}, said)}
    plan, folder = _settled(build(Plan, said, where="fit"), tuning), None if out is None else Path(out)
    given = _of_new_run(plan.given() if is_plan(data) else given, plan, folder)
    return run_plan(given, plan, folder, reporter or Quiet(), overwrite=overwrite)


def _together(data: Any, *, joint: bool) -> Any:
    """The data; several data sets are marked as such. Raises SettingsError where one is to be several tasks."""
    if joint and not several(data):
        raise SettingsError(
            "--joint makes a task of each of several data sets, and one was given. Give several --label."
        )
    return (EachATask if joint else Several)(data) if several(data) else data


def _of_new_run(given: Given, plan: Plan, folder: Path | None) -> Given:
    """The data, where a run with them may lie in the folder. Raises RunError."""
    require_new_run(folder, plan, *given, plan.from_run, plan.backbone, plan.weights)
    return given


def _choices(
    tuning: str | None,
    objective: str | None,
    augmentation: str | None,
    settings: Mapping[str, Mapping[str, Any]],
    said: Mapping[str, Any],
) -> dict[str, Any]:
    """Choices that the user named or left to a search, and the settings; the rest is the plan's default."""
    searched, headed = said["budget"] is not None, bool(settings.get("head"))
    free = tuning is None and said["from_run"] is None
    chosen = AUTO if free and searched else HEAD_BY_STEPS if free and headed else tuning
    other = AUTO if chosen == AUTO else None
    found = {"tuning": chosen, "objective": objective or other, "augmentation": augmentation or other}
    named = {key: name for key, name in found.items() if name is not None}
    return {**named, "settings": {family: dict(values) for family, values in settings.items()}}


def _settled(plan: Plan, tuning: str | None) -> Plan:
    """The plan that is carried out: the one in the file that it names, or what it goes on from; checked."""
    if is_plan(plan.data):
        plan = repeated(plan, Plan(data=plan.data), read_plan, "fit")
    elif plan.from_run is not None:
        plan = inherited(plan, tuning)
    else:
        plan = with_columns_of_run(plan)
    plan.check()
    return plan


def run_plan(given: Given, plan: Plan, out: Path | None, reporter: Reporter, *, overwrite: bool = False) -> Run:
    """Carry out a plan. Only rank 0 returns, see `fit`."""
    if plan.seeds == 1 or rank() > 0:
        train = train_arms if plan.target is None else adapt_arms
        return Run(run_fit(given, plan, out, reporter, train, report, overwrite=overwrite))
    part()
    if (whole := completed(out, plan, reporter, report, overwrite=overwrite)) is not None:
        return Run(whole)
    one_seed = partial(run_plan, given, reporter=reporter)
    return Run(over_seeds(plan, out, one_seed, reporter, report, overwrite=overwrite))


def _names_of(given: Given) -> dict[str, Any]:
    """The fields of a plan that name its data."""
    first, *more = given.data if isinstance(given.data, Several) else (given.data,)
    beside = {
        "target": given.target,
        "target_labels": given.target_labels,
        "source_data": given.source,
        "items_data": given.items,
    }
    named = {field: None if one is None else _name_of(one) for field, one in beside.items()}
    joint = isinstance(given.data, EachATask)
    return {"data": _name_of(first), **named, "more_data": tuple(map(_name_of, more)), "joint": joint}


def _path_of(given: Path | str | RunFolder | None) -> str | None:
    return None if given is None else str(given.folder if isinstance(given, RunFolder) else given)


def _name_of(data: Any) -> str:
    if isinstance(data, (str, Path)):
        return str(data)
    return f"<{type(data).__name__} of {len(data)} rows>" if hasattr(data, "__len__") else f"<{type(data).__name__}>"
