"""One fit over several seeds: what its figures owe to chance.

A seed decides every draw of a run: the split where the data have none, first weights, order, views, folds. The inputs
are the same, so the frozen pass is made once and shared through the store. Each seed has a run folder of its own below
the common one; what is finished is not made again.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import stdev

import numpy as np

from headstart.contracts.figures import Figure
from headstart.evidence.comparison import judged
from headstart.evidence.over_runs import mean_over_runs
from headstart.kernel.errors import RunError
from headstart.kernel.progress import Reporter
from headstart.kernel.replacement import destination
from headstart.pipeline.claim import claimed, is_done, refuse_taken
from headstart.pipeline.completion import Present
from headstart.pipeline.judge import figure_row
from headstart.pipeline.plan import Plan
from headstart.pipeline.plan_file import write_plan
from headstart.pipeline.record import Arm, Comparison, Decision, FigureRow, RunRecord, SliceRow
from headstart.pipeline.resampled_figures import read_resamples
from headstart.pipeline.run_folder import RunFolder, write_record
from headstart.pipeline.selection.automatic import STEP
from headstart.pipeline.verdict import bounded, for_target, over_adaptations, verdict, why_no_scratch

One = Callable[[Plan, Path], RunFolder]
"""Carries out the plan of one seed in a folder."""


def over_seeds(
    plan: Plan, out: Path | None, one: One, reporter: Reporter, present: Present, *, overwrite: bool
) -> Path:
    """Fit `plan.seeds` times and sum up; the common folder, with plan, record and report.

    Raises:
        RunError: the folder is taken, or the data changed while the seeds ran.
    """
    refuse_taken(out, plan, overwrite=overwrite)
    with claimed(out, plan, overwrite=overwrite) as (folder, _):
        runs: list[RunFolder] = []
        for seed in range(plan.seed, plan.seed + plan.seeds):
            single, where = _single(plan, seed, runs), folder / f"seed-{seed}"
            if is_done(where, single):
                reporter.say(f"{destination(where)} is there already")
                runs.append(RunFolder(where))
            else:
                reporter.say(f"Seed {seed}, {len(runs) + 1} of {plan.seeds}")
                runs.append(one(single, where))
        _require_same_data(runs)
        write_plan(folder / "plan.toml", plan.anchored(), ())
        write_record(folder, sum_up(runs, folder, _overlap(runs)))
        present(folder)
    return out or folder


def _single(plan: Plan, seed: int, runs: Sequence[RunFolder]) -> Plan:
    """The plan of one seed; what was measured or found for the first one holds for all.

    Not so where backbones were ranked on its training part, which has test examples of other seeds in it.
    """
    single = plan.model_copy(update={"seed": seed, "seeds": 1})
    if not runs or STEP in runs[0].record.times:
        return single
    first = runs[0].plan
    settings = {**plan.settings, "runner": first.settings.get("runner", {})}
    return single.model_copy(update={"backbone": first.backbone, "runner": first.runner, "settings": settings})


def _require_same_data(runs: Sequence[RunFolder]) -> None:
    """A run that was finished before the data changed says nothing about the others."""
    for run in runs[1:]:
        same = run.parts.keys() == runs[0].parts.keys() and _classes(run.record) == _classes(runs[0].record)
        if not same:
            raise RunError(
                f"the data of {runs[0].folder} and {run.folder} are not the same: they changed in between. Give "
                "--overwrite to make all seeds anew."
            )


def _classes(record: RunRecord) -> Counter[str]:
    return sum((Counter(part.classes) for part in record.data.parts), Counter())


def _overlap(runs: Sequence[RunFolder]) -> float:
    """Test examples per example that is not one, where each seed drew its own split; 0 where the data have one."""
    tests = [{key for key, part in run.parts.items() if part == "test"} for run in runs]
    if all(test == tests[0] for test in tests):
        return 0.0
    return len(tests[0]) / (len(runs[0].parts) - len(tests[0]))


def sum_up(runs: Sequence[RunFolder], folder: Path, overlap: float = 0.0) -> RunRecord:
    """Sum up runs that differ in their seed.

    Args:
        runs: at least two, with the same metrics and arms.
        folder: of the record.
        overlap: test examples per other example, where each run split the same data anew; 0 where the test part is one.

    Returns:
        A record whose figures are means over the runs with an interval over seeds and test examples.

    Raises:
        RunError: fewer than two runs.
    """
    if len(runs) < 2:
        raise RunError(f"summing up needs at least two runs, got {len(runs)}")
    records = [run.record for run in runs]
    first = records[0]
    shared = [key for key in first.arms if all(key in record.arms for record in records)]
    resampled = read_resamples([run.folder for run in runs])
    arms = {key: _mean_arm(key, records, overlap, resampled) for key in shared}
    comparisons = bounded([_paired(key, records, overlap, resampled) for key in shared if key != "model"], arms)
    words, negative = _verdict(records, arms, comparisons)
    return first.model_copy(
        update={
            "name": destination(folder).name,
            "adaptation": None,
            "verdict": words,
            "negative_transfer": negative,
            "arms": arms,
            "comparisons": comparisons,
            "slices": tuple(_one_run(record) for record in records),
            "worst_slice": "",
            "panels": (),
            "mistakes": (),
            "decisions": (*first.decisions, _explanation(len(runs), overlap, bool(resampled))),
            "forgetting": None,
            "label_curve": None,
            "model_hash": "",
            "tuned": "",
            "runs": tuple(os.path.relpath(run.folder, folder) for run in runs),
            "spreads": {key: _spreads(key, records) for key in shared},
            "times": {f"run {number}": sum(r.times.values()) for number, r in enumerate(records, start=1)},
        }
    )


def _verdict(
    records: Sequence[RunRecord], arms: Mapping[str, Arm], comparisons: Sequence[Comparison]
) -> tuple[str, bool]:
    """The sentences on all runs, and whether transfer did harm."""
    first, cut = records[0], sum(bool(record.cut_off) for record in records)
    info = first.info(first.primary_metric)
    if first.adaptation is not None:
        sentence = over_adaptations([record.adaptation for record in records if record.adaptation is not None])
        adapted = first.adaptation.model_copy(update={"sentence": sentence})
        return for_target(first.primary_metric, info, arms, adapted), False
    return verdict(
        first.primary_metric,
        info,
        arms,
        comparisons,
        unit="seeds",
        no_scratch=_why_no_scratch(records),
        cut_off=f"CUT OFF by the budget in {cut} of {len(records)} runs." if cut else "",
    )


def _why_no_scratch(records: Sequence[RunRecord]) -> str:
    """The reason of the first run that has none, and how many have none where others do."""
    without = [record for record in records if "scratch" not in record.arms]
    why = why_no_scratch(without[0].decisions) if without else ""
    return (
        why if len(without) == len(records) else f"{len(without)} of {len(records)} runs have no such training: {why}"
    )


def _mean_arm(key: str, records: Sequence[RunRecord], overlap: float, resampled: Mapping[str, np.ndarray]) -> Arm:
    arms = [record.arms[key] for record in records]
    figures = {}
    for name in arms[0].figures:
        info = records[0].info(name)
        low = -math.inf if info.least is None else info.least
        high = math.inf if info.greatest is None else info.greatest
        runs = [_figure(arm.figures[name]) for arm in arms]
        found = figure_row(mean_over_runs(runs, overlap, resampled.get(f"{key}/{name}")))
        figures[name] = found.model_copy(update={"low": max(found.low, low), "high": min(found.high, high)})
    short = [arm.shortcoming for arm in arms if arm.shortcoming]
    return arms[0].model_copy(
        update={
            "title": " or ".join(dict.fromkeys(arm.title for arm in arms)),
            "shortcoming": f"{short[0]} in {len(short)} of {len(arms)} runs" if short else "",
            "cut_off": next((arm.cut_off for arm in arms if arm.cut_off), ""),
            "figures": figures,
            "history": (),
            "chosen": {},
            "stopped": f"{len(arms)} runs, each with its own report",
            "seconds": sum(a.seconds for a in arms),
        }
    )


def _spreads(key: str, records: Sequence[RunRecord]) -> dict[str, float]:
    """Metric -> standard deviation over the runs; without those that are undefined in some run."""
    arms = [record.arms[key] for record in records]
    found = {name: [arm.figures[name].value for arm in arms] for name in arms[0].figures}
    return {name: stdev(values) for name, values in found.items() if all(map(math.isfinite, values))}


def _paired(key: str, records: Sequence[RunRecord], overlap: float, resampled: Mapping[str, np.ndarray]) -> Comparison:
    metric = records[0].primary_metric
    sign = -1 if records[0].info(metric).greater_is_better is False else 1
    model, other = (resampled.get(f"{arm}/{metric}") for arm in ("model", key))
    replicates = None if model is None or other is None else model - other
    runs = [_difference(record, key, metric, sign) for record in records]
    found = judged(mean_over_runs(runs, overlap, replicates))
    return Comparison(against=key, metric=metric, difference=figure_row(found.figure), verdict=found.verdict)


def _difference(record: RunRecord, key: str, metric: str, sign: int) -> Figure:
    """Difference in one run; without an interval where the run did not compare the two."""
    own = (one.difference for one in record.comparisons if (one.against, one.metric) == (key, metric))
    if (row := next(own, None)) is not None:
        return _figure(row)
    model, other = record.arms["model"].figures[metric], record.arms[key].figures[metric]
    return Figure(sign * (model.value - other.value), math.nan, math.nan, model.n)


def _figure(row: FigureRow) -> Figure:
    return Figure(row.value, row.low, row.high, row.n, row.reason)


def _one_run(record: RunRecord) -> SliceRow:
    figures = record.arms["model"].figures
    return SliceRow(column="seeds", value=str(record.seed), n=figures[record.primary_metric].n, figures=figures)


def _explanation(runs: int, overlap: float, resampled: bool) -> Decision:
    reason = f"a t interval over {runs} paired runs, which differ in their seed"
    if resampled:
        reason += ", and over other test examples, by resampling those of all runs together"
    elif overlap:
        reason += "; their splits differ but share most of the data, so it is widened as in Nadeau & Bengio (2003)"
    else:
        reason += ", and over other examples, by the mean width of the runs' own intervals on the one test part"
    return Decision(what="intervals", value=f"over {runs} seeds", reason=reason)
