"""Word and character error rate by jiwer, over all clips together: edits / words of the references, in percent.

WER = 100 (substitutions + deletions + insertions) / (words of the references); CER counts characters. Edits and words
add up over clips, so that a resample of clips or of speakers needs no more than the counts of each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from headstart.contracts.metric import Metric, Replicates
from headstart.contracts.prediction import Prediction
from headstart.contracts.task import Targets
from headstart.kernel.errors import DataError
from headstart.tasks.transcription.alphabet import normalised

TRANSCRIPT, TEXT = "transcript", "text"
"""The target (numbers of characters) and the column of predictions (strings)."""

Read = Callable[[Targets], Sequence[str]]
"""Targets -> transcripts."""


def transcription_metrics(read: Read) -> tuple[Metric, ...]:
    """WER first, as transcripts are written; then by characters, and both normalised."""
    words, letters = jiwer().process_words, jiwer().process_characters
    return (
        _rate("wer", "WER", words, read, str),
        _rate("cer", "CER", letters, read, str),
        _rate("wer_normalised", "WER, normalised", words, read, normalised),
        _rate("cer_normalised", "CER, normalised", letters, read, normalised),
    )


def jiwer() -> Any:
    """Return the library. Raises DataError where it is not installed."""
    try:
        import jiwer as library
    except ImportError as error:
        raise DataError("transcripts are judged by jiwer: pip install 'headstart[audio]'") from error
    return library


def edits(process: Callable[..., Any], truth: Sequence[str], found: Sequence[str]) -> np.ndarray:
    """(clips, 2) float64: edits, and words or characters of the references."""
    counts = np.zeros((len(truth), 2))
    for row, (reference, text) in enumerate(zip(truth, found)):
        aligned = process(reference, text)
        counts[row, 0] = aligned.substitutions + aligned.deletions + aligned.insertions
        counts[row, 1] = aligned.hits + aligned.substitutions + aligned.deletions
    return counts


def _rate(name: str, title: str, process: Callable[..., Any], read: Read, form: Callable[[str], str]) -> Metric:
    def both(targets: Targets, prediction: Prediction) -> tuple[list[str], list[str]]:
        return [form(text) for text in read(targets)], [form(text) for text in prediction.columns[TEXT]]

    def score(targets: Targets, prediction: Prediction) -> float:
        truth, found = both(targets, prediction)
        if not any(truth):
            return float("nan")
        whole = process(truth, found)
        edited = whole.substitutions + whole.deletions + whole.insertions
        return 100.0 * edited / (whole.hits + whole.substitutions + whole.deletions)

    def replicates(targets: Targets, prediction: Prediction) -> Replicates:
        counts = edits(process, *both(targets, prediction))

        def weighted(weights: np.ndarray) -> np.ndarray:
            sums = weights @ counts
            with np.errstate(invalid="ignore", divide="ignore"):
                return np.asarray(100.0 * sums[:, 0] / sums[:, 1])

        return weighted

    return Metric(name, title, False, score, replicates, "%", (0.0, np.inf))
