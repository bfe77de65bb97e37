"""Precision by use: a coarser runner for features that only feed probes, or the reason against it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import headstart
from fake_runners import Behaviour, Clock, install, runner, times
from headstart.contracts.carriers import State
from headstart.contracts.runner import CannotRun
from headstart.engine.frozen.runner_choice import Choice
from headstart.evidence.folds import folds
from headstart.evidence.held_out_probe import held_out_prediction
from headstart.kernel import registry
from headstart.kernel.progress import Quiet
from headstart.pipeline.data import Given
from headstart.pipeline.embed import embed
from headstart.pipeline.plan import Plan
from headstart.pipeline.precision_by_use import FOLDS, SAMPLE, WORTH, Labelled
from headstart.pipeline.sequence import start
from headstart.verbs.predict import predict

pytestmark = pytest.mark.slow

ROWS = int(1.1 * SAMPLE / WORTH)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    draws = np.random.default_rng(0)
    numbers = draws.standard_normal((ROWS, 4))
    label = np.where(numbers[:, 0] + draws.standard_normal(ROWS) / 4 > 0, "high", "low")
    frame = pd.DataFrame({name: numbers[:, place] for place, name in enumerate("abcd")} | {"label": label})
    frame.to_csv(tmp_path / "table.csv", index=False)
    return tmp_path / "table.csv"


def shuffled(state: State) -> State:
    """Features that every other example has from its neighbour."""
    order = torch.arange(len(state.hidden))
    order[: len(order) // 2 * 2 : 2] += 1
    return state.map(lambda value: value[order])


def slightly_off(state: State) -> State:
    return times(state, 1.05)


def offer(monkeypatch: pytest.MonkeyPatch, coarse: Any, autocast: float) -> tuple[Behaviour, Behaviour]:
    """Plain PyTorch, whose own bfloat16 is off by a share, and a runner in bfloat16 twice as fast."""
    clock = Clock()
    plain = Behaviour(
        plain=True, spoil=lambda state: times(state, 1 + autocast) if torch.is_autocast_enabled("cpu") else state
    )
    half = Behaviour(0.5, precision="bfloat16", spoil=coarse)
    install(monkeypatch, {"coarse": runner(half, clock), "plain": runner(plain, clock)}, clock)
    return plain, half


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))


def decisions(run: headstart.Run) -> dict[str, tuple[str, str]]:
    return {one.what: (one.value, one.reason) for one in run.record.decisions}


def test_a_coarse_runner_feeds_a_probe_and_the_plan_and_the_model_say_by_which_gate(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch, slightly_off, 0.04)
    run = headstart.fit(table, out=tmp_path / "run", scratch=False, label_curve=False)
    value, reason = decisions(run)["runner"]
    assert value == "coarse, bfloat16"
    assert "5.00 % off plain PyTorch's, those of PyTorch's own bfloat16 4.00 %" in reason
    assert f"a probe on {SAMPLE} labelled examples" in reason
    assert decisions(run)["precision"][0] == "by use"
    assert "by use" in (run.folder / "plan.toml").read_text()
    assert json.loads((run.folder / "model" / "model.json").read_text())["execution"]["gate"] == "by use"
    again = headstart.fit(run.folder / "plan.toml", out=tmp_path / "again")
    assert again.record.arms["model"].figures == run.record.arms["model"].figures
    assert decisions(again)["precision"][0] == "by use"
    heard: list[str] = []
    reporter = Quiet()
    monkeypatch.setattr(reporter, "say", heard.append)
    predict(run.folder, table, reporter=reporter)
    assert not heard, "its own runner predicts"


def test_evidence_reads_what_the_probe_of_a_fit_has_kept(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = offer(monkeypatch, slightly_off, 0.04)
    headstart.fit(table, out=tmp_path / "run", scratch=False, label_curve=False)
    before = [sum(one.ran) for one in both]
    headstart.inspect(table, deep=True)
    assert [sum(one.ran) for one in both] == before


def test_a_run_that_goes_on_keeps_its_coarse_runner_and_its_gate(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch, slightly_off, 0.04)
    plan = Plan(data=str(table), scratch=False, label_curve=False)
    began = start(Given(plan.data), plan).choice
    began.keep(tmp_path / "work")
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "forgotten"))
    offer(monkeypatch, shuffled, 2.0)
    found = start(Given(plan.data), plan, work=tmp_path / "work").choice
    assert found.by_use and found.reason == began.reason
    assert (type(found.runner).__name__, found.runner.precision) == ("Fake", "bfloat16")


def test_on_a_machine_without_the_runner_float32_predicts_and_a_warning_says_what_differs(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch, slightly_off, 0.04)
    run = headstart.fit(table, out=tmp_path / "run", scratch=False, label_curve=False)
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "elsewhere"))
    offer(monkeypatch, slightly_off, 0.01)
    heard: list[str] = []
    reporter = Quiet()
    monkeypatch.setattr(reporter, "say", heard.append)
    predict(run.folder, table, reporter=reporter)
    assert heard[0].endswith("The head was fitted on features in bfloat16: scores differ a little")


def test_a_runner_on_whose_features_a_probe_is_worse_is_refused_by_name(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch, shuffled, 2.0)
    run = headstart.fit(table, out=tmp_path / "run", scratch=False, label_curve=False)
    value, reason = decisions(run)["runner"]
    assert value == "plain, float32"
    assert re.search(r"; coarse, bfloat16: a probe on 256 labelled examples has .*, significantly worse$", reason)
    with pytest.raises(CannotRun, match=r"coarse, bfloat16 does not do for .* significantly worse"):
        headstart.fit(table, out=tmp_path / "named", scratch=False, label_curve=False, runner="coarse")


def noisy(state: State) -> State:
    return state.map(lambda value: value + 0.1 * torch.sin(10_000 * value))


@pytest.mark.parametrize(("coarse", "worse"), [(shuffled, True), (noisy, False)])
def test_the_paired_difference_is_that_of_a_longhand_bootstrap(
    coarse: Any, worse: bool, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch, coarse, 2.0)
    plan = Plan(data=str(table), scratch=False, label_curve=False)
    begun = start(Given(plan.data), plan)
    data, rows = begun.data, Labelled(begun.data, begun.data.split.train, plan.seed).sample()
    assert not set(rows) & set(data.split.test)
    cut = folds(np.arange(len(rows)), data.strata[rows], None, FOLDS, plan.seed)
    right = []
    for name in ("coarse", "plain"):
        choice = Choice(registry.plugin("runners", name)(), "", by_use=True)
        keys = [data.keys[row] for row in rows]
        features = embed(begun.backbone, data.examples.take(rows), begun.spec, keys=keys, runner=choice).pooled()
        predicted = held_out_prediction(data.task, features, data.targets_of(rows), cut, None, plan.seed)
        right.append(predicted.columns["probabilities"].argmax(axis=1) == data.targets["label"][rows])
    gains, draws = right[0].astype(float) - right[1], np.random.default_rng(0)
    means = [100 * gains[draws.integers(len(gains), size=len(gains))].mean() for _ in range(4000)]
    expected = [100 * gains.mean(), *np.quantile(means, (0.025, 0.975))]
    (told,) = re.findall(r"(\S+) points \((\S+) to (\S+)\)", begun.choice.reason)
    found = [float(number.replace("−", "-")) for number in told]
    assert found == pytest.approx(expected, abs=1.5)  # the house's interval is no plain quantile
    assert ("significantly worse" in begun.choice.reason) == (expected[2] < 0) == worse


def test_for_a_fine_tuning_one_percent_holds(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, slightly_off, 0.04)
    given: dict[str, Any] = {"scratch": False, "label_curve": False}
    trained = {**given, "tuning": "head_only", "settings": {"tuning": {"epochs": 2}}}
    run = headstart.fit(table, out=tmp_path / "run", **trained)
    value, reason = decisions(run)["runner"]
    assert value == "plain, float32" and "5.00 %, more than 1 %" in reason
    headstart.fit(table, out=tmp_path / "probe", **given, runner="coarse")
    with pytest.raises(CannotRun, match=r"5\.00 %, more than 1 %"):  # and finds nothing that was kept for the probe
        headstart.fit(table, out=tmp_path / "named", **trained, runner="coarse")
