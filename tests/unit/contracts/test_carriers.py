from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from headstart.contracts.carriers import State, Tap
from headstart.contracts.figures import Figure
from headstart.contracts.prediction import Prediction


def ragged(*entries: list[int]) -> np.ndarray:
    column = np.empty(len(entries), dtype=object)
    for row, entry in enumerate(entries):
        column[row] = np.array(entry)
    return column


@pytest.fixture
def prediction() -> Prediction:
    return Prediction({"scores": np.arange(8.0).reshape(4, 2), "tags": ragged([1], [2, 3], [], [4, 5, 6])})


def test_examples_are_taken_in_the_order_asked_for(prediction: Prediction) -> None:
    some = prediction.take([3, 0, 3])
    assert len(some) == 3
    assert some.columns["scores"].tolist() == [[6, 7], [0, 1], [6, 7]]
    assert [tags.tolist() for tags in some.columns["tags"]] == [[4, 5, 6], [1], [4, 5, 6]]
    assert len(prediction) == 4, "the whole stays as it was"


@pytest.mark.parametrize("cuts", [[], [1], [2, 2, 3], [0, 4]])
def test_parts_join_to_the_whole_also_ragged_and_empty_ones(prediction: Prediction, cuts: list[int]) -> None:
    parts = [prediction.take(rows) for rows in np.split(np.arange(4), cuts)]
    joined = Prediction.join(parts)
    assert np.array_equal(joined.columns["scores"], prediction.columns["scores"])
    assert [tags.tolist() for tags in joined.columns["tags"]] == [[1], [2, 3], [], [4, 5, 6]]


def test_a_prediction_of_nothing_has_length_0(prediction: Prediction) -> None:
    assert len(prediction.take(np.empty(0, dtype=np.int64))) == 0


def test_a_tap_is_known_by_boundary_and_form() -> None:
    assert Tap("layer3").key == "layer3.pooled" and Tap("layer3", "map").key == "layer3.map"
    assert Tap("layer3") == Tap("layer3", "pooled")


def test_a_state_moves_with_all_that_it_holds() -> None:
    state = State(torch.ones(2, 3), {"mask": torch.ones(2, 3)}, {"a.pooled": torch.ones(2, 1)})
    moved = state.to("meta")
    assert {value.device.type for value in (moved.hidden, *moved.context.values(), *moved.taps.values())} == {"meta"}
    assert moved.context.keys() == {"mask"} and moved.taps.keys() == {"a.pooled"}
    assert state.hidden.device.type == "cpu"


def test_a_state_is_frozen() -> None:
    with pytest.raises(AttributeError):
        State(torch.ones(1)).hidden = torch.zeros(1)  # type: ignore[misc]


def test_a_figure_is_written_with_its_interval() -> None:
    figure = Figure(0.9, 0.85, 0.94, 153)
    assert json.loads(json.dumps(figure.to_json())) == {"value": 0.9, "low": 0.85, "high": 0.94, "n": 153}
