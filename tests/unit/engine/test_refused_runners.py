from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from fake_runners import Behaviour, Clock, install, runner
from headstart.contracts.carriers import State
from headstart.engine.frozen.choose_runner import MEMO, choose_runner
from headstart.engine.frozen.disk_cache import DiskCache
from headstart.engine.frozen.feature_spec import FeatureSpec
from headstart.engine.frozen.runner_choice import Choice
from tiny_backbones import TinyTable, keys_of, table_examples


def test_a_runner_that_was_right_once_and_fails_now_is_named_and_another_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path))
    clock, faults = Clock(), list[str]()

    def failing(state: State) -> State:
        if faults:
            raise RuntimeError(faults[0])
        return state

    kinds = {"plain": Behaviour(plain=True), "fast": Behaviour(0.25, spoil=failing), "slower": Behaviour(0.5)}
    install(monkeypatch, {name: runner(behaviour, clock) for name, behaviour in kinds.items()}, clock)
    assert chosen().reason.startswith("4.0 times as fast")
    DiskCache(MEMO).path.unlink()
    faults.append("no kernel for this card\nand a long story")
    found = chosen()
    assert found.reason == (
        "2.0 times as fast as plain PyTorch on 12 of the inputs; fast in float32: no kernel for this card"
    )


def chosen() -> Choice:
    backbone, values = TinyTable("tiny_table"), np.random.default_rng(0).standard_normal((400, 4))
    spec = FeatureSpec.all_stages(backbone)
    return choose_runner(backbone, table_examples(values), keys_of(values), spec, torch.device("cpu"))
