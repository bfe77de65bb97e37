from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from headstart.backbones.table_features import TableFeatures
from headstart.contracts.carriers import State, Tap
from headstart.kernel import registry
from headstart.kernel.errors import BackboneError, DataError
from headstart.kernel.user_settings import build


def test_columns_come_out_as_they_went_in() -> None:
    backbone = TableFeatures(columns=3).load()
    rows = [np.array([1.0, -2.0, 0.5]), np.array([4.0, 5.0, 6.0])]
    state = backbone.segment(0, 1, (Tap("columns"),))(backbone.prepare(rows))
    pooled = backbone.features(state).pooled
    assert pooled.dtype == torch.float32
    np.testing.assert_array_equal(pooled.numpy(), np.stack(rows).astype(np.float32))
    assert torch.equal(state.taps["columns.pooled"], pooled)
    assert backbone.width == 3 and backbone.modality == "table"
    assert list(backbone.module.parameters()) == [] and backbone.boundary_names() == ("input", "columns")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_what_is_no_finite_float32_is_refused(value: float) -> None:
    with pytest.raises(DataError, match="NaN"):
        TableFeatures(columns=2).load().prepare([np.array([1.0, value])])


def test_a_vector_of_another_length_is_refused() -> None:
    with pytest.raises(DataError, match="has 3 numbers; expected 2"):
        TableFeatures(columns=2).load().prepare([np.zeros(3)])


def test_a_tap_that_is_not_there_is_an_error() -> None:
    backbone = TableFeatures(columns=2).load()
    with pytest.raises(BackboneError, match="'input' cannot be tapped"):
        backbone.segment(0, 1, (Tap("input"),))
    with pytest.raises(BackboneError, match="'columns' cannot be tapped"):
        backbone.segment(1, 1, (Tap("columns"),))


def test_the_description_rebuilds_it(tmp_path: Path) -> None:
    backbone = TableFeatures(columns=4).load()
    given = backbone.describe()
    again = build(registry.plugin("backbones", given["plugin"]), given["settings"], where="backbone").rebuild(tmp_path)
    assert again.describe() == given and again.width == 4
    assert again.weights_hash() == backbone.weights_hash() == backbone.fresh(1).weights_hash()
    hidden = torch.ones(2, 4)
    assert torch.equal(again.features(State(hidden)).pooled, hidden)


def test_it_is_chosen_for_tables_only() -> None:
    assert TableFeatures.modality == "table" and TableFeatures.known() == ["table_features"]
    chosen = TableFeatures.automatic()
    assert chosen is not None and TableFeatures.suits(chosen[0])
