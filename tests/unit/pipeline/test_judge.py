"""Every arm is judged on the same examples, and what a report shows of them is true."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from sklearn.metrics import accuracy_score, log_loss

from headstart.contracts.examples import Examples, Schema
from headstart.contracts.prediction import Prediction
from headstart.contracts.presentation import presentation_of
from headstart.pipeline.judge import MOST_MISTAKES, Judged, cards, judge
from headstart.tasks.classification.task import Classification
from headstart.tasks.regression.task import Regression

N = 200
LABELS = np.arange(N) % 2
TASK = Classification().restore({"classes": ("ant", "bee"), "counts": (50, 50)})


def prediction(error: float, seed: int) -> Prediction:
    """Right but for a share of the examples."""
    draws = np.random.default_rng(seed)
    wrong = draws.random(N) < error
    sure = draws.uniform(0.6, 0.99, N)
    right = np.where(wrong, 1 - sure, sure)
    second = np.where(LABELS == 1, right, 1 - right)
    return Prediction({"probabilities": np.stack([1 - second, second], axis=1)})


def texts(**columns: Any) -> Examples:
    table = pa.table({"text": [f"text {k}" for k in range(N)], "origin": [f"row {k}" for k in range(N)], **columns})
    return Examples(table, Schema(modality="text", inputs=("text",), origin="origin", slices=tuple(columns)))


def judged(groups: np.ndarray | None = None, **columns: Any) -> Judged:
    arms = {"model": prediction(0.05, 0), "probe": prediction(0.06, 1), "scratch": prediction(0.35, 2)}
    return judge(TASK, texts(**columns), {"label": LABELS}, arms, groups, 0)


def test_the_figures_of_every_arm_are_scikit_learns_with_intervals_around_them() -> None:
    found = judged()
    assert list(found.figures) == ["model", "probe", "scratch"]
    for arm, error, seed in (("model", 0.05, 0), ("scratch", 0.35, 2)):
        chances = prediction(error, seed).columns["probabilities"]
        row = found.figures[arm]["accuracy"]
        assert row.value == pytest.approx(accuracy_score(LABELS, chances.argmax(axis=1)))
        assert row.low < row.value < row.high and row.n == N
        assert found.figures[arm]["log_loss"].value == pytest.approx(log_loss(LABELS, chances))
    assert found.figures["model"].keys() == {metric.name for metric in TASK.evaluation.metrics}


def test_the_model_is_compared_with_every_other_arm_by_the_primary_metric() -> None:
    against = {comparison.against: comparison for comparison in judged().comparisons}
    assert against.keys() == {"probe", "scratch"}
    assert against["scratch"].verdict == "better" and against["scratch"].difference.low > 0
    assert against["probe"].verdict == "not significant"
    assert {comparison.metric for comparison in against.values()} == {"accuracy"}
    found = judged()
    expected = found.figures["model"]["accuracy"].value - found.figures["scratch"]["accuracy"].value
    assert against["scratch"].difference.value == pytest.approx(expected)


def test_groups_are_what_the_figures_rest_on() -> None:
    grouped, alone = judged(np.arange(N) // 20), judged()
    assert grouped.figures["model"]["accuracy"].n == 10
    assert grouped.figures["model"]["accuracy"].value == alone.figures["model"]["accuracy"].value
    assert grouped.comparisons[0].difference.n == 10


def test_the_same_seed_gives_the_same_figures() -> None:
    assert judged().figures == judged().figures


def test_slices_have_figures_of_their_own_and_the_worst_is_named() -> None:
    right = prediction(0.05, 0).columns["probabilities"].argmax(axis=1) == LABELS
    camera = np.where(right, "phone", "microscope")
    camera[np.flatnonzero(right)[:3]] = "microscope"
    camera[np.flatnonzero(right)[3:5]] = "rare"
    found = judged(camera=camera.tolist(), site=["north", "south"] * (N // 2))
    rows = {(row.column, row.value): row for row in found.slices}
    microscope = camera == "microscope"
    assert rows["camera", "microscope"].n == microscope.sum()
    assert rows["camera", "microscope"].figures["accuracy"].value == pytest.approx(right[microscope].mean())
    assert rows["camera", "phone"].figures["accuracy"].value == 1.0
    assert rows["camera", "rare"].figures == {} and rows["camera", "rare"].n == 2
    assert rows["site", "north"].n == rows["site", "south"].n == N // 2
    assert found.worst_slice == "camera = microscope"
    assert [note for note in found.slice_notes if note.startswith("camera: 1 value")]


def test_without_slices_nothing_is_said_of_them() -> None:
    found = judged()
    assert found.slices == () and found.worst_slice == "" and found.slice_notes == ()


def test_exhibits_are_those_of_the_model() -> None:
    arms = {"model": prediction(0.05, 0), "scratch": prediction(0.35, 2)}
    found = judge(TASK, texts(), {"label": LABELS}, arms, None, 0)
    assert found.panels == presentation_of(TASK).panels(arms["model"], {"label": LABELS})


def test_mistakes_come_with_input_and_origin_the_worst_first() -> None:
    shown = judged().mistakes
    probabilities = prediction(0.05, 0).columns["probabilities"]
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != LABELS)
    assert [card.row for card in shown] == sorted(wrong, key=lambda row: -probabilities[row].max())
    for card in shown:
        assert card.origin == f"row {card.row}" and card.text == f"text {card.row}" and card.thumbnail == ""
        assert card.truth == TASK.classes[LABELS[card.row]] != card.predicted


def test_mistakes_are_not_endless() -> None:
    poor = prediction(0.9, 3)
    assert len(cards(TASK, texts(), {"label": LABELS}, poor)) == MOST_MISTAKES


def test_a_perfect_model_has_no_mistakes() -> None:
    assert cards(TASK, texts(), {"label": LABELS}, prediction(0.0, 0)) == ()


def card_of(examples: Examples) -> Any:
    """The card of the one wrong prediction, in the first row."""
    wrong = Prediction({"value": np.array([9.0, 2.0])})
    (card,) = cards(Regression().restore({"mean": 0, "scale": 1}), examples, {"label": np.array([1.0, 2.0])}, wrong)
    return card


def test_pictures_are_shown_as_small_jpegs(tmp_path: Path) -> None:
    for name, size in (("large", (600, 400)), ("tiny", (8, 8))):
        Image.new("RGB", size, (200, 10, 10)).save(tmp_path / f"{name}.png")
        table = pa.table({"path": [f"{name}.png", "missing.png"]})
        schema = Schema(modality="image", inputs=("path",), origin="path", root=str(tmp_path))
        card = card_of(Examples(table, schema))
        assert card.origin == f"{name}.png" and card.text == "" and card.weight_text == "off by 8"
        header, _, body = card.thumbnail.partition(",")
        picture = Image.open(io.BytesIO(base64.b64decode(body)))
        assert header == "data:image/jpeg;base64" and picture.format == "JPEG"
        assert 32 <= max(picture.size) <= 144
        assert picture.getpixel((4, 4))[0] > 150  # type: ignore[index]


def test_a_picture_that_has_gone_meanwhile_is_no_error(tmp_path: Path) -> None:
    table = pa.table({"path": ["gone.png", "gone too.png"]})
    schema = Schema(modality="image", inputs=("path",), origin="path", root=str(tmp_path))
    card = card_of(Examples(table, schema))
    assert card.thumbnail == "" and card.origin == "gone.png"


def test_pairs_of_texts_numbers_and_long_texts_are_shown_in_words() -> None:
    pair = pa.table({"one": ["is it?", "x"], "two": ["it is", "y"]})
    schema = Schema(modality="text", inputs=("one", "two"), origin="one")
    assert card_of(Examples(pair, schema)).text == "is it? ⟂ it is"
    long = pa.table({"text": ["word " * 1000, "x"]})
    assert len(card_of(Examples(long, Schema(modality="text", inputs=("text",), origin="text"))).text) == 600
    columns = {f"x{k}": [k + 0.123456, 0.0] for k in range(30)}
    table = pa.table({**columns, "origin": ["a", "b"]})
    numbers = card_of(Examples(table, Schema(modality="table", inputs=tuple(columns), origin="origin"))).text
    assert numbers.startswith("0.1235, 1.123, 2.123") and len(numbers.split(", ")) == 24
