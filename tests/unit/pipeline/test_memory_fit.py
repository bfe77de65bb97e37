from __future__ import annotations

import sys

import numpy as np
import pytest

from headstart.kernel.errors import DataError
from headstart.pipeline.memory_data import examples_of
from headstart.pipeline.memory_fit import fit_in_memory, held_out, predict_in_memory
from headstart.pipeline.plan import Plan
from headstart.search.train_arms import train_arms


@pytest.mark.parametrize("size", [3, 4, 6, 20])
def test_a_fifth_is_held_out_and_at_least_one(size: int) -> None:
    parts = held_out(np.arange(size) % 2, [f"{k:032x}" for k in range(size)], seed=0)
    assert 1 <= len(parts.val) <= max(2, size // 5)
    assert sorted([*parts.train, *parts.val]) == list(range(size))
    assert len(parts.test) == 0


def test_copies_are_held_out_together() -> None:
    keys = [f"{k:032x}" for k in range(20)] * 3
    parts = held_out(np.tile(np.arange(20) % 2, 3), keys, seed=0)
    assert {keys[row] for row in parts.train}.isdisjoint(keys[row] for row in parts.val)
    assert len(parts.val) == 12


@pytest.mark.slow
@pytest.mark.parametrize("tuning", ["probe", "head_only"])
@pytest.mark.parametrize("runner", ["of_another_package", "openvino"])
def test_a_model_whose_runner_is_not_here_predicts_in_plain_pytorch(
    tuning: str, runner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = np.random.default_rng(0).standard_normal((60, 3))
    label = (numbers[:, 0] > 0).astype(np.int64)
    examples = examples_of(numbers, "table", label)
    settings = {"tuning": {"epochs": 1}} if tuning == "head_only" else {}
    plan = Plan(data="<numbers>", task="classification", tuning=tuning, settings=settings)
    model = fit_in_memory(examples, plan, train_arms)
    expected = predict_in_memory(model, examples, plan).columns["probabilities"]
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.delitem(sys.modules, "headstart.runners._openvino_graph", raising=False)
    model.execution = {"runner": runner, "runner_settings": {}}
    unseen = examples_of(numbers + 1e-9, "table", label)  # its features are not stored
    np.testing.assert_allclose(predict_in_memory(model, unseen, plan).columns["probabilities"], expected, atol=1e-5)


def test_nothing_to_hold_out_is_told() -> None:
    with pytest.raises(DataError, match=r"8 examples .1 different ones. are too few to hold out a part"):
        held_out(np.arange(8) % 2, ["0" * 32] * 8, seed=0)
