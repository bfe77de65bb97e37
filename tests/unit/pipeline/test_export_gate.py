"""The gate of exports lets nothing through that answers otherwise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

import headstart
from headstart.contracts.carriers import State
from headstart.contracts.exporter import CannotExport, Graph
from headstart.contracts.model import Model
from headstart.contracts.prediction import Prediction
from headstart.engine.exported.whole_graph import graph_of
from headstart.pipeline.data import reader_of
from headstart.pipeline.exporting.gate import Compared, Prepared, compare_all, deciding, prepared

OLD = Path(__file__).parents[2] / "journeys" / "old_runs"
Arrays = Mapping[str, np.ndarray]


@pytest.fixture(scope="module")
def model() -> Model:
    run = headstart.load(OLD / "image-probe")
    assert isinstance(run, headstart.Run)
    return run.model


@pytest.fixture(scope="module")
def batches(model: Model) -> list[Prepared]:
    found, reader = reader_of(OLD / "data" / "photos", None, {}, {})
    return [*prepared(model, reader.read(found, model.columns))]


@pytest.fixture(scope="module")
def graph(model: Model, batches: list[Prepared]) -> Graph:
    return graph_of(model, State(batches[2].tensors[0]), {})


def plainly(graph: Graph, arrays: Arrays) -> dict[str, np.ndarray]:
    with torch.no_grad():
        values = graph.module(*map(torch.from_numpy, arrays.values()))
    return {name: value.numpy() for name, value in zip(graph.outputs, values)}


def held(
    model: Model, graph: Graph, batches: list[Prepared], spoil: Callable[[dict[str, np.ndarray]], None]
) -> Compared:
    def compute(arrays: Arrays) -> Arrays:
        found = plainly(graph, arrays)
        spoil(found)
        return found

    return compare_all(graph, compute, batches, deciding(model))


def flipped(found: dict[str, np.ndarray]) -> None:
    found["logits"] = found["logits"][:, ::-1].copy()


def off(share: float) -> Callable[[dict[str, np.ndarray]], None]:
    def spoil(found: dict[str, np.ndarray]) -> None:
        found["logits"] = found["logits"] * np.float32(1 + share)

    return spoil


def one_row(found: dict[str, np.ndarray]) -> None:
    found["logits"] = found["logits"][:1]


def test_batches_of_1_2_and_7_hold_every_example_once(batches: list[Prepared]) -> None:
    assert [len(batch.rows) for batch in batches[:6]] == [1, 2, 7, 1, 2, 7]
    assert np.array_equal(np.concatenate([batch.rows for batch in batches]), np.arange(32))


def test_the_graph_is_the_model(model: Model, graph: Graph, batches: list[Prepared]) -> None:
    _, ours, theirs = held(model, graph, batches, lambda found: None).joined(model)
    logits = model.task.evaluation.finish(ours, model.calibration).columns
    assert np.array_equal(ours.columns["logits"], theirs.columns["logits"])
    arrays = plainly(graph, {"input": batches[2].tensors[0].numpy()})
    np.testing.assert_allclose(arrays["probabilities"], logits["probabilities"][3:10], atol=1e-6)
    assert np.array_equal(arrays["class"], logits["probabilities"][3:10].argmax(axis=1))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (off(5e-4), ""),
        (off(2e-3), "differ from plain PyTorch's by 0.002"),
        (off(np.nan), "differ from plain PyTorch's by inf"),
        (flipped, "differ from plain PyTorch's"),
    ],
)
def test_other_outputs_do_not_pass(
    spoil: Callable[[dict[str, np.ndarray]], None], words: str, model: Model, graph: Graph, batches: list[Prepared]
) -> None:
    fault = held(model, graph, batches, spoil).fault([""] * 32)
    assert words in fault and bool(words) == bool(fault)


def test_other_decisions_are_named_and_ties_are_not(model: Model, graph: Graph, batches: list[Prepared]) -> None:
    found = held(model, graph, batches, flipped)
    assert len(found.changed) == 32 and found.ties == 0
    found.apart = {}
    assert found.fault([f"{row}.png" for row in range(32)]).endswith("first: 0.png")


def test_a_frozen_batch_is_refused(model: Model, graph: Graph, batches: list[Prepared]) -> None:
    with pytest.raises(CannotExport, match="output 'logits' has shape"):
        held(model, graph, batches, one_row)


def test_a_task_that_predicts_step_by_step_is_refused(
    model: Model, batches: list[Prepared], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(model.task), "predict", lambda *_: Prediction({}))
    with pytest.raises(CannotExport, match="'classification' does not predict by one pass"):
        graph_of(model, State(batches[2].tensors[0]), {})
