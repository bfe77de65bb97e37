from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from headstart.augmentations.affine import Affine
from headstart.contracts.carriers import State
from headstart.engine.streams import PreparedInputs, Stream, by_length, selected
from headstart.kernel.errors import SettingsError
from tiny_backbone import TinyBackbone, numeric_examples


def make_stream(rows: int = 33, batch_size: int = 8, seed: int = 0) -> Stream:
    examples = numeric_examples(np.arange(4.0 * rows).reshape(rows, 4), list(range(rows)))
    source = PreparedInputs(TinyBackbone(), examples)
    return Stream("source", np.arange(rows), {"label": np.arange(rows)}, source, batch_size, seed)


def test_an_epoch_sees_every_row_once_in_an_order_of_its_own() -> None:
    stream = make_stream()
    first, second = stream.order(0), stream.order(1)
    assert sorted(np.concatenate(first)) == list(range(33))
    assert not np.array_equal(np.concatenate(first), np.concatenate(second))


def test_the_order_is_a_pure_function_of_seed_and_epoch() -> None:
    again = make_stream().order(3)
    assert all(np.array_equal(a, b) for a, b in zip(make_stream().order(3), again))
    assert not np.array_equal(np.concatenate(make_stream(seed=1).order(3)), np.concatenate(again))


def test_no_batch_is_left_with_a_single_example() -> None:
    assert [len(rows) for rows in make_stream(33, 32).order(0)] == [33]
    assert min(len(rows) for rows in make_stream(65, 8).order(0)) >= 8


def test_a_batch_holds_inputs_of_like_length_and_an_epoch_every_row() -> None:
    lengths = np.random.default_rng(0).integers(1, 100, 1000)
    stream = replace(make_stream(1000), lengths=lengths)
    batches = stream.order(0)
    assert sorted(np.concatenate(batches)) == list(range(1000))
    assert np.mean([np.ptp(lengths[rows]) for rows in batches]) < 10
    assert np.mean([np.ptp(lengths[rows]) for rows in make_stream(1000).order(0)]) > 60
    means = [lengths[rows].mean() for rows in batches]
    assert abs(np.corrcoef(np.arange(len(means)), means)[0, 1]) < 0.3, "lengths must come in no order"
    assert not np.array_equal(batches[0], stream.order(1)[0])


def test_rows_by_length_keep_the_order_of_equals() -> None:
    assert by_length(np.array([4, 2, 0]), np.array([5, 0, 1, 0, 5])).tolist() == [2, 4, 0]


def test_a_batch_carries_its_rows_targets_and_inputs() -> None:
    batch = make_stream().batch(np.array([3, 1]))
    assert batch.rows.tolist() == [3, 1]
    assert batch.targets["label"].tolist() == [3, 1]
    assert batch.state.hidden[0].tolist() == [12.0, 13.0, 14.0, 15.0]


def test_kept_inputs_equal_prepared_ones() -> None:
    source = make_stream().source
    first = source(np.array([5, 2, 7]))
    assert torch.equal(source(np.array([7, 5])).hidden, first.hidden[[2, 0]])


def test_views_depend_on_seed_epoch_and_example_alone() -> None:
    images = torch.rand(4, 3, 8, 8)

    def stream(batch_size: int) -> Stream:
        return Stream("source", np.arange(4), {}, lambda rows: State(images[rows]), batch_size, 0, Affine())

    together = stream(4).batch(np.arange(4), epoch=2).state.hidden
    alone = torch.cat([stream(1).batch(np.array([row]), epoch=2).state.hidden for row in range(4)])
    torch.testing.assert_close(together, alone)
    assert not torch.allclose(together, stream(4).batch(np.arange(4), epoch=3).state.hidden)
    assert torch.equal(stream(4).batch(np.arange(4)).state.hidden, images)


ROWS = {"source": np.arange(4), "domain:a": np.arange(2), "domain:b": np.arange(2, 4), "domain:c": np.arange(0)}


def test_an_objective_gets_the_streams_it_names_and_each_domain_where_it_asks_for_all() -> None:
    some = {name: rows for name, rows in ROWS.items() if len(rows)}
    assert selected(("source",), some) == ("source",)
    assert selected(("domain:b", "source"), some) == ("domain:b", "source")
    assert selected(("source", "domain:*"), some) == ("source", "domain:a", "domain:b")


@pytest.mark.parametrize(
    ("wanted", "rows", "message"),
    [
        (("source", "target"), ROWS, "'target', which the data do not have"),
        (("domain:d",), ROWS, "'domain:d', which the data do not have"),
        (("domain:*",), {"source": np.arange(4)}, "Name the column of the domain with --domain"),
        (("domain:*",), ROWS, "'domain:c', which has no training rows"),
    ],
)
def test_a_stream_that_is_not_there_is_named(wanted: tuple[str, ...], rows: Any, message: str) -> None:
    with pytest.raises(SettingsError, match=message.replace("*", r"\*")):
        selected(wanted, rows)
