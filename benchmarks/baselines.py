"""Is the classical baseline of a fit as good as what a practitioner would write with scikit-learn, and is it quick?

Eight real sets of texts, tables and pictures. Both learn from the same training and validation rows and are judged on
the same test part, which chooses nothing; the reference chooses its settings by cross-validation. And twenty fits whose
training from scratch is cut off in one way or another: none may claim that transfer helps.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder, StandardScaler

import headstart
from benchmarks._data import data_folder
from benchmarks._drawn_pictures import drawn_pictures
from benchmarks._paired import mean_interval
from headstart.contracts.modality import raws_of
from headstart.pipeline.baselines import fit_baselines
from headstart.pipeline.data import Given
from headstart.pipeline.plan import Plan
from headstart.pipeline.prepare import Prepared
from headstart.pipeline.record import CLASSICAL
from headstart.pipeline.sequence import start

MOST_SECONDS = 20.0
STRENGTHS = (0.01, 0.1, 1.0, 10.0, 100.0)
"""Of the reference's logistic regression, chosen by three-fold cross-validation."""
SIDE, CELL, DIRECTIONS = 64, 8, 9
"""Of the pictures that the reference sees, and of its histograms of gradients."""

CUTS: tuple[dict[str, Any], ...] = (
    {"settings": {"scratch": {"epochs": 1}}},
    {"settings": {"scratch": {"max_steps": 6}}},
    {"settings": {"scratch": {"epochs": 3, "rates_tried": [1.0]}}},
    {"budget": 45},
)


def run(quick: bool, full: bool) -> tuple[dict[str, float | None], dict[str, Any]]:  # noqa: ARG001
    """Eight sets and twenty fits (`quick`: two sets and two fits)."""
    names = ["sms_spam", "ants_bees"] if quick else list(SETS)
    sets = {name: _one(name) for name in names}
    fits = [_cut_off(name, cut) for name in (names[:1] if quick else CUT_SETS) for cut in CUTS[: 2 if quick else None]]
    measured: dict[str, float | None] = {
        "baselines.below": sum(found["difference"][2] < 0 for found in sets.values()),
        "baselines.seconds": max(found["seconds"] for found in sets.values()),
        "baselines.unqualified": sum("Transfer helps" in fit["verdict"] or fit["claims"] for fit in fits),
    }
    return measured, {"sets": sets, "fits": fits}


def _one(name: str) -> dict[str, Any]:
    """Accuracies, their difference with its 95 % interval, and the seconds that each took."""
    data, plan, reference = SETS[name]()
    prepared = start(Given(data), Plan(data=data if isinstance(data, str) else "<made>", runner="eager", **plan)).data
    began = time.monotonic()
    (ours,) = (arm for arm in fit_baselines(prepared, 0) if arm.key == CLASSICAL)
    seconds, began = time.monotonic() - began, time.monotonic()
    rows, test = np.concatenate([prepared.split.train, prepared.split.val]), prepared.split.test
    predicted = reference(prepared, data, rows, test)
    truth = prepared.targets_of(test)["label"]
    right = ours.prediction.columns["probabilities"].argmax(axis=1) == truth
    theirs = predicted == truth
    return {
        "title": ours.title,
        "test_examples": len(test),
        "accuracy": round(float(right.mean()), 4),
        "reference": round(float(theirs.mean()), 4),
        "difference": [round(value, 4) for value in mean_interval((right.astype(int) - theirs).tolist())],
        "seconds": round(seconds, 2),
        "reference_seconds": round(time.monotonic() - began, 2),
    }


def _cut_off(name: str, cut: Mapping[str, Any]) -> dict[str, Any]:
    """The verdict of a fit of 300 rows whose training from scratch is cut off."""
    frame: pd.DataFrame = CUT_SETS[name]()
    columns: dict[str, Any] = {"text": "text"}
    if "image" in frame.columns:
        columns = {"image": "image", "backbone": str(data_folder() / "weights" / "mobilenetv2_100_imagenet")}
    with tempfile.TemporaryDirectory() as folder:
        found = headstart.fit(frame, label="label", out=Path(folder) / "run", **columns, **cut).record
    against = [one.verdict for one in found.comparisons if one.against == "scratch"]
    short = found.arms["scratch"].shortcoming if "scratch" in found.arms else "left out"
    return {"set": name, **cut, "verdict": found.verdict, "scratch": short, "claims": "better" in against}


def _of_texts(data: Prepared, _: Any, rows: np.ndarray, test: np.ndarray) -> np.ndarray:
    texts = np.array([str(raw) for raw in raws_of(data.examples)], dtype=object)
    terms = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2)
    pipeline = make_pipeline(terms, LogisticRegression(max_iter=1000))
    return _chosen(pipeline, texts[rows], data.targets_of(rows)["label"]).predict(texts[test])


def _of_tables(data: Prepared, frame: pd.DataFrame, rows: np.ndarray, test: np.ndarray) -> np.ndarray:
    inputs = frame.drop(columns="label")
    words = make_column_selector(dtype_exclude=np.number)
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan, max_categories=250)
    encoded = make_column_transformer((codes, words), remainder="passthrough", verbose_feature_names_out=False)
    trees = HistGradientBoostingClassifier(categorical_features=range(len(words(inputs))), random_state=0)
    model = make_pipeline(encoded, trees).fit(inputs.iloc[rows], data.targets_of(rows)["label"])
    return np.asarray(model.predict(inputs.iloc[test]))


def _of_pictures(data: Prepared, _: Any, rows: np.ndarray, test: np.ndarray) -> np.ndarray:
    """The better by cross-validation of principal components of the pixels, and histograms of gradients."""
    pictures = [Image.open(raw).convert("RGB").resize((SIDE, SIDE)) for raw in raws_of(data.examples)]
    pixels = np.stack([np.asarray(one.resize((32, 32)), np.float64).ravel() / 255 for one in pictures])
    gradients = np.stack([_gradients(np.asarray(one.convert("L"), np.float64)) for one in pictures])
    truth = data.targets_of(rows)["label"]
    components = make_pipeline(StandardScaler(), PCA(min(100, len(rows) // 2)), LogisticRegression(max_iter=1000))
    scaled = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    tried = [(_chosen(model, x[rows], truth), x) for model, x in ((components, pixels), (scaled, gradients))]
    best, x = max(tried, key=lambda one: one[0].best_score_)
    return np.asarray(best.predict(x[test]))


def _gradients(grey: np.ndarray) -> np.ndarray:
    """Histograms of oriented gradients, each of 8 x 8 pixels scaled to length 1."""
    down, across = np.gradient(grey)
    strength, direction = np.hypot(down, across), (np.arctan2(down, across) % np.pi / np.pi * DIRECTIONS).astype(int)
    place = np.arange(SIDE) // CELL
    cell = (place[:, None] * (SIDE // CELL) + place) * DIRECTIONS + direction % DIRECTIONS
    counts = np.bincount(cell.ravel(), strength.ravel(), (SIDE // CELL) ** 2 * DIRECTIONS).reshape(-1, DIRECTIONS)
    return (counts / (np.linalg.norm(counts, axis=1, keepdims=True) + 1e-3)).ravel()


def _chosen(pipeline: Any, x: np.ndarray, truth: np.ndarray) -> Any:
    return GridSearchCV(pipeline, {"logisticregression__C": STRENGTHS}, cv=3).fit(x, truth)


def _path(path: str, reference: Reference) -> Case:
    backbone = "all-MiniLM-L6-v2" if reference is _of_texts else "embedded"
    return lambda: (str(data_folder() / "data" / path), {"backbone": backbone}, reference)


def _adult(label: str) -> Case:
    """The census's rows with one of its columns as the label, without that which says the same in numbers."""

    def case() -> tuple[Any, dict[str, Any], Reference]:
        frame = pd.read_csv(data_folder() / "data" / "multitask_adult" / "adult.csv.gz").rename(
            columns={label: "label"}
        )
        return frame, {"columns": {"label": "label"}}, _of_tables

    return case


def _reviews(kind: str) -> pd.DataFrame:
    frame = pd.read_parquet(data_folder() / "data" / "text_amazon_reviews5" / f"{kind}.parquet")
    return frame.assign(label=np.where(frame["label"] == 1, "positive", "negative"))


def _first(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.sample(300, random_state=0).reset_index(drop=True)


Reference = Callable[[Prepared, Any, np.ndarray, np.ndarray], np.ndarray]
"""Data as a fit reads them, as they were given, rows to learn from, rows to predict -> class of each of these."""
Case = Callable[[], tuple[Any, dict[str, Any], Reference]]

SETS: Mapping[str, Case] = {
    "sms_spam": _path("text_sms_spam/all.csv", _of_texts),
    "sst2": _path("text_sst2", _of_texts),
    "tweeteval_emotion": _path("text_tweeteval/emotion", _of_texts),
    "amazon_books": lambda: (
        _reviews("books"),
        {"columns": {"text": ("text",), "label": "label"}, "backbone": "all-MiniLM-L6-v2"},
        _of_texts,
    ),
    "adult_income": _adult("income-per-year"),
    "adult_occupation": _adult("occupation"),
    "ants_bees": _path("img_ants_bees", _of_pictures),
    "brain_mri": _path("img_brain_mri", _of_pictures),
}

CUT_SETS: Mapping[str, Callable[[], pd.DataFrame]] = {
    "sms_spam": lambda: _first(pd.read_csv(data_folder() / "data" / "text_sms_spam" / "all.csv")),
    "sst2": lambda: _first(pd.read_csv(data_folder() / "data" / "text_sst2" / "train.csv")),
    "amazon_books": lambda: _first(_reviews("books")),
    "amazon_dvd": lambda: _first(_reviews("dvd")),
    "ants_bees": lambda: drawn_pictures("img_ants_bees", 60, 0).rename(columns={"input": "image"}),
}
