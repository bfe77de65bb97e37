"""Do two questions ask the same? The probe against a regression on what two vectors of the same encoder differ in.

The pairs are drawn by a seed from questions of banks' and hotels' customers, of one domain each: half of them have the
same intents, half have none in common. 200 of 1000 are the test part, which chooses nothing. The rivals have the same
labels: logistic regression on |u - v| and u * v of all-MiniLM-L6-v2, its C by cross-validation, on features as they
come and of variance 1, of which the better one counts, and the best threshold of the cosine. Beside it the similarity
of the intents of two questions is predicted as a number, and the rival is ridge regression. Differences are paired by
draw.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegressionCV, RidgeCV
from sklearn.metrics import r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks._data import data_folder
from benchmarks._paired import interval_over_draws
from benchmarks.refit import context_of
from headstart.pipeline.arms import solve_arm
from headstart.pipeline.context import FitContext
from headstart.pipeline.trained import predict_rows

PAIRS, TESTED = 1000, 200
ENCODER = "all-MiniLM-L6-v2"


class Questions(NamedTuple):
    """All questions."""

    texts: list[str]
    intents: list[frozenset[str]]
    domains: list[str]


def run(quick: bool, full: bool) -> tuple[dict[str, float | None], dict[str, Any]]:
    """10 draws of pairs (`quick`: 2; `full`: 30)."""
    questions, draws = read_questions(), 2 if quick else 30 if full else 10
    found = [_compared(questions, draw) for draw in range(draws)]
    columns = {name: np.array([one[name] for one in found]) for name in found[0] if name != "pairs"}
    best = max(("regression", "regression, scaled"), key=lambda name: columns[name].mean())
    gain = interval_over_draws(columns["headstart"] - columns[best])
    numbers = interval_over_draws(columns["r2"] - columns["r2 of ridge regression"])
    measured: dict[str, float | None] = {
        "pairs.accuracy": 100 * float(columns["headstart"].mean()),
        "pairs.regression": 100 * gain[2],
        "pairs.numbers": numbers[2],
    }
    details: dict[str, Any] = {name: round(float(values.mean()), 4) for name, values in columns.items()}
    details |= {"draws": draws, "read": [one["pairs"] for one in found]}
    details["gain over regression"] = [round(100 * value, 2) for value in gain]
    details["gain in r2"] = [round(value, 4) for value in numbers]
    return measured, details


def read_questions() -> Questions:
    """The sentences of NLU++ that end with a question mark, each once."""
    frame = pd.read_csv(data_folder() / "data" / "text_nlupp_multilabel" / "nlupp.csv")
    frame = frame.dropna(subset=["intents"]).drop_duplicates("text")
    frame = frame[frame["text"].str.strip().str.endswith("?")]
    intents = [frozenset(names.split("|")) for names in frame["intents"]]
    return Questions(frame["text"].tolist(), intents, frame["domain"].tolist())


def drawn_pairs(questions: Questions, draw: int) -> pd.DataFrame:
    """Columns one, other, same ('yes' or 'no'), alike (shared intents by all of both) and part; no pair twice."""
    groups = defaultdict(list)
    for place, kind in enumerate(zip(questions.domains, questions.intents)):
        groups[kind].append(place)
    group_of = {place: group for group in groups.values() if len(group) > 1 for place in group}
    places, draws = sorted(group_of), np.random.default_rng(draw)
    found: dict[frozenset[int], tuple[int, int]] = {}
    while len(found) < PAIRS // 2:
        one, other = draws.choice(group_of[places[draws.integers(len(places))]], 2, replace=False)
        found.setdefault(frozenset((one, other)), (one, other))
    while len(found) < PAIRS:
        one, other = draws.choice(places, 2, replace=False)
        if questions.domains[one] == questions.domains[other] and not questions.intents[one] & questions.intents[other]:
            found.setdefault(frozenset((one, other)), (one, other))
    rows = draws.permutation([*found.values()])
    both = [[questions.texts[place] for place in column] for column in rows.T]
    sets = [(questions.intents[one], questions.intents[other]) for one, other in rows]
    return pd.DataFrame(
        {
            "one": both[0],
            "other": both[1],
            "same": ["yes" if one == other else "no" for one, other in sets],
            "alike": [len(one & other) / len(one | other) for one, other in sets],
            "part": ["test"] * TESTED + ["train"] * (PAIRS - TESTED),
        }
    )


def _compared(questions: Questions, draw: int) -> dict[str, Any]:
    """Accuracies and coefficients of determination of one draw, and how the probe read the pairs."""
    frame = drawn_pairs(questions, draw)
    context = _context(frame, "same", draw)
    joint = _context(frame, "same", draw, pairs="joint")
    apart = _context(frame, "same", draw, pairs="apart")
    truth, rows = context.data.targets["label"], np.arange(PAIRS)
    test, train = rows[:TESTED], rows[TESTED:]
    width = (apart.features.width - 1) // 4
    features = apart.features.pooled(rows)[:, 2 * width :]
    cosine, features = features[:, -1], features[:, :-1]
    regression = LogisticRegressionCV(Cs=10, max_iter=1000)
    threshold = max(np.unique(cosine[train]), key=lambda least: _right(cosine[train] >= least, truth[train]))
    numbers = _context(frame[["one", "other", "alike", "part"]], "alike", draw, task="regression")
    ridge = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-2, 6, 17)))
    alike = frame["alike"].to_numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # which defaults of scikit-learn will change
        plain = regression.fit(features[train], truth[train]).score(features[test], truth[test])
        scaled = make_pipeline(StandardScaler(), regression)
        scaled = scaled.fit(features[train], truth[train]).score(features[test], truth[test])
    return {
        "headstart": _accuracy(context),
        "headstart, jointly": _accuracy(joint),
        "headstart, apart": _accuracy(apart),
        "regression": float(plain),
        "regression, scaled": float(scaled),
        "cosine": _right(cosine[test] >= threshold, truth[test]),
        "r2": float(r2_score(alike[test], _predicted(numbers)["value"])),
        "r2 of ridge regression": float(
            r2_score(alike[test], ridge.fit(features[train], alike[train]).predict(features[test]))
        ),
        "pairs": context.plan.settings["backbone"]["pairs"],
    }


def _context(frame: pd.DataFrame, label: str, draw: int, pairs: str = "auto", task: str = "auto") -> FitContext:
    columns = {"text": ("one", "other"), "label": label, "part": "part"}
    settings = {"backbone": {"pairs": pairs}}
    return context_of(frame, backbone=ENCODER, columns=columns, seed=draw, task=task, settings=settings)


def _predicted(context: FitContext) -> dict[str, np.ndarray]:
    """Of the test part, which the frame begins with."""
    return dict(
        predict_rows(context, solve_arm(context, "model", refit=True), np.sort(context.data.split.test)).columns
    )


def _accuracy(context: FitContext) -> float:
    truth = context.data.targets["label"][:TESTED]
    return _right(_predicted(context)["probabilities"].argmax(axis=1), truth)


def _right(predicted: np.ndarray, truth: np.ndarray) -> float:
    return float((predicted == truth).mean())
