"""The streams of a fit: all labelled rows, and those of each domain."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from head_shapes import SHAPES
from headstart.contracts.format import Columns
from headstart.kernel.errors import SettingsError
from headstart.kernel.progress import Quiet
from headstart.pipeline.decision_log import DecisionLog
from headstart.pipeline.plan import Plan
from headstart.pipeline.prepare import Prepared, bind_data, choose_task, read_data, split_data
from headstart.pipeline.stream_rows import require_streams, stream_rows


def prepared(folder: Path, domain: str | None) -> Prepared:
    rows = 60
    numbers = np.random.default_rng(0).normal(size=(rows, 2))
    places = ["north", "south", None] * (rows // 3)
    frame = pd.DataFrame({"x": numbers[:, 0], "y": numbers[:, 1], "kind": ["a", "b"] * (rows // 2), "place": places})
    frame.to_csv(folder / "numbers.csv", index=False)
    plan = Plan(data=str(folder / "numbers.csv"), columns=Columns(label="kind", domain=domain), task="classification")
    read = read_data(folder / "numbers.csv", plan, Quiet()).usable()
    task, _ = choose_task(read.examples, plan)
    parts = split_data(read, task.split_policy(read.examples), plan.seed)
    return bind_data(parts, plan, task.bind(read.examples, SHAPES), DecisionLog())


def test_each_domain_is_a_stream_of_its_training_rows(tmp_path: Path) -> None:
    data = prepared(tmp_path, "place")
    found = stream_rows(data)
    assert list(found) == ["source", "domain:(empty)", "domain:north", "domain:south"]
    assert np.array_equal(found["source"], data.split.train)
    places = np.array(data.examples.column("place"), dtype=object)
    assert set(places[found["domain:north"]]) == {"north"}
    assert sorted(np.concatenate([found[name] for name in list(found)[1:]])) == sorted(data.split.train)
    assert list(stream_rows(prepared(tmp_path, None))) == ["source"]


def test_an_objective_whose_stream_is_missing_is_refused_before_anything_runs(tmp_path: Path) -> None:
    data = prepared(tmp_path, "place")
    require_streams(data, SimpleNamespace(streams=("source", "domain:*")), "deep_coral")
    with pytest.raises(SettingsError, match=r"'deep_coral'.*'target', which the data do not have.*domain:north"):
        require_streams(data, SimpleNamespace(streams=("source", "target")), "deep_coral")
