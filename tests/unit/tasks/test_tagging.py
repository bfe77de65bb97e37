"""Tagging: what it learns from labels, its refusals, its rows, and texts in windows."""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from head_shapes import SHAPES, Shapes
from headstart.contracts.backbone import Backbone
from headstart.contracts.carriers import State
from headstart.contracts.examples import Examples, Schema
from headstart.contracts.features import Features
from headstart.contracts.modality import raws_of
from headstart.contracts.prediction import Prediction
from headstart.contracts.presentation import presentation_of
from headstart.kernel.errors import BackboneError, DataError
from headstart.media.words import words_of
from headstart.tasks.tagging.task import BoundTagging, Tagging
from headstart.tasks.tagging.windows import _most_context
from headstart.tasks.tagging.words import as_ragged
from tagged_texts import examples_of, span, tagged_texts

ANN = "Ann Lee met Bo in Rome."
SPANS = [span(0, 7, "per"), span(12, 14, "per"), span(18, 22, "loc")]
EXAMPLES = examples_of([ANN, "it rained"], [SPANS, []])


def bound(examples: Examples = EXAMPLES, **settings: Any) -> BoundTagging:
    return Tagging(**settings).bind(examples, SHAPES)


def test_binding_learns_the_types() -> None:
    assert bound().types == ("loc", "per") and bound().several_words
    assert bound(types=("per", "loc", "org")).types == ("per", "loc", "org")


def test_tags_begin_and_go_on() -> None:
    task = bound()
    names = task.tags.names
    tags = task.targets(EXAMPLES)["tags"]
    assert [names[tag] for tag in tags[0]] == ["B-per", "I-per", "O", "B-per", "O", "B-loc", "O"]
    assert tags[1].tolist() == [0, 0]


def test_neighbours_of_one_type_stay_two() -> None:
    examples = examples_of(["Ann Bo"], [[span(0, 3, "per"), span(4, 6, "per")]])
    task = bound(examples, types=("per",))
    assert len(task.tags.entities(task.targets(examples)["tags"][0])) == 2


def test_where_every_tag_is_a_words_own_there_are_no_tags_for_going_on() -> None:
    examples = examples_of(["it rains now"], [[span(0, 2, "PRON"), span(3, 8, "VERB")]])
    assert bound(examples).tags.names == ("O", "B-PRON", "B-VERB")
    with pytest.raises(DataError, match="span of several words"):
        bound(examples).targets(examples_of(["it rains"], [[span(0, 8, "VERB")]]))


def test_given_words_are_taken_before_found_ones() -> None:
    table = pa.table(
        {
            "text": ["it 's Ann-Lee"],
            "words": [[{"start": 0, "end": 2}, {"start": 3, "end": 5}, {"start": 6, "end": 13}]],
            "spans": [[span(6, 13, "per")]],
            "origin": ["row 0"],
        }
    )
    schema = Schema(modality="text", inputs=("text",), targets={"spans": "spans"}, words="words", origin="origin")
    examples = Examples(table, schema)
    assert bound(examples).targets(examples)["tags"][0].tolist() == [0, 0, 1]
    assert bound(examples).inputs(examples)["words"][0].tolist() == [[0, 2], [3, 5], [6, 13]]


@pytest.mark.parametrize(
    ("examples", "fault"),
    [
        (examples_of(["a", "b"], [[], []]), "none of the 2 texts has a labelled span"),
        (examples_of(["a", "b"], [[span(0, 1, "x")], None]), r"1 of 2 texts have no label, first row 1"),
        (
            Examples(
                pa.table({"text": ["a"], "label": ["x"], "origin": ["0"]}),
                Schema(modality="text", inputs=("text",), targets={"label": "label"}, origin="origin"),
            ),
            "needs labelled spans of characters; the labels are: label",
        ),
        (
            Examples(
                pa.table({"a": ["a"], "b": ["a"], "spans": [[span(0, 1, "x")]], "origin": ["0"]}),
                Schema(modality="text", inputs=("a", "b"), targets={"spans": "spans"}, origin="origin"),
            ),
            "one text per example; the data hold pairs of texts",
        ),
    ],
)
def test_what_cannot_be_tagged_is_refused(examples: Examples, fault: str) -> None:
    with pytest.raises(DataError, match=fault):
        Tagging().bind(examples, SHAPES)


def test_a_type_that_training_had_not_is_named_with_its_row() -> None:
    with pytest.raises(DataError, match=r"row 0: entity type 'lok' is not known\. Did you mean 'loc'\?"):
        bound().targets(examples_of(["Rome"], [[span(0, 4, "lok")]]))


def test_a_backbone_without_places_is_refused() -> None:
    features = Features(torch.zeros(1, 4), torch.zeros(1, 3, 4), torch.ones(1, 3))
    words = {"words": torch.zeros(1, 1, 2, dtype=torch.int64)}
    with pytest.raises(BackboneError, match="does not say where its tokens lie"):
        bound().forward(bound().head(Shapes(4)), features, words)


def certain(task: BoundTagging, examples: Examples) -> Prediction:
    """Scores that leave no doubt about the truth."""
    tags, words = task.targets(examples)["tags"], task.inputs(examples)["words"]
    logits = [np.eye(len(task.tags.names))[row] * 9 for row in tags]
    return task.evaluation.finish(Prediction({"logits": as_ragged(logits), "words": words}), {})


def test_rows_give_spans_in_characters_with_scores() -> None:
    task = bound()
    found = [json.loads(cell) for cell in presentation_of(task).columns(certain(task, EXAMPLES))["prediction"]]
    assert [{k: v for k, v in item.items() if k != "score"} for item in found[0]] == SPANS
    assert all(0.99 < item["score"] <= 1 for item in found[0]) and found[1] == []


def test_the_worst_texts_have_marks() -> None:
    task = bound()
    prediction = certain(task, EXAMPLES)
    wrong = {"tags": as_ragged([np.zeros(7, np.int64), np.zeros(2, np.int64)])}
    (mistake,) = presentation_of(task).mistakes(prediction, wrong, 5)
    assert mistake.row == 0 and mistake.weight == 3 and mistake.truth == "no entity"
    assert mistake.predicted == "per 0-7, per 12-14, loc 18-22"
    assert [(mark.start, mark.end, mark.label) for mark in mistake.predicted_marks] == [
        (0, 7, "per"),
        (12, 14, "per"),
        (18, 22, "loc"),
    ]


def test_a_type_in_a_single_text_says_little_of_itself() -> None:
    examples = examples_of([ANN, *["it rained"] * 40], [SPANS, *[[]] * 40])
    task = bound(examples)
    nothing = {"tags": as_ragged([np.zeros_like(row) for row in task.targets(examples)["tags"]])}
    (table, *_) = presentation_of(task).panels(Prediction(nothing), task.targets(examples))
    assert [row[:4] for row in table.rows] == [("loc", None, 0.0, 0.0), ("per", None, 0.0, 0.0)]
    assert {row[4] for row in table.rows} == {"too few texts: 1"}


def test_strata_are_the_rarest_types() -> None:
    examples = tagged_texts(60)
    task = bound(examples)
    tags, strata = task.targets(examples)["tags"], Tagging().split_policy(examples).strata
    kinds = [set(task.tags.kinds[row].tolist()) - {-1} for row in tags]
    counts = {kind: sum(kind in held for held in kinds) for kind in (0, 1)}
    rarest = min(counts, key=lambda kind: counts[kind])
    assert all(stratum == 0 for stratum, held in zip(strata, kinds) if not held)
    assert all(stratum == rarest + 1 for stratum, held in zip(strata, kinds) if rarest in held)


def test_labels_are_counted_by_type() -> None:
    assert dict(presentation_of(bound()).tally(presentation_of(bound()).labels(EXAMPLES))) == {"per": 2, "loc": 1}


class ShortSighted(Backbone):
    """Reads 20 characters at a time, a window beginning every 10."""

    modality, name, origin = "text", "short", "test"

    def windows(self, raw: Any) -> tuple[tuple[int, int], ...]:
        if len(raw) <= 20:
            return ()
        return tuple((start, min(start + 20, len(raw))) for start in range(0, len(raw) - 10, 10))

    def __init__(self) -> None:
        pass

    def prepare(self, raws: Any) -> Any: ...
    def length(self, raw: Any) -> int: ...  # type: ignore[empty-body]
    def preparation(self) -> Any: ...
    def segment(self, start: int, stop: int, taps: Any = ()) -> Any: ...
    def features(self, state: State) -> Any: ...
    def describe(self) -> Any: ...
    def fresh(self, seed: int) -> Any: ...


LONG = " ".join(f"w{k:02d}" for k in range(12))
CUT = examples_of(["Bo", LONG, "Ann"], [[span(0, 2, "per")], [span(4, 19, "loc"), span(44, 47, "per")], []])


def test_every_word_of_a_long_text_belongs_to_one_window() -> None:
    task = bound(CUT)
    windows = task.cut(CUT, ShortSighted())
    assert windows is not None and windows.owner.tolist() == [0, 1, 1, 1, 1, 2]
    texts, words = raws_of(windows.examples), task.inputs(windows.examples)["words"]
    owned = [[text[start:end] for start, end in row] for text, row in zip(texts, words)]
    assert [word for row, owner in zip(owned, windows.owner) if owner == 1 for word in row] == LONG.split()
    assert owned[0] == ["Bo"] and owned[-1] == ["Ann"]


def test_a_word_lies_in_the_middle_of_its_window() -> None:
    windows = bound().cut(CUT, ShortSighted())
    assert windows is not None
    words = bound().inputs(windows.examples)["words"]
    inner = [row for row, owner in zip(words, windows.owner) if owner == 1][1:-1]
    assert all(row[:, 0].min() >= 3 and row[:, 1].max() <= 17 for row in inner)


def test_a_word_longer_than_a_window_keeps_its_tag() -> None:
    texts = examples_of([f"Bo {'x' * 90} Ann", "Ann"], [[span(3, 93, "per")], [span(0, 3, "per")]])
    task = bound(texts)
    windows = task.cut(texts, ShortSighted())
    assert windows is not None
    places = task.inputs(windows.examples)["words"]
    assert [len(row) for row in places] == (windows.items[:, 1] - windows.items[:, 0]).tolist()
    assert all((row >= 0).all() for row in places)


def test_each_word_goes_where_its_nearer_end_is_farthest_by_longhand() -> None:
    draws = np.random.default_rng(0)
    for _ in range(50):
        starts = np.cumsum(draws.integers(1, 8, 6)) - 1
        stops = np.cumsum(draws.integers(1, 8, 6)) + 12
        windows = list(zip(starts.tolist(), stops.tolist()))
        edges = np.sort(draws.choice(60, 24, replace=False)).tolist()
        words = list(zip(edges[::2], edges[1::2]))

        def context(word: tuple[int, int], k: int, windows: list[tuple[int, int]] = windows) -> float:
            left = word[0] - windows[k][0] if k else np.inf
            return min(left, windows[k][1] - word[1] if k < len(windows) - 1 else np.inf)

        begun = [[k for k in range(6) if not k or windows[k][0] <= start] for start, _ in words]
        expected = [max(some, key=lambda k, word=word: context(word, k)) for some, word in zip(begun, words)]  # type: ignore[misc]
        assert _most_context(words, windows).tolist() == expected


def test_a_text_of_many_windows_is_cut_in_time_that_grows_with_its_length() -> None:
    text = " ".join(f"w{k % 100:02d}" for k in range(10_000))
    started = time.process_time()
    windows = bound().cut(examples_of([text], [[span(0, 3, "per")]]), ShortSighted())
    assert time.process_time() - started < 2  # by every pair of a word and a window it would be seven
    assert windows is not None and windows.items[-1, 1] == 10_000


def test_windows_have_their_words_tags_and_merge_to_the_whole() -> None:
    task = bound(CUT)
    windows = task.cut(CUT, ShortSighted())
    assert windows is not None
    whole = task.targets(CUT)
    parts = windows.targets(whole)["tags"]
    assert np.concatenate([*parts]).tolist() == np.concatenate([*whole["tags"]]).tolist()
    words = task.inputs(windows.examples)["words"]
    logits = as_ragged([np.eye(len(task.tags.names))[row] for row in parts])
    merged = task.evaluation.finish(task.merged(Prediction({"logits": logits, "words": words}), windows), {})
    assert all(np.array_equal(a, b) for a, b in zip(merged.columns["tags"], whole["tags"]))
    assert merged.columns["words"][1].tolist() == [list(place) for place in words_of(LONG)]


def test_short_texts_are_not_cut() -> None:
    assert bound().cut(EXAMPLES.take([1]), ShortSighted()) is None
