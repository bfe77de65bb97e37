"""Speakers of sounds have figures of their own, with intervals over their clips."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from headstart.contracts.examples import Examples, Schema
from headstart.contracts.prediction import Prediction
from headstart.pipeline.judge import slice_rows
from headstart.tasks.classification.task import Classification
from tiny_backbone import numeric_examples


def judged(speakers: int, modality: str = "audio") -> tuple[list[str], str, tuple[str, ...]]:
    """Of 30 clips each; the last speaker's are all wrong, of the others every third."""
    rows = 30 * speakers
    who = np.repeat([f"s{n:02}" for n in range(speakers)], 30)
    table = pa.table({"x": [f"{row}.wav" for row in range(rows)], "label": ["a", "b"] * (rows // 2), "speaker": who})
    schema = Schema(modality=modality, inputs=("x",), targets={"label": "label"}, group="speaker", origin="x")
    examples = Examples(table, schema)
    task = Classification().bind(numeric_examples(np.zeros((4, 1)), ["a", "b"] * 2), None)  # type: ignore[arg-type]
    targets = task.targets(examples)
    wrong = (np.arange(rows) % 3 == 0) | (who == who[-1])
    chosen = np.where(wrong, 1 - targets["label"], targets["label"])
    prediction = task.evaluation.finish(Prediction({"logits": np.eye(2)[chosen] * 4}), {})
    _, groups = np.unique(who, return_inverse=True)
    found, worst, notes = slice_rows(task, examples, targets, prediction, groups, 0)
    for one in found:
        row = one.figures["accuracy"]
        assert one.column == "speaker" and row.low is not None and row.high is not None
        assert row.low <= row.value <= row.high and (row.value == 0 or row.low < row.high)
    return [one.value for one in found], worst, notes


def test_each_speaker_has_figures_and_the_worst_is_named() -> None:
    assert judged(3) == (["s00", "s01", "s02"], "speaker = s02", ())
    assert judged(3, "text") == ([], "", ())


def test_many_speakers_are_told_of() -> None:
    found, _, (note,) = judged(31)
    assert (
        not found and note == "speaker: 31 of them are too many for figures of each; --slice speaker shows all the same"
    )
