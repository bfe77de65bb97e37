"""The layer view of a fit against a longhand cross-validation by scikit-learn, on features taken stage by stage."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import RidgeCV
from sklearn.metrics import r2_score
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from transformers import AutoModel, AutoTokenizer

import headstart
from headstart.kernel.randomness import draw_seed
from headstart.tasks.regression.task import Regression
from labelled import labelled
from tiny_text_models import save_tiny


def test_its_numbers_are_those_of_a_longhand_cross_validation(tmp_path: Path) -> None:
    draws, words = np.random.default_rng(0), "cat dog rain mat pretrained model evidence kept".split()
    chosen = draws.integers(0, len(words), (150, 6))
    texts = [" ".join(words[k] for k in row) for row in chosen]
    values = (chosen == 3).sum(axis=1) + (chosen[:, :3] == 1).sum(axis=1) + draws.normal(0, 0.3, 150)
    part = np.where(np.arange(150) < 110, "train", "test")
    reference = save_tiny(tmp_path / "bert", "bert", num_hidden_layers=4, hidden_size=8)
    run = headstart.fit(
        pd.DataFrame({"text": texts, "y": values, "part": part}),
        text="text",
        label="y",
        part="part",
        backbone=str(reference),
        runner="eager",
        scratch=False,
        layers=True,
        out=tmp_path / "run",
    )

    rows = np.flatnonzero(part == "train")
    stages = _stages(reference, [texts[row] for row in rows])
    several = np.concatenate([stages[k] for k in (1, 2, 3, 4)], axis=1)
    strata = Regression().split_policy(labelled(values.tolist())).strata[rows]
    seed = draw_seed(0, "folds of labelled rows") % 2**32
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        folds = list(StratifiedKFold(3, shuffle=True, random_state=seed).split(rows, strata))
    expected = [_held_out(features, values[rows], folds) for features in (*stages, several)]

    found = run.record.layers
    assert found is not None and found.multi is not None and found.examples == len(rows) and found.folds == 3
    assert [row.name for row in found.stages] == ["embeddings", *(f"layer.{k}" for k in range(4))]
    assert [row.figure.value for row in (*found.stages, found.multi)] == pytest.approx(expected, abs=1e-6)
    assert found.best == int(np.argmax(expected[:-1]))
    to_best = [row.to_best.difference.value for row in found.stages]
    assert to_best == pytest.approx(np.array(expected[:-1]) - max(expected[:-1]), abs=1e-6)
    assert found.multi.to_best.difference.value == pytest.approx(expected[-1] - expected[-2], abs=1e-6)


def _stages(reference: Path, texts: list[str]) -> list[np.ndarray]:
    """The mean over tokens of the embeddings and of each layer's output."""
    tokens = AutoTokenizer.from_pretrained(reference)(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        hidden = AutoModel.from_pretrained(reference).eval()(**tokens, output_hidden_states=True).hidden_states
    mask = tokens["attention_mask"][:, :, None]
    return [((one * mask).sum(dim=1) / mask.sum(dim=1)).double().numpy() for one in hidden]


def _held_out(features: np.ndarray, values: np.ndarray, folds: list[tuple[np.ndarray, np.ndarray]]) -> float:
    """The coefficient of determination of held-out predictions."""
    predicted = np.empty(len(values))
    for rest, held in folds:
        model = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-2, 6, 17)))
        predicted[held] = model.fit(features[rest], values[rest]).predict(features[held])
    return float(r2_score(values, predicted))
