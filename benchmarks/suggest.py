"""Are suggested labels worth more than random ones? `headstart suggest`, a batch of labels at a time, from none on.

Of each data set a half is for the test and the other one the pool, of which each draw takes 1000 examples. Suggested
or random examples get their labels, in batches up to 1, 2, 3, 5, 7, 10, 14 and 20 labels per class in the mean; after
each batch a probe on kept features is solved for and judged on the test half. The area is the mean accuracy between 1
and 20 labels per class, and gains are differences of it in points, paired by draw. Nothing was chosen on these sets:
that TypiClust comes first, and the switch to BADGE at ten labels per class, were chosen on others (cats and dogs, ants
and bees, UCI digits, Amazon reviews by product and by stars, irony, offence).
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import headstart
from benchmarks._data import data_folder
from benchmarks._drawn_pictures import drawn_pictures
from benchmarks._paired import interval_over_draws
from headstart.contracts.format import Columns
from headstart.engine.solved.logistic import solve_logistic
from headstart.engine.store.feature_store import FeatureStore
from headstart.pipeline.choose_backbone import choose_backbone
from headstart.pipeline.embed import embed
from headstart.pipeline.listing import listed
from headstart.pipeline.plan import Plan

PER_CLASS = (1, 2, 3, 5, 7, 10, 14, 20)
POOL, MOST_TESTED = 1000, 2000
PROCESSES = 2


def run(quick: bool, full: bool) -> tuple[dict[str, float | None], dict[str, Any]]:
    """Six data sets, 10 draws (`quick`: two sets, 3 draws; `full`: 30)."""
    draws = 3 if quick else 30 if full else 10
    names = ["text_sms_spam", "tweeteval_emotion"] if quick else list(SETS)
    with ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn")) as workers:
        details = dict(zip(names, workers.map(_one, names, [draws] * len(names))))
    ends = [found["gain"][1:] for found in details.values()]
    measured: dict[str, float | None] = {
        "suggest.worst": min(high for _, high in ends),
        "suggest.better": float(sum(low > 0 for low, _ in ends)),
    }
    return measured, {"draws": draws, "per_class": PER_CLASS, "data": details}


def _one(name: str, draws: int) -> dict[str, Any]:
    """Accuracies at each number of labels, areas, and the gain with its 95 % interval over draws."""
    frame, columns, backbone = SETS[name]()
    frame = frame.reset_index(drop=True)
    features = _features(frame, columns, backbone)
    labels = np.unique(frame["label"], return_inverse=True)[1]
    order = np.random.default_rng(0).permutation(len(frame))
    test, rest = order[: len(order) // 2][:MOST_TESTED], order[len(order) // 2 :]
    curves: dict[str, list[list[float]]] = {"suggested": [], "random": []}
    for draw in range(draws):
        pool = np.random.default_rng(draw).permutation(rest)[:POOL]
        for way, found in curves.items():
            wanted = _random if way == "random" else _suggested
            found.append(_curve(frame, columns, backbone, (features, labels), (pool, test), wanted, draw))
    areas = {way: np.array([_area(curve) for curve in found]) for way, found in curves.items()}
    return {
        "classes": int(labels.max()) + 1,
        "tested": len(test),
        "area": {way: round(float(values.mean()), 2) for way, values in areas.items()},
        "gain": [round(value, 2) for value in interval_over_draws(areas["suggested"] - areas["random"])],
        "accuracy": {way: np.mean(found, axis=0).round(4).tolist() for way, found in curves.items()},
    }


def _curve(
    frame: pd.DataFrame,
    columns: Mapping[str, Any],
    backbone: str,
    known: tuple[np.ndarray, np.ndarray],
    parts: tuple[np.ndarray, np.ndarray],
    wanted: Callable[..., list[int]],
    draw: int,
) -> list[float]:
    """Test accuracy at each number of labels."""
    (features, labels), (pool, test) = known, parts
    taken, accuracies = np.empty(0, np.int64), []
    for each in PER_CLASS:
        count = each * (int(labels.max()) + 1) - len(taken)
        chosen = wanted(frame.loc[pool], frame.loc[taken], count, columns, backbone, draw)
        taken, pool = np.concatenate([taken, chosen]), np.setdiff1d(pool, chosen)
        accuracies.append(_accuracy(features, labels, taken, test, draw))
    return accuracies


def _suggested(
    pool: pd.DataFrame, taken: pd.DataFrame, count: int, columns: Mapping[str, Any], backbone: str, draw: int
) -> list[int]:
    found = headstart.suggest(
        pool.drop(columns="label"),
        labelled=taken if len(taken) else None,
        count=count,
        label="label",
        backbone=backbone,
        seed=draw,
        **columns,
    )
    return [int(row.origin.removeprefix("row ")) for row in found.rows]


def _random(
    pool: pd.DataFrame, taken: pd.DataFrame, count: int, columns: Mapping[str, Any], backbone: str, draw: int
) -> list[int]:
    del columns, backbone
    draws = np.random.default_rng([draw, len(taken)])
    return [int(row) for row in draws.choice(np.asarray(pool.index), count, replace=False)]


def _accuracy(features: np.ndarray, labels: np.ndarray, taken: np.ndarray, test: np.ndarray, draw: int) -> float:
    present, codes = np.unique(labels[taken], return_inverse=True)
    guesses = np.full(len(test), present[0])
    if len(present) > 1:
        solved = solve_logistic(features[taken], codes, len(present), weights=None, groups=None, seed=draw)
        guesses = present[(features[test] @ solved.weight.T + solved.bias).argmax(axis=1)]
    return float((guesses == labels[test]).mean())


def _area(curve: list[float]) -> float:
    """Mean accuracy over labels per class, in points."""
    return 100 * float(np.trapezoid(curve, PER_CLASS)) / (PER_CLASS[-1] - PER_CLASS[0])


def _features(frame: pd.DataFrame, columns: Mapping[str, Any], backbone: str) -> np.ndarray:
    plan = Plan(data="<made>", backbone=backbone, columns=Columns.model_validate(columns))
    examples = listed(frame.drop(columns="label"), plan.columns, plan)
    loaded, _, _ = choose_backbone(examples, plan)
    return embed(loaded, examples, store=FeatureStore()).pooled(np.arange(len(frame)))


Made = tuple[pd.DataFrame, Mapping[str, Any], str]


def _pictures(folder: str, pattern: str) -> Callable[[], Made]:
    def made() -> Made:
        files = sorted((data_folder() / folder).glob(pattern))
        frame = pd.DataFrame({"input": map(str, files), "label": [file.parent.name for file in files]})
        return frame, {"image": "input"}, _mobilenet()

    return made


def _digits() -> Made:
    frame = drawn_pictures("mnist", 400, 0)
    return frame.loc[frame["part"] == "train", ["input", "label"]], {"image": "input"}, _mobilenet()


def _texts(*files: str) -> Callable[[], Made]:
    def made() -> Made:
        frame = pd.concat([pd.read_csv(data_folder() / "data" / file) for file in files])[["text", "label"]]
        return frame[frame["text"].str.strip() != ""].drop_duplicates("text"), {"text": "text"}, "all-MiniLM-L6-v2"

    return made


def _mobilenet() -> str:
    return str(Path(data_folder()) / "weights" / "mobilenetv2_100_imagenet")


SETS: Mapping[str, Callable[[], Made]] = {
    "da_pacs": _pictures("data/da_pacs", "*/*/*.jpg"),
    "img_brain_mri": _pictures("data/img_brain_mri/train", "*/*.jpg"),
    "mnist": _digits,
    "text_sms_spam": _texts("text_sms_spam/all.csv"),
    "tweeteval_emotion": _texts("text_tweeteval/emotion/train.csv", "text_tweeteval/emotion/test.csv"),
    "text_sst2": _texts("text_sst2/dev.csv", "text_sst2/test.csv"),
}
