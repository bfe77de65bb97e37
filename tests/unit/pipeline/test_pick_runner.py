"""The runner of a run: named or chosen, written down, used again by prediction, and given up where it does not do."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import headstart
from headstart.contracts.model_files import model_hash
from headstart.contracts.runner import CannotRun
from headstart.engine.frozen import execution
from headstart.kernel.progress import Quiet
from headstart.pipeline.plan import Plan, read_plan
from headstart.pipeline.plan_file import write_plan
from headstart.runners.compiled import Compiled
from headstart.runners.eager import Eager
from headstart.runners.openvino import OpenVino
from headstart.verbs.predict import predict

pytestmark = pytest.mark.slow


class Heard(Quiet):
    """Remembers every sentence."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    draws = np.random.default_rng(0)
    numbers = draws.standard_normal((120, 3))
    label = np.where(numbers[:, 0] + draws.standard_normal(120) / 4 > 0, "high", "low")
    path = tmp_path_factory.mktemp("table") / "table.csv"
    pd.DataFrame({"a": numbers[:, 0], "b": numbers[:, 1], "c": numbers[:, 2], "label": label}).to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def run(table: Path, tmp_path_factory: pytest.TempPathFactory) -> headstart.Run:
    """A run whose features OpenVINO has made."""
    return headstart.fit(table, out=tmp_path_factory.mktemp("runs") / "named", runner="openvino", scratch=False)


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))


def scores(run: Path, data: Path, reporter: Heard | None = None) -> np.ndarray:
    found = predict(run, data, reporter=reporter)
    assert isinstance(found, pd.DataFrame)
    return found["p_high"].to_numpy()


def test_a_named_runner_is_taken_and_nothing_was_decided(run: headstart.Run) -> None:
    assert "runner" not in [decision.what for decision in run.record.decisions]
    plan = read_plan(run.folder / "plan.toml")
    assert (plan.runner, plan.settings["runner"]) == ("openvino", {"computes_in": "float32"})


def test_the_model_says_how_its_features_were_made(run: headstart.Run) -> None:
    made = json.loads((run.folder / "model" / "model.json").read_text())["execution"]
    assert made["runner"] == "openvino"
    assert made["runner_settings"] == {"computes_in": "float32"}
    assert made["precision"] == "float32"
    assert made["family"] == "table_features", "the preparation of the inputs belongs to it"


def test_prediction_and_evaluation_use_the_same_runner(
    run: headstart.Run, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[OpenVino] = []
    start = OpenVino.start
    monkeypatch.setattr(OpenVino, "start", lambda self, *given: started.append(self) or start(self, *given))
    scores(run.folder, table)
    run.evaluate(table)
    assert started == [OpenVino(computes_in="float32")] * 2


@pytest.mark.usefixtures("own_cache")
@pytest.mark.parametrize("lack", ["not installed", "not right here", "not known"])
def test_where_the_runner_does_not_do_plain_pytorch_predicts_and_says_so_once(
    lack: str, run: headstart.Run, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = scores(run.folder, table)
    folder = shutil.copytree(run.folder, tmp_path / "moved")
    if lack == "not installed":
        monkeypatch.setitem(sys.modules, "openvino", None)
        monkeypatch.delitem(sys.modules, "headstart.runners._openvino_graph")
    elif lack == "not right here":
        monkeypatch.setattr(execution, "MOST_DIFFERENCE", -1.0)
        monkeypatch.setattr(execution, "here", lambda device: {"machine": "another"})
    else:
        bound, model = model_hash(folder / "model"), folder / "model" / "model.json"
        model.write_text(model.read_text().replace('"runner": "openvino"', '"runner": "of_another_package"'))
        record = folder / "record.json"
        record.write_text(record.read_text().replace(bound, model_hash(folder / "model")))
    heard = Heard()
    np.testing.assert_allclose(scores(folder, table, heard), expected, atol=1e-5)
    assert len(heard.said) == 1
    assert "Plain PyTorch replaces" in heard.said[0]


@pytest.mark.usefixtures("own_cache")
def test_a_named_runner_that_is_not_right_ends_the_fit_and_says_what_to_do(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execution, "MOST_DIFFERENCE", -1.0)
    with pytest.raises(CannotRun) as fault:
        headstart.fit(table, out=tmp_path / "run", runner="openvino", scratch=False)
    assert fault.value.exit_code == 4
    assert str(fault.value).startswith("runner 'openvino' cannot run table_features: its features differ")
    assert "--runner auto takes the fastest that is right" in str(fault.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("own_cache")
def test_auto_writes_down_what_it_chose_and_the_plan_repeats_it(table: Path, tmp_path: Path) -> None:
    heard = Heard()
    chosen = headstart.fit(table, out=tmp_path / "auto", scratch=False, reporter=heard)
    (decision,) = [decision for decision in chosen.record.decisions if decision.what == "runner"]
    assert decision.value == "eager, float32"
    assert decision.reason.startswith(
        "the pass takes less than a second in plain PyTorch, and nothing tried was faster"
    )
    assert f"Runner eager, float32: {decision.reason}" in heard.said
    repeated = headstart.fit(chosen.folder / "plan.toml", out=tmp_path / "again")
    assert read_plan(repeated.folder / "plan.toml").runner == "eager"
    assert "runner" not in [decision.what for decision in repeated.record.decisions]
    assert repeated.record.arms["model"].figures == chosen.record.arms["model"].figures


@pytest.mark.parametrize("runner", [Eager(), OpenVino(computes_in="bfloat16"), Compiled(half=False)])
def test_a_plan_with_a_runner_builds_that_runner_when_it_is_read(runner: Any, tmp_path: Path) -> None:
    plan = Plan(data="x.csv", settings={"tuning": {"seed": 1}}).with_runner(runner)
    write_plan(tmp_path / "plan.toml", plan, ())
    read = read_plan(tmp_path / "plan.toml")
    assert read.plugin("runner") == runner
    assert read.settings["tuning"] == {"seed": 1}
    read.model_copy(update={"settings": {}}).check()
