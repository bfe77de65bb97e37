"""Word and character error rates over all clips together, by jiwer and by hand, raw and normalised."""

from __future__ import annotations

import numpy as np
import pytest

from headstart.contracts.prediction import Prediction
from headstart.tasks.transcription.alphabet import FIRST, characters, decoded, encoded
from headstart.tasks.transcription.metrics import transcription_metrics

jiwer = pytest.importorskip("jiwer", reason="transcripts are judged by the extra 'audio'")

TRUTH = ["the cat sat", "NO", "", "one two three four"]
FOUND = ["the cat sat down", "no", "hallucinated words", "one too four"]


def judged(truth: list[str], found: list[str]) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    alphabet = characters(truth)
    numbers = {character: FIRST + k for k, character in enumerate(alphabet)}
    rows = np.empty(len(truth), object)
    for row, text in enumerate(truth):
        rows[row] = encoded(text, numbers)
    metrics = transcription_metrics(lambda targets: [decoded(row, alphabet) for row in targets["transcript"]])
    targets, prediction = {"transcript": rows}, Prediction({"text": np.array(found, object)})
    weights = np.array([[1, 1, 1, 1], [0, 0, 0, 2], [1, 0, 3, 0]], float)[:, : len(truth)]
    return (
        {metric.name: metric.score(targets, prediction) for metric in metrics},
        {metric.name: metric.replicates(targets, prediction)(weights) for metric in metrics},
    )


def test_the_rates_are_those_of_jiwer_over_all_clips() -> None:
    found, _ = judged(TRUTH, FOUND)
    assert found["wer"] == pytest.approx(100 * jiwer.wer(TRUTH, FOUND))
    assert found["cer"] == pytest.approx(100 * jiwer.cer(TRUTH, FOUND))
    # one word too many, one in capitals, two hallucinated, one instead of another and one missing, of 3 + 1 + 0 + 4
    assert found["wer"] == pytest.approx(100 * 6 / 8)
    assert found["wer_normalised"] == pytest.approx(100 * 5 / 8)


def test_resamples_of_clips_add_up_their_edits_and_words() -> None:
    _, replicates = judged(TRUTH, FOUND)
    assert replicates["wer"] == pytest.approx([100 * 6 / 8, 100 * 2 / 4, 100 * (1 + 3 * 2) / 3])


def test_nothing_said_and_nothing_found_has_no_rate() -> None:
    found, _ = judged(["", ""], ["", "a"])
    assert np.isnan(found["wer"]) and np.isnan(found["cer"])
