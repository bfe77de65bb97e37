"""chrF, BLEU and TER by sacrebleu (Post 2018, "A call for clarity in reporting BLEU scores"), with its signatures.

All three are ratios of counts that add up over texts, so that a resample of texts needs the counts of each alone:
character n-grams for chrF (Popovic 2015), word n-grams and lengths for BLEU (Papineni et al. 2002), edits for TER
(Snover et al. 2006). sacrebleu counts, and makes the score of counts.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from headstart.contracts.metric import Metric, Replicates
from headstart.contracts.prediction import Prediction
from headstart.contracts.task import Targets
from headstart.contracts.written_targets import texts_of
from headstart.kernel.errors import SettingsError

TEXT = "text"
"""Target and prediction: the text of each example."""

MEASURES = {"chrf": "CHRF", "bleu": "BLEU", "ter": "TER"}
"""Name of a metric -> sacrebleu's class."""


def generation_metrics() -> tuple[Metric, ...]:
    """chrF first: of few examples it tells models apart that BLEU does not."""
    return (
        Metric("chrf", "chrF", True, partial(_score, "chrf"), partial(_replicates, "chrf"), "", (0.0, 100.0)),
        Metric("bleu", "BLEU", True, partial(_score, "bleu"), partial(_replicates, "bleu"), "", (0.0, 100.0)),
        Metric("ter", "TER", False, partial(_score, "ter"), partial(_replicates, "ter"), "", (0.0, math.inf)),
    )


def measure(name: str) -> Any:
    """sacrebleu's metric by our name. Raises SettingsError with what to install."""
    try:
        found = importlib.import_module("sacrebleu.metrics")
    except ImportError as error:
        raise SettingsError(
            "the task generation is judged by sacrebleu: pip install 'headstart[translation]'"
        ) from error
    options = {"force": True} if name == "bleu" else {}  # tokenised texts are told of by the task, with counts
    return getattr(found, MEASURES[name])(**options)


def signature(name: str, found: Sequence[str], truth: Sequence[str]) -> str:
    """sacrebleu's signature of the metric: its settings and version."""
    metric = measure(name)
    metric.corpus_score(list(found), [list(truth)])
    return str(metric.get_signature())


def counts(name: str, found: Sequence[str], truth: Sequence[str]) -> np.ndarray:
    """(texts, numbers) float64: what sacrebleu counts of each text."""
    return np.array(measure(name)._extract_corpus_statistics(list(found), [list(truth)]), np.float64)


def of_counts(name: str, summed: np.ndarray) -> np.ndarray:
    """(sets,) the score of each row of summed counts (sets, numbers)."""
    metric = measure(name)
    return np.array([metric._compute_score_from_stats(row.tolist()).score for row in summed])


def each_text(name: str, found: Sequence[str], truth: Sequence[str]) -> np.ndarray:
    """(texts,) the score of each text by itself."""
    return of_counts(name, counts(name, found, truth))


def _score(name: str, targets: Targets, prediction: Prediction) -> float:
    found, truth = prediction.columns[TEXT].tolist(), texts_of(targets[TEXT])
    return float(measure(name).corpus_score(found, [truth]).score)


def _replicates(name: str, targets: Targets, prediction: Prediction) -> Replicates:
    of_texts = counts(name, prediction.columns[TEXT].tolist(), texts_of(targets[TEXT]))
    return lambda weights: of_counts(name, weights @ of_texts)
