"""A study sums up several runs of one question: means, paired differences and intervals over the runs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from headstart.kernel.errors import RunError
from headstart.pipeline.record import Arm, Comparison, DataSummary, Decision, FigureRow, RunRecord
from headstart.pipeline.run_folder import RunFolder, write_record
from headstart.pipeline.seeds import sum_up
from metric_infos import metric_infos

TEST = stats.t.ppf(0.975, 99)
MODEL = [0.90, 0.92, 0.88, 0.95]
SCRATCH = [0.70, 0.75, 0.69, 0.71]


def figure(value: float) -> FigureRow:
    return FigureRow(value=value, low=value - 0.02, high=value + 0.02, n=100)


def arm(title: str, accuracy: float) -> Arm:
    figures = {"accuracy": figure(accuracy), "log_loss": figure(1 - accuracy)}
    return Arm(title=title, figures=figures, seconds=2.0, chosen={"C": 0.1}, stopped="done")


def run(folder: Path, arms: dict[str, float], **changes: Any) -> RunFolder:
    record = RunRecord(
        headstart="0.1.0",
        name=folder.name,
        verdict="of one run",
        command="headstart fit x",
        started="2026-11-21T00:00:00+00:00",
        seed=0,
        task="classification",
        primary_metric="accuracy",
        metrics=metric_infos("accuracy", "log_loss"),
        data=DataSummary(source="x", seen="a table", modality="table", parts=()),
        backbone="resnet18",
        backbone_origin="random",
        stages=(),
        decisions=(Decision(what="task", value="classification", reason="texts"),),
        arms={key: arm(key, value) for key, value in arms.items()},
        times={"reading": 1.0, "training": 4.0},
    )
    write_record(folder, record.model_copy(update=changes))
    return RunFolder(folder)


def runs_of(folder: Path, model: list[float], scratch: list[float], **changes: Any) -> list[RunFolder]:
    pairs = zip(model, scratch)
    return [
        run(folder / f"draw-{k}", {"model": m, "probe": 0.8, "scratch": s}, **changes)
        for k, (m, s) in enumerate(pairs, start=1)
    ]


@pytest.fixture
def summed(tmp_path: Path) -> RunRecord:
    return sum_up(runs_of(tmp_path, MODEL, SCRATCH), tmp_path / "study")


def student(values: list[float]) -> tuple[float, float, float]:
    """Mean and its 95 % t interval, by SciPy."""
    mean = float(np.mean(values))
    low, high = stats.t.interval(0.95, len(values) - 1, loc=mean, scale=stats.sem(values))
    return mean, float(low), float(high)


def both(values: list[float], half: float = 0.02, n: int = 100) -> tuple[float, float, float]:
    """Mean and 95 % interval over runs and the examples of their one test part, by Satterthwaite, longhand."""
    mean, among, within = float(np.mean(values)), np.var(values, ddof=1) / len(values), (half / TEST) ** 2
    freedom = (among + within) ** 2 / (among**2 / (len(values) - 1) + within**2 / (n - 1))
    width = float(stats.t.ppf(0.975, freedom) * math.sqrt(among + within))
    return mean, mean - width, mean + width


def test_figures_are_means_over_the_runs_with_an_interval_over_seeds_and_examples(summed: RunRecord) -> None:
    for key, values in (("model", MODEL), ("scratch", SCRATCH)):
        found = summed.arms[key].figures["accuracy"]
        assert (found.value, found.low, found.high) == pytest.approx(both(values))
        assert found.n == 4
    loss = summed.arms["model"].figures["log_loss"]
    assert loss.value == pytest.approx(1 - np.mean(MODEL))


def test_the_interval_of_runs_that_agree_is_that_of_a_run(summed: RunRecord) -> None:
    probe = summed.arms["probe"].figures["accuracy"]
    assert (probe.value, probe.low, probe.high) == pytest.approx((0.8, 0.78, 0.82))


def test_runs_without_an_interval_leave_none_and_say_why(tmp_path: Path) -> None:
    bare = FigureRow(value=0.9, low=math.nan, high=math.nan, n=100, reason="too few examples of 'spam': 1")
    lone = Comparison(against="scratch", metric="accuracy", difference=bare, verdict="undecided")
    runs = runs_of(tmp_path, MODEL, SCRATCH, comparisons=(lone,))
    record = sum_up(runs, tmp_path / "study")
    (found,) = [one for one in record.comparisons if one.against == "scratch"]
    assert found.verdict == "undecided" and math.isnan(found.difference.low)
    assert "Transfer gain undecided: +90.0 points (too few examples of 'spam': 1)" in record.verdict


def test_differences_are_paired_run_by_run(summed: RunRecord) -> None:
    against = {comparison.against: comparison for comparison in summed.comparisons}
    assert against.keys() == {"probe", "scratch"}
    difference = against["scratch"].difference
    expected = student([m - s for m, s in zip(MODEL, SCRATCH)])
    assert (difference.value, difference.low, difference.high) == pytest.approx(expected)
    assert against["scratch"].verdict == "better" and difference.n == 4


def test_the_verdict_counts_runs_and_names_the_gain(summed: RunRecord) -> None:
    assert summed.verdict.startswith("Accuracy 91.3 % (")
    assert "on 4 seeds." in summed.verdict and "examples" not in summed.verdict
    assert "Transfer helps: +20.0 points" in summed.verdict
    assert not summed.negative_transfer


def test_one_training_from_scratch_that_was_cut_off_bounds_the_gain_of_all(tmp_path: Path) -> None:
    runs = runs_of(tmp_path, MODEL, SCRATCH)
    arms = runs[2].record.arms
    cut = {**arms, "scratch": arms["scratch"].model_copy(update={"shortcoming": "cut off after 3 of 67 epochs"})}
    write_record(runs[2].folder, runs[2].record.model_copy(update={"arms": cut}))
    record = sum_up([RunFolder(run.folder) for run in runs], tmp_path / "study")
    assert "Scratch was cut off after 3 of 67 epochs in 1 of 4 runs; the gain is an upper bound: +20" in record.verdict
    assert {c.against: c.verdict for c in record.comparisons}["scratch"] == "upper bound"


def test_the_sum_says_which_runs_have_no_training_from_scratch(tmp_path: Path) -> None:
    runs = runs_of(tmp_path, MODEL[:3], SCRATCH[:3])
    reason = Decision(what="training from scratch", value="left out", reason="4 s of the budget are left")
    runs.append(run(tmp_path / "draw-4", {"model": 0.9, "probe": 0.8}, decisions=(reason,)))
    words = sum_up(runs, tmp_path / "study").verdict
    assert "gain unknown: 1 of 4 runs have no such training: 4 s of the budget are left." in words


def test_negative_transfer_over_the_runs_is_named(tmp_path: Path) -> None:
    record = sum_up(runs_of(tmp_path, SCRATCH, MODEL), tmp_path / "study")
    assert record.negative_transfer and "NEGATIVE TRANSFER" in record.verdict and "on 4 seeds." in record.verdict


def test_less_is_better_where_the_metric_says_so(tmp_path: Path) -> None:
    runs = runs_of(tmp_path, MODEL, SCRATCH, primary_metric="log_loss")
    record = sum_up(runs, tmp_path / "study")
    against = {comparison.against: comparison for comparison in record.comparisons}
    assert against["scratch"].difference.value == pytest.approx(np.mean(MODEL) - np.mean(SCRATCH))
    assert against["scratch"].verdict == "better"


def test_each_run_has_a_row_of_its_own_and_what_belongs_to_one_run_is_left_out(summed: RunRecord) -> None:
    assert [(row.column, row.value, row.n) for row in summed.slices] == [
        ("seeds", str(one.seed), 100) for one in [summed] * 4
    ]
    assert [row.figures["accuracy"].value for row in summed.slices] == MODEL
    assert summed.arms["model"].seconds == 8.0 and summed.arms["model"].chosen == {}
    assert not summed.panels and not summed.mistakes and not summed.worst_slice
    assert summed.times == {f"run {k}": 5.0 for k in range(1, 5)}
    assert summed.decisions[0].what == "task" and "seed" in summed.decisions[-1].reason


@pytest.mark.parametrize("number", [0, 1])
def test_one_run_is_no_study(tmp_path: Path, number: int) -> None:
    with pytest.raises(RunError, match=f"at least two runs, got {number}"):
        sum_up(runs_of(tmp_path, MODEL[:number], SCRATCH), tmp_path / "study")


def test_two_runs_give_an_interval_wider_than_those_of_the_runs(tmp_path: Path) -> None:
    record = sum_up(runs_of(tmp_path, MODEL[:2], SCRATCH[:2]), tmp_path / "study")
    found = record.arms["model"].figures["accuracy"]
    assert (found.low, found.high) == pytest.approx(both(MODEL[:2])[1:]) and found.high - found.low > 0.07


def test_runs_that_split_the_same_data_anew_have_a_wider_interval(tmp_path: Path) -> None:
    one, anew = (sum_up(runs_of(tmp_path, MODEL, SCRATCH), tmp_path / "sum", overlap) for overlap in (0.0, 0.25))
    found, (_, low, high) = anew.arms["model"].figures["accuracy"], student(MODEL)
    assert (found.high - found.low) / (high - low) == pytest.approx(math.sqrt((1 / 4 + 0.25) / (1 / 4)))
    probe = anew.arms["probe"].figures["accuracy"]  # equal in each run: what its test examples leave open
    assert probe.high - probe.low == pytest.approx(0.04 * math.sqrt((1 / 4 + 0.25) / 1.25))
    assert "Nadeau & Bengio" in anew.decisions[-1].reason and "one test part" in one.decisions[-1].reason


def test_what_runs_owe_to_their_test_examples_is_not_counted_twice(tmp_path: Path, summed: RunRecord) -> None:
    """By hand: what the test part makes of all models alike leaves their paired differences."""
    runs, draws = runs_of(tmp_path / "again", MODEL, SCRATCH), np.random.default_rng(0)
    alike, apart = draws.normal(size=100), draws.normal(size=(4, 100))
    for own, kept in zip(apart, runs):
        arrays = {"model/accuracy": alike + own, "scratch/accuracy": alike - own, "probe/accuracy": alike}
        np.savez(kept.folder / "test_resamples.npz", **arrays)
    record = sum_up(runs, tmp_path / "study")
    own = np.sum((apart - apart.mean(axis=0)).var(axis=1)) / 3
    assert np.var(MODEL, ddof=1) < own
    left = (alike + apart.mean(axis=0)).var() / (alike + apart).var(axis=1).mean()
    found = {key: arm.figures["accuracy"] for key, arm in record.arms.items()}
    assert found["model"].high - found["model"].value == pytest.approx(0.02 * math.sqrt(left))
    assert (found["probe"].low, found["probe"].high) == pytest.approx((0.78, 0.82))
    known, before = (one.arms["model"].figures["log_loss"] for one in (record, summed))
    assert (known.low, known.high) == (before.low, before.high)  # its resamples are missing
    assert "resampling those of all runs together" in record.decisions[-1].reason


def test_the_record_names_its_runs_and_how_far_they_lie_apart(summed: RunRecord, tmp_path: Path) -> None:
    assert summed.runs == tuple(f"../draw-{k}" for k in range(1, 5))
    assert summed.spreads["model"]["accuracy"] == pytest.approx(np.std(MODEL, ddof=1))


def test_no_interval_leaves_what_a_metric_can_be(tmp_path: Path) -> None:
    runs = runs_of(tmp_path, [0.99, 0.7], SCRATCH)
    record = sum_up(runs, tmp_path / "study")
    found = record.arms["model"].figures["accuracy"]
    assert (found.low, found.high) == (0.0, 1.0)


def test_an_arm_that_one_run_lacks_is_left_out(tmp_path: Path) -> None:
    runs = [*runs_of(tmp_path, MODEL[:2], SCRATCH), run(tmp_path / "draw-9", {"model": 0.9, "probe": 0.8})]
    record = sum_up(runs, tmp_path / "study")
    assert set(record.arms) == {"model", "probe"}


def test_a_figure_that_is_undefined_in_one_run_is_so_in_the_sum_and_says_it(tmp_path: Path) -> None:
    summed = sum_up(runs_of(tmp_path, [0.9, math.nan, 0.8], SCRATCH), tmp_path / "study")
    found = summed.arms["model"].figures["accuracy"]
    assert math.isnan(found.value) and found.reason == "undefined in 1 of 3 runs"
    assert "accuracy" not in summed.spreads["model"] and "accuracy" in summed.spreads["scratch"]
