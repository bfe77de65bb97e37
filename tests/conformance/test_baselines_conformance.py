"""Every baseline: it suits data of its own kind, learns what they plainly show, and gives the same scores each time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from plugins import every, sample, sample_for

from detected_boxes import box, boxed
from headstart.contracts.baseline import Baseline, FromScores, Labelled
from headstart.contracts.examples import Examples, Schema
from headstart.contracts.modality import modality_named
from headstart.contracts.prediction import Prediction
from headstart.contracts.task import BoundTask, Task
from headstart.kernel import registry
from headstart.media.audio import as_file
from masked_pictures import masked_pictures, png
from small_sounds import tone
from tagged_texts import tagged_texts

N, HELD_OUT = 60, 20


class _Backbone:
    """A task binds to it."""

    width = 4

    def maps(self) -> tuple[()]:
        """None."""
        return ()


class Case(tuple[str, Examples]):
    """The name of a task and examples of it, which tell their targets plainly."""


def _texts(_: Path) -> Case:
    return _labelled("text", [f"row {k} is {('cold', 'warm', 'hot')[k % 3]}" for k in range(N)])


def _table(_: Path) -> Case:
    return _labelled("table", [float(k % 3) for k in range(N)])


def _pictures(_: Path) -> Case:
    colours = np.eye(3, dtype=np.uint8)[np.arange(N) % 3] * 200
    return _labelled("image", [png(np.full((20, 20, 3), colour, np.uint8)) for colour in colours])


def _sounds(_: Path) -> Case:
    pytest.importorskip("soundfile", reason="audio needs the extra 'audio'")
    waves = [tone((300, 800, 2000)[k % 3] + 5 * k, 0.1, 16_000, seed=k) for k in range(N)]
    return _labelled("audio", [as_file(wave, 16_000) for wave in waves])


def _labelled(modality: str, inputs: list[object]) -> Case:
    rows = {"x": inputs, "kind": ["abc"[k % 3] for k in range(N)], "origin": [str(k) for k in range(N)]}
    schema = Schema(modality=modality, inputs=("x",), targets={"label": "kind"}, origin="origin")
    return Case(("classification", Examples(pa.table(rows), schema)))


def _boxes_at(left: Callable[[int], int]) -> Examples:
    """Pictures of 96 pixels with a box of 30 pixels each."""
    return boxed([[box("cell", left(k), left(k), left(k) + 30, left(k) + 30)] for k in range(N)])


CASES: dict[str, Callable[[Path], Case]] = {
    "tfidf": _texts,
    "boosting": _table,
    "histograms": _pictures,
    "spectra": _sounds,
    "word_shapes": lambda _: Case(("tagging", tagged_texts(N))),
    "pixel_texture": lambda _: Case(("segmentation", masked_pictures(30))),
    "majority": _texts,
    "blobs": lambda _: Case(("detection", _boxes_at(lambda k: 8 + 5 * (k % 7)))),
    "usual_boxes": lambda _: Case(("detection", _boxes_at(lambda k: (0, 34, 66)[k % 3]))),
}


def _bound(case: Case) -> tuple[BoundTask, Examples]:
    name, examples = case
    task: Task = registry.plugin("tasks", name)()
    return task.bind(examples, _Backbone()), examples


def _fitted(baseline: Baseline, case: Case) -> tuple[BoundTask, Examples, Prediction]:
    task, examples = _bound(case)
    assert isinstance(task, FromScores)
    train, test = np.arange(len(examples) - HELD_OUT), np.arange(len(examples) - HELD_OUT, len(examples))
    targets, inputs = task.targets(examples), task.inputs(examples)
    learnt = Labelled(examples.take(train), _of(targets, train), _of(inputs, train), task.outputs, None)
    scores = baseline.fit(learnt, baseline.strengths[:1], seed=0)[baseline.strengths[0]]
    asked = examples.take(test)
    prediction = task.from_scores(scores(asked, _of(inputs, test)), _of(inputs, test))
    return task, asked, task.evaluation.finish(prediction, {})


def _of(values: object, rows: np.ndarray) -> dict[str, np.ndarray]:
    return {name: column[rows] for name, column in dict(values).items()}  # type: ignore[call-overload]


@every("baselines")
def test_it_learns_what_the_inputs_plainly_show(name: str, tmp_path: Path) -> None:
    baseline = sample("baselines", name)
    case = sample_for("baselines", name, tmp_path, CASES, Case, needs="a task and examples of it")
    task, asked, prediction = _fitted(baseline, case)
    found = task.evaluation.primary.score(task.targets(asked), prediction)
    assert found > 0.85 if baseline.informed else found == pytest.approx(1 / 3, abs=0.1)


@every("baselines")
def test_equal_data_give_equal_scores(name: str, tmp_path: Path) -> None:
    baseline = sample("baselines", name)
    case = sample_for("baselines", name, tmp_path, CASES, Case, needs="a task and examples of it")
    once, again = (_fitted(baseline, case)[2] for _ in range(2))
    for column in once.columns:
        np.testing.assert_equal(list(again.columns[column]), list(once.columns[column]))


@every("baselines")
def test_it_suits_its_own_data_and_no_baseline_that_reads_inputs_suits_every_modality(
    name: str, tmp_path: Path
) -> None:
    baseline = sample("baselines", name)
    case = sample_for("baselines", name, tmp_path, CASES, Case, needs="a task and examples of it")
    task, examples = _bound(case)
    assert baseline.suits(modality_named(examples.schema.modality), task)
    others = [other for other in registry.names("modalities") if baseline.suits(modality_named(other), task)]
    assert not baseline.informed or len(others) < len(registry.names("modalities"))
