"""What labels are taken for."""

from __future__ import annotations

import datetime

import pyarrow as pa
import pytest

from headstart.contracts.examples import Examples
from headstart.kernel.errors import DataError
from headstart.tasks._label_kinds import class_name, kind_of, label_kind, natural_order
from headstart.tasks.classification.task import Classification
from headstart.tasks.regression.task import Regression
from labelled import labelled


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (None, "missing"),
        (float("nan"), "missing"),
        ("  ", "missing"),
        (True, "truth"),
        (3, "whole"),
        (3.0, "whole"),
        (3.5, "decimal"),
        (float("inf"), "decimal"),
        ("3", "string"),
        ([1], "other"),
    ],
)
def test_the_kind_of_a_value(value: object, kind: str) -> None:
    assert kind_of(value) == kind


def test_names_sort_as_people_count() -> None:
    names = ["grade 10", "grade 2", "b", "10", "9", "-1", "0.5"]
    assert sorted(names, key=natural_order) == ["-1", "0.5", "9", "10", "b", "grade 2", "grade 10"]


def test_a_whole_float_has_the_name_of_its_integer() -> None:
    assert [class_name(value) for value in (3, 3.0, 3.5, True, "x")] == ["3", "3", "3.5", "True", "x"]


def test_mixed_kinds_are_refused_with_an_example_of_each() -> None:
    with pytest.raises(DataError, match=r"'kind'.*1 in row-0, True in row-1"):
        label_kind(Examples(mixed_table(), labelled([1]).schema))


def mixed_table() -> pa.Table:
    """A column that holds a number and a truth value, as a union has them."""
    values = pa.UnionArray.from_sparse(pa.array([0, 1], pa.int8()), [pa.array([1, 1]), pa.array([True, True])])
    return pa.table({"text": ["a", "b"], "kind": values, "origin": ["row-0", "row-1"]})


def test_labels_that_are_neither_text_nor_number_are_refused() -> None:
    with pytest.raises(DataError, match="is a date; a label is a text"):
        label_kind(labelled([datetime.date(2020, 1, 1)] * 3))


def test_data_without_any_label_are_refused() -> None:
    with pytest.raises(DataError, match="no example has a label"):
        label_kind(labelled([None, None]))


@pytest.mark.parametrize(
    ("labels", "task"),
    [
        (["a", "b"] * 10, "classification"),
        ([True, False] * 10, "classification"),
        ([1, 2, 3, None] * 10, "classification"),
        ([1.0, 2.0] * 10, "classification"),
        (pa.array(["x", "y"] * 5).dictionary_encode(), "classification"),
        (list(range(30)) * 20, "classification"),
        (list(range(30)) * 2, "regression"),
        (list(range(12)), "regression"),
        ([k / 3 for k in range(50)], "regression"),
        ([0.5, 1.0, 1.5] * 20, "regression"),
        (list(range(1100)) * 30, "regression"),
    ],
)
def test_exactly_one_task_suits(labels: list[object], task: str) -> None:
    examples = labelled(labels)
    reasons = {"classification": Classification.suits(examples), "regression": Regression.suits(examples)}
    assert [name for name, reason in reasons.items() if reason] == [task]


def test_unlabelled_data_suit_neither() -> None:
    examples = labelled(["a", "b"])
    unlabelled = Examples(examples.table, examples.schema.model_copy(update={"targets": {}}))
    assert Classification.suits(unlabelled) is None and Regression.suits(unlabelled) is None
