"""Tables of numbers and categories: adult, complete and with a tenth of its cells missing.

A fifth of the rows are for the test. Probe or gradient boosted trees is chosen by the accuracy on a quarter of the
others, from a fit on the rest; then a fit on all of the others is judged on the test rows, which choose nothing. The
table is given as it is. scikit-learn's pipelines learn from the same rows, with the columns sorted by hand: a one-hot
logistic regression, and histogram boosting with categories.
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import headstart
from benchmarks._data import data_folder

LABEL = "income-per-year"
ARMS = {"probe": "model", "boosted trees": "classical"}
MISSING = {"complete": 0.0, "missing": 0.1}


def run(quick: bool, full: bool) -> tuple[dict[str, float | None], dict[str, Any]]:
    """Three splits (`quick`: one, of 4,000 rows; `full`: ten)."""
    frame = pd.read_csv(data_folder() / "data" / "multitask_adult" / "adult.csv.gz")
    seeds = 1 if quick else 10 if full else 3
    found = {
        name: [_one(frame.sample(4000, random_state=0) if quick else frame, share, seed) for seed in range(seeds)]
        for name, share in MISSING.items()
    }
    measured: dict[str, float | None] = {}
    details: dict[str, Any] = {}
    for name, splits in found.items():
        mean = {key: 100 * fmean(split["test"][key] for split in splits) for key in splits[0]["test"]}
        measured[f"tables.adult.{name}"] = mean["chosen"]
        details[name] = {"mean": mean, "splits": splits}
    return measured, details


def _one(frame: pd.DataFrame, share: float, seed: int) -> dict[str, Any]:
    draws = np.random.default_rng(seed)
    frame = frame.reset_index(drop=True)
    inputs = frame.drop(columns=LABEL)
    gaps = draws.random(inputs.shape) < share
    frame = inputs.mask(gaps).assign(**{LABEL: frame[LABEL]})
    place = np.argsort(draws.permutation(len(frame))) / len(frame)
    others, test = frame[place >= 0.2], frame[place < 0.2]
    held = place[place >= 0.2] < 0.4
    val = _accuracies(others[~held], others[held])
    best = max(val, key=lambda arm: val[arm])
    found = _accuracies(others, test)
    rivals = {name: float(model.fit(*_parted(others)).score(*_parted(test))) for name, model in _rivals().items()}
    return {"validation": val, "chosen": best, "test": {"chosen": found[best], **found, **rivals}}


def _accuracies(train: pd.DataFrame, test: pd.DataFrame) -> Mapping[str, float]:
    """Accuracy of each arm of a fit."""
    data = pd.concat([train.assign(part="train"), test.assign(part="test")], ignore_index=True)
    with TemporaryDirectory() as folder:
        run = headstart.fit(data, label=LABEL, part="part", scratch=False, out=f"{folder}/run")
        return {name: float(run.record.arms[arm].figures["accuracy"].value) for name, arm in ARMS.items()}


def _rivals() -> dict[str, Any]:
    numbers, words = make_column_selector(dtype_include="number"), make_column_selector(dtype_include="category")
    columns = make_column_transformer(
        (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
        (OneHotEncoder(handle_unknown="ignore"), words),
    )
    return {
        "scikit-learn's one-hot logistic regression": make_pipeline(columns, LogisticRegression(max_iter=1000)),
        "scikit-learn's boosting": HistGradientBoostingClassifier(categorical_features="from_dtype", random_state=0),
    }


def _parted(frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    inputs = frame.drop(columns=LABEL)
    words = {name: "category" for name in inputs if not pd.api.types.is_numeric_dtype(inputs[name])}
    return inputs.replace("?", np.nan).astype(words), frame[LABEL]
