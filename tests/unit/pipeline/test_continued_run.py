"""Heads that go on: old weights bit for bit, new classes beside them; which tests an earlier run spoils."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from head_shapes import SHAPES, Shapes
from headstart.kernel.errors import DataError, RunError
from headstart.pipeline.continued_run import widened
from headstart.pipeline.own_test_part import in_words
from headstart.pipeline.record import FigureRow, Forgetting
from headstart.tasks.classification.task import Classification
from headstart.tasks.multilabel.task import MultiLabel
from headstart.tasks.regression.task import Regression
from headstart.tasks.tagging.task import Tagging
from labelled import labelled
from metric_infos import metric_infos
from tagged_texts import tagged_texts


def linear(outputs: int, seed: int) -> nn.Linear:
    torch.manual_seed(seed)
    return nn.Linear(5, outputs)


def test_old_rows_stay_bit_for_bit_and_new_ones_are_fresh() -> None:
    old, fresh = linear(3, 0), linear(5, 1)
    untouched = fresh.weight.detach()[3:].clone()
    new = widened(old, fresh)
    assert torch.equal(new.weight[:3], old.weight) and torch.equal(new.bias[:3], old.bias)
    assert torch.equal(new.weight[3:], untouched)


def test_a_head_of_several_layers_goes_on_in_each() -> None:
    old = nn.Sequential(nn.Linear(4, 6), nn.Linear(6, 2))
    new = widened(old, nn.Sequential(nn.Linear(4, 6), nn.Linear(6, 3)))
    assert torch.equal(new[0].weight, old[0].weight) and torch.equal(new[1].weight[:2], old[1].weight)  # type: ignore[index]


@pytest.mark.parametrize("new", [nn.Linear(5, 2), nn.Linear(4, 3), nn.Conv2d(5, 3, 1), nn.Linear(5, 3, bias=False)])
def test_a_head_that_has_no_place_for_the_old_one_is_refused(new: nn.Module) -> None:
    with pytest.raises(RunError, match="has no place in the new head"):
        widened(linear(3, 0), new)


def test_new_classes_come_after_the_known_ones_and_missing_ones_stay() -> None:
    task = (
        Classification().bind(labelled(["cat", "dog", "cat"]), SHAPES).extended(labelled(["ant", "dog", "bee"]), SHAPES)
    )
    assert task.classes == ("cat", "dog", "ant", "bee") and task.counts == (0, 1, 1, 1)
    assert task.targets(labelled(["bee", "cat"]))["label"].tolist() == [3, 0]


def test_more_data_may_hold_one_class_alone() -> None:
    task = Classification().bind(labelled(["cat", "dog"]), SHAPES)
    assert task.extended(labelled(["dog", "dog"]), SHAPES).classes == ("cat", "dog")


def test_regression_keeps_mean_and_scale_and_refuses_texts() -> None:
    task = Regression().bind(labelled([1.5, 2.5, 9.25]), SHAPES)
    assert task.extended(labelled([100.5, 900.5]), SHAPES) == task
    assert task.extended(labelled([3.5, 3.5]), SHAPES) == task
    with pytest.raises(DataError, match="is not a number"):
        task.extended(labelled(["a", "b"]), SHAPES)


def test_label_sets_and_tags_grow_too() -> None:
    sets = MultiLabel().bind(labelled([["b"], []]), SHAPES).extended(labelled([["a", "b"], []]), SHAPES)
    assert sets.classes == ("b", "a")
    texts = tagged_texts(30)
    known = Tagging().bind(texts, SHAPES)
    first = known.types[:1]
    few = known.model_copy(update={"types": first})
    assert few.extended(texts, SHAPES).types[:1] == first and set(few.extended(texts, SHAPES).types) == set(known.types)
    assert few.extended(texts, SHAPES).tags.names[: len(few.tags.names)] == few.tags.names


def row(value: float, low: float, high: float) -> FigureRow:
    return FigureRow(value=value, low=low, high=high, n=40)


@pytest.mark.parametrize(
    ("verdict", "difference", "beginning"),
    [
        ("worse", row(-0.15, -0.22, -0.08), "FORGETTING on 40 old test examples of runs/a: Accuracy 95.0 %"),
        ("not significant", row(-0.01, -0.05, 0.03), "No significant forgetting on 40 old test examples"),
        ("better", row(0.04, 0.01, 0.07), "Better on 40 old test examples"),
    ],
)
def test_forgetting_in_words(verdict: str, difference: FigureRow, beginning: str) -> None:
    before, after = row(0.95, 0.9, 0.98), row(0.95 + difference.value, 0.7, 0.99)
    found = Forgetting(
        run="runs/a",
        examples=40,
        metric="accuracy",
        before={"accuracy": before},
        after={"accuracy": after},
        difference=difference,
        verdict=verdict,
    )
    words = in_words(found, metric_infos("accuracy")["accuracy"])
    assert words.startswith(beginning) and "points" in words and "before" in words and "after" in words


def test_what_cannot_be_compared_says_why() -> None:
    found = Forgetting(run="runs/a", notes=("the data are gone",))
    assert in_words(found, metric_infos("accuracy")["accuracy"]) == "Forgetting unknown: the data are gone."


def test_the_new_rows_of_a_widened_head_are_small() -> None:
    task = Classification().bind(labelled(["cat", "dog"]), SHAPES).extended(labelled(["ant", "dog"]), SHAPES)
    torch.manual_seed(0)
    new = widened(linear(2, 0), task.head(Shapes(5)))
    assert 0 < np.abs(new.weight.detach().numpy()[2]).max() < 0.1 and new.bias[2].item() == 0.0  # type: ignore[operator, union-attr, index]
