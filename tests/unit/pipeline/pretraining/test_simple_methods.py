"""What a verdict says of methods that take seconds, and that a pretraining is compared with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import headstart
from headstart.pipeline.pretraining.record import SIMPLE, Gain
from headstart.pipeline.pretraining.summary import verdict
from headstart.pipeline.record import Arm, Comparison, Epoch, FigureRow
from metric_infos import metric_infos

EPOCH = Epoch(epoch=1, train_loss=1.0, val_loss=1.0, val_metric=0.0, learning_rate=0.1, seconds=1.0)


def row(value: float) -> FigureRow:
    return FigureRow(value=value, low=value - 0.01, high=value + 0.01, n=100)


def gain(**against: str) -> Gain:
    """A gain whose result is better, worse or neither, against each of the others."""
    titles = {"model": "probe on the result", "start": "probe on the start", **SIMPLE}
    arms = {key: Arm(title=title, figures={"accuracy": row(0.8)}, seconds=1.0) for key, title in titles.items()}
    by = {"better": 0.05, "worse": -0.05}
    comparisons = [
        Comparison(against=key, metric="accuracy", difference=row(by.get(word, 0.0)), verdict=word)
        for key, word in against.items()
    ]
    return Gain(
        source="sample",
        task="classification",
        primary_metric="accuracy",
        metrics=metric_infos("accuracy"),
        parts=(),
        arms=arms,
        comparisons=tuple(comparisons),
    )


@pytest.mark.parametrize(
    ("pca", "k_means", "said"),
    [
        ("better", "better", None),
        ("better", "worse", "It is WORSE than a probe on codes of k-means, which takes seconds: −5.0 points"),
        ("not significant", "worse", "It is WORSE than a probe on codes of k-means"),
        ("not significant", "better", "It does not significantly beat a probe on principal components"),
    ],
)
def test_a_simple_method_that_is_not_beaten_is_named(pca: str, k_means: str, said: str | None) -> None:
    answer = verdict("denoising", 1000, 8, (EPOCH,), 1, gain(start="better", pca=pca, k_means=k_means))
    assert "points (+4.0 to +6.0) over its start" in answer
    assert said in answer if said else "takes seconds" not in answer


@pytest.mark.slow
def test_rows_of_a_table_are_learnt_from_and_compared_with_what_is_simple(tmp_path: Path) -> None:
    draws = np.random.default_rng(0)
    numbers = draws.normal(size=(160, 4))
    frame = pd.DataFrame(numbers, columns=list("abcd"))
    frame["label"] = np.where(numbers[:, 0] + numbers[:, 1] > 0, "up", "down")
    frame.to_csv(tmp_path / "rows.csv", index=False)
    run = headstart.pretrain(
        tmp_path / "rows.csv",
        label="label",
        labelled=tmp_path / "rows.csv",
        out=tmp_path / "run",
        settings={"training": {"epochs": 2, "batch_size": 32}},
    )
    found = run.record
    assert found.objective == "denoising" and found.gain is not None
    assert list(found.gain.arms) == ["model", "start", "pca", "k_means"]
    assert {comparison.against for comparison in found.gain.comparisons} == {"start", "pca", "k_means"}
    assert run.metrics["pca"]["accuracy"]["value"] > 0.8
    settings = {"label": "label", "backbone": str(run.folder), "tuning": "probe", "scratch": False}
    again = headstart.fit(tmp_path / "rows.csv", out=tmp_path / "fit", **settings)  # type: ignore[arg-type]
    assert again.metrics["test"]["accuracy"]["n"] > 0


def test_an_epoch_that_is_a_part_of_a_pass_is_said_to_be_one() -> None:
    said = verdict("simclr", 1_000_000, 8, (EPOCH, EPOCH), 8, None)
    assert said.startswith(
        "Trained on 1,000,000 inputs without labels with simclr for 2 epochs of 1/8 of the data each."
    )
