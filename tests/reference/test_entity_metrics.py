"""Entity metrics against seqeval, on resampled texts too, and the loss against longhand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from seqeval.metrics import classification_report
from seqeval.scheme import IOB2

from headstart.contracts.panels import Table
from headstart.contracts.prediction import Prediction
from headstart.tasks.tagging.metrics import tagging_metrics
from headstart.tasks.tagging.presentation import TaggingPresentation
from headstart.tasks.tagging.tags import TagSet
from headstart.tasks.tagging.task import Tagging
from headstart.tasks.tagging.words import as_ragged

TAGS = TagSet(("creative-work", "group", "person"), True)


def drawn(seed: int, texts: int = 40) -> np.ndarray:
    """Well-formed tags of texts of 0 to 12 words."""
    draws = np.random.default_rng(seed)
    rows = []
    for _ in range(texts):
        row: list[int] = []
        for _ in range(draws.integers(0, 13)):
            allowed = np.flatnonzero(TAGS.allowed[row[-1] if row else -1])
            row.append(int(draws.choice(allowed, p=np.where(allowed == 0, 3.0, 1.0) / (len(allowed) + 2))))
        rows.append(np.array(row, np.int64))
    return as_ragged(rows)


def named(rows: np.ndarray) -> list[list[str]]:
    return [[TAGS.names[tag] for tag in row] for row in rows]


def mixed(truth: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Predictions that are right in half of the texts."""
    return as_ragged(
        [t if at % 2 else (o[: len(t)] if len(o) >= len(t) else t) for at, (t, o) in enumerate(zip(truth, other))]
    )


TRUTH = drawn(0)
PREDICTED = mixed(TRUTH, drawn(1))
REPORT = classification_report(
    named(TRUTH), named(PREDICTED), mode="strict", scheme=IOB2, output_dict=True, zero_division=0
)


@pytest.mark.parametrize(("metric", "theirs"), [("f1", "f1-score"), ("precision", "precision"), ("recall", "recall")])
def test_micro_figures_are_those_of_seqeval(metric: str, theirs: str) -> None:
    found = next(m for m in tagging_metrics(TAGS) if m.name == metric)
    value = found.score({"tags": TRUTH}, Prediction({"tags": PREDICTED}))
    assert 0.3 < value < 1
    assert value == pytest.approx(float(REPORT["micro avg"][theirs]))
    replicates = found.replicates({"tags": TRUTH}, Prediction({"tags": PREDICTED}))
    assert replicates(np.ones((1, len(TRUTH))))[0] == pytest.approx(value)


@pytest.mark.parametrize("name", ["f1", "precision", "recall", "accuracy"])
def test_a_resample_has_the_figure_of_its_texts(name: str) -> None:
    metric = next(m for m in tagging_metrics(TAGS) if m.name == name)
    rows = np.random.default_rng(2).integers(0, len(TRUTH), len(TRUTH))
    weights = np.bincount(rows, minlength=len(TRUTH))[None, :].astype(float)
    expected = metric.score({"tags": TRUTH[rows]}, Prediction({"tags": PREDICTED[rows]}))
    assert metric.replicates({"tags": TRUTH}, Prediction({"tags": PREDICTED}))(weights)[0] == pytest.approx(expected)


def test_the_report_has_seqevals_figures_of_every_type() -> None:
    table = TaggingPresentation(TAGS).panels(Prediction({"tags": PREDICTED}), {"tags": TRUTH})[0]
    assert isinstance(table, Table)
    for name, precision, recall, f1, _, true, *_ in table.rows:
        theirs = REPORT[name]
        assert (precision, recall, f1) == pytest.approx((theirs["precision"], theirs["recall"], theirs["f1-score"]))
        assert true == theirs["support"]


def test_the_loss_is_the_mean_of_minus_log_probabilities_over_words_with_a_token() -> None:
    draws = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 4, 7, generator=draws)
    tags = torch.tensor([[0, 1, 2, 0], [3, 0, -100, -100]])
    has_token = torch.tensor([[True, True, False, True], [True, True, True, True]])
    outputs = {"logits": logits, "has_token": has_token}
    losses = [
        -(float(logits[row, word, tags[row, word]]) - float(torch.logsumexp(logits[row, word], dim=0)))
        for row in range(2)
        for word in range(4)
        if tags[row, word] >= 0 and has_token[row, word]
    ]
    assert len(losses) == 5
    task = Tagging().restore({"types": TAGS.types, "several_words": True})
    assert float(task.losses(outputs, {"tags": tags})["cross_entropy"]) == pytest.approx(np.mean(losses))


def test_a_batch_without_words_loses_nothing() -> None:
    outputs = {"logits": torch.zeros(1, 2, 7), "has_token": torch.zeros(1, 2, dtype=torch.bool)}
    task = Tagging().restore({"types": TAGS.types, "several_words": True})
    assert float(task.losses(outputs, {"tags": torch.tensor([[0, 1]])})["cross_entropy"]) == 0
