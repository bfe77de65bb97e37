"""A study: several runs of one question - label draws, seeds - as one record with intervals over the runs."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from statistics import stdev

from headstart.evidence.comparison import paired_over_draws
from headstart.kernel.errors import RunError
from headstart.kernel.replacement import destination
from headstart.pipeline.judge import figure_row
from headstart.pipeline.record import Arm, Comparison, Decision, RunRecord, SliceRow
from headstart.pipeline.run_folder import RunFolder, write_record
from headstart.pipeline.verdict import verdict
from headstart.present.report.write import report


def study(
    runs: Sequence[RunFolder],
    folder: Path,
    *,
    of: str,
    overlap: float = 0.0,
) -> tuple[RunRecord, Path]:
    """Sum up runs that differ in one thing, write the record and its report to `folder`.

    Args:
        runs: at least two, with the same metrics and arms.
        folder: where record.json, metrics.json and report.html go.
        of: what the runs differ in: 'label draws', 'seeds'.
        overlap: test examples per other example, where each run split the same data anew; 0 where the test part is one.

    Returns:
        The record, whose figures are means over the runs with a t interval, and the report's file.

    Raises:
        RunError: fewer than two runs.
    """
    if len(runs) < 2:
        raise RunError(f"a study needs at least two runs, got {len(runs)}")
    records = [run.record for run in runs]
    first = records[0]
    shared = [key for key in first.arms if all(key in record.arms for record in records)]
    arms = {key: _mean_arm(key, records, overlap) for key in shared}
    comparisons = tuple(_paired(key, records, overlap) for key in shared if key != "model")
    words, negative = verdict(first.primary_metric, first.info(first.primary_metric), arms, comparisons, unit=of)
    record = first.model_copy(
        update={
            "name": destination(folder).name,
            "verdict": words,
            "negative_transfer": negative,
            "arms": arms,
            "comparisons": comparisons,
            "slices": tuple(_one_run(number, record, of) for number, record in enumerate(records, start=1)),
            "worst_slice": "",
            "panels": (),
            "mistakes": (),
            "decisions": (*first.decisions, _explanation(len(runs), of, overlap)),
            "forgetting": None,
            "model_hash": "",
            "runs": tuple(os.path.relpath(run.folder, folder) for run in runs),
            "spreads": {key: _spreads(key, records) for key in shared},
            "times": {f"run {number}": sum(r.times.values()) for number, r in enumerate(records, start=1)},
        }
    )
    write_record(folder, record)
    return record, report(folder)


def _mean_arm(key: str, records: Sequence[RunRecord], overlap: float) -> Arm:
    arms = [record.arms[key] for record in records]
    figures = {}
    for name in arms[0].figures:
        info = records[0].info(name)
        low = -math.inf if info.least is None else info.least
        high = math.inf if info.greatest is None else info.greatest
        found = figure_row(paired_over_draws([arm.figures[name].value for arm in arms], overlap=overlap).figure)
        figures[name] = found.model_copy(update={"low": max(found.low, low), "high": min(found.high, high)})
    return arms[0].model_copy(
        update={
            "figures": figures,
            "history": (),
            "chosen": {},
            "stopped": f"{len(arms)} runs, each with its own report",
            "seconds": sum(a.seconds for a in arms),
        }
    )


def _spreads(key: str, records: Sequence[RunRecord]) -> dict[str, float]:
    """Metric -> standard deviation over the runs."""
    arms = [record.arms[key] for record in records]
    return {name: stdev(arm.figures[name].value for arm in arms) for name in arms[0].figures}


def _paired(key: str, records: Sequence[RunRecord], overlap: float) -> Comparison:
    metric = records[0].primary_metric
    sign = -1 if records[0].info(metric).greater_is_better is False else 1
    values = [(r.arms["model"].figures[metric].value, r.arms[key].figures[metric].value) for r in records]
    found = paired_over_draws([sign * (model - other) for model, other in values], overlap=overlap)
    return Comparison(against=key, metric=metric, difference=figure_row(found.figure), verdict=found.verdict)


def _one_run(number: int, record: RunRecord, of: str) -> SliceRow:
    figures = record.arms["model"].figures
    value = str(record.seed if of == "seeds" else number)
    return SliceRow(column=of, value=value, n=figures[record.primary_metric].n, figures=figures)


def _explanation(runs: int, of: str, overlap: float) -> Decision:
    reason = f"a t interval over {runs} paired runs, which differ in their {of.removesuffix('s')}"
    if overlap:
        reason += "; their splits differ but share most of the data, so it is widened as in Nadeau & Bengio (2003)"
    elif of == "seeds":
        reason += "; sampling of the one test part is in the intervals of each run"
    return Decision(what="intervals", value=f"over {runs} {of}", reason=reason)
