"""Recommendation across domains: cold and warm users, genres, controls, harm on synthetic pairs, and scale.

Everything goes through `headstart.fit`, which chooses on validation; test parts choose nothing. Cold: the given split
of the Amazon pair game and video (CDRIB), both ways, all of the catalogue ranked. The settings that recommenders try
were set by the validation users of that pair; genres, synthetic pairs and warm users were looked at afterwards only.
Warm: of half of the shared users all but 1, 2, 5 or 10 interactions with videos are held out. Genres: the films of one
genre are the source of another one's others, split in time. Safety: 20 synthetic pairs whose users' tastes agree by 0,
0.3, 0.6 or 1; on 20 others the rule was set by which a transfer is chosen. Scale: 10 million interactions whose degrees
are drawn from those of MovieLens. Each part is a process of its own, and finished ones are kept until all are.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

import headstart
from benchmarks._cells import cell
from benchmarks._cross_domain_rivals import RIVALS, Pair, best
from benchmarks._data import data_folder
from benchmarks._paired import mean_interval
from benchmarks._recommendation_scale import controls, scale
from headstart.tasks.recommendation.ranking import hits_of, ndcg

SHARED = 2179
"""Users of the cold split with smaller numbers are the same in both domains, all others are not."""

FEW = (1, 2, 5, 10)
GENRES = (("Comedy", "Drama"), ("Action", "Adventure"), ("Thriller", "Crime"), ("Romance", "Comedy"))
"""Target and source."""


def run(quick: bool, full: bool) -> tuple[dict[str, float | None], dict[str, Any]]:
    """All parts (`quick`: one direction, no rivals, 4 synthetic pairs, a million interactions; `full`: 20 epochs)."""
    epochs = 0 if quick else 20 if full else 12
    pairs = (("video", "game"), ("game", "video"))[: 1 if quick else 2]
    cold = {f"{a} from {b}": _part("cold", a, b) for a, b in pairs}
    lists = {name: found.pop("lists") for name, found in cold.items()}
    measured: dict[str, float | None] = {
        "recommendation.cold.over_popularity": min(100 * one["over_popularity"][1] for one in cold.values()),
        "recommendation.cold.seconds": sum(one["seconds"] for one in cold.values()),
    }
    if epochs:
        for a, b in pairs:
            name = f"{a} from {b}"
            cold[name] |= _beside(lists[name], _part("rivals", a, b, str(epochs)))
        measured["recommendation.cold.over_rivals"] = min(100 * one["over_best_rival"][0] for one in cold.values())
    how = "quick" if quick else "normal"
    warm = _part("warm", how)
    measured["recommendation.warm"] = min(100 * one["gain"][2] for one in warm["by_number"].values())
    genres = {f"{a} from {b}": _part("genres", a, b) for a, b in GENRES[: 1 if quick else 4]}
    measured["recommendation.genres"] = min(100 * one["gain"][2] for one in genres.values())
    safety = _part("safety", how)["pairs"]
    measured["recommendation.safety"] = 100 * float(np.mean([one["harmful"] for one in safety]))
    beside = {name: _part(name, how) for name in ("controls", "scale")}
    for found in beside.values():
        measured |= found.pop("measured")
    return measured, {"cold": cold, "warm": warm, "genres": genres, "safety": safety, **beside}


def _part(*arguments: str) -> dict[str, Any]:
    return cell("recommendation", "benchmarks.recommendation", arguments)


def _table(name: str, **columns: Any) -> pd.DataFrame:
    folder = data_folder() / "data" / "rec_amazon_game_video"
    return pd.read_csv(folder / f"{name}.csv.gz").assign(**columns)


def _films() -> pd.DataFrame:
    return pd.read_csv(data_folder() / "data" / "rec_movielens_latest_small" / "ratings.csv.gz")


def _split(target: str, source: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both domains of the given split: of the source, users who are not shared go by numbers below 0."""
    parts = {"train": "train", "valid": "val", "test": "test"}
    frame = pd.concat([_table(f"split_{target}_{name}", part=part) for name, part in parts.items()])
    other = _table(f"split_{source}_train")
    other["user"] = other["user"].where(other["user"] < SHARED, -1 - other["user"])
    return frame, other


def _cold(target: str, source: str) -> dict[str, Any]:
    """The given split: a fit, its time, and what it lists for each user of the test part."""
    frame, other = _split(target, source)
    with tempfile.TemporaryDirectory() as folder:
        started, used = time.monotonic(), time.process_time()
        run = headstart.fit(frame.astype(str), source=other.astype(str), out=Path(folder) / "run", label_curve=False)
        seconds, used = time.monotonic() - started, time.process_time() - used
        found = _judged(run.folder)
        lists = pd.read_csv(run.folder / "test_predictions.csv", dtype=str).set_index("origin")["prediction"]
    against = {one["against"]: one["difference"] for one in found["comparisons"]}
    return {
        "seconds": round(seconds, 1),
        "processor_seconds": round(used, 1),
        "ndcg": found["figures"]["ndcg@10"],
        "arms": found["arms"],
        "chosen": found["chosen"],
        "candidates": found["candidates"],
        "over_popularity": [against["scratch"][end] for end in ("value", "low", "high")],
        "lists": lists.to_dict(),
    }


def _rivals(target: str, source: str, epochs: int) -> dict[str, Any]:
    """nDCG@10 of each rival for each user of the test part."""
    frame, other = _split(target, source)
    users = np.unique(np.concatenate([frame["user"], other["user"]]))
    size = len(users), int(frame["item"].max()) + 1

    def matrix(rows: pd.DataFrame, items: int) -> csr_array:
        ones = np.ones(len(rows), np.float32)
        found = csr_array((ones, (np.searchsorted(users, rows["user"]), rows["item"])), shape=(size[0], items))
        found.data[:] = 1
        return found

    held = {part: matrix(frame[frame["part"] == part], size[1]) for part in ("train", "val", "test")}
    pair = Pair(held["train"], matrix(other, int(other["item"].max()) + 1))
    rows = {part: np.flatnonzero(np.diff(held[part].indptr) > 0) for part in ("val", "test")}
    relevant = {part: _relevant(held[part], rows[part]) for part in rows}

    def judge(scores: np.ndarray) -> float:
        return float(_ndcg(_first(scores), relevant["val"]).mean())

    values, history = {}, {}
    for name, method in RIVALS.items():
        scores, curve = best(method, pair, judge, rows["val"], rows["test"], epochs)
        values[name] = _ndcg(_first(scores), relevant["test"]).tolist()
        history[name] = [round(value, 4) for value in curve]
    wanted = {int(user): items.tolist() for user, items in zip(users[rows["test"]], relevant["test"])}
    return {"relevant": wanted, "values": values, "validation_by_epoch": history}


def _beside(lists: Mapping[str, str], rivals: Mapping[str, Any]) -> dict[str, Any]:
    """Our nDCG@10 beside that of the rivals, and the difference to the best of them with its interval over users."""
    listed = np.array([[int(item) for item in lists[f"user {user}"].split(", ")] for user in rivals["relevant"]])
    wanted = [np.array(items) for items in rivals["relevant"].values()]
    mine = _ndcg(listed, np.fromiter(wanted, object, len(wanted)))
    means = {name: float(np.mean(each)) for name, each in rivals["values"].items()}
    top = np.array(rivals["values"][max(means, key=lambda name: means[name])])
    return {
        "ours": round(float(mine.mean()), 4),
        "rivals": {name: round(value, 4) for name, value in means.items()},
        "validation_by_epoch": rivals["validation_by_epoch"],
        "over_best_rival": list(mean_interval((mine - top).tolist())),
    }


def _relevant(held: csr_array, rows: np.ndarray) -> np.ndarray:
    found = np.empty(len(rows), object)
    for place, row in enumerate(rows):
        found[place] = held.indices[held.indptr[row] : held.indptr[row + 1]]
    return found


def _first(scores: np.ndarray) -> np.ndarray:
    return np.argsort(-scores, axis=1, kind="stable")[:, :10]


def _ndcg(listed: np.ndarray, relevant: np.ndarray) -> np.ndarray:
    return ndcg(hits_of(listed, relevant), np.array([len(items) for items in relevant]), 10)


def _judged(folder: Path) -> dict[str, Any]:
    record = json.loads((folder / "record.json").read_text())
    return {
        "comparisons": record["comparisons"],
        "figures": {name: figure["value"] for name, figure in record["arms"]["model"]["figures"].items()},
        "arms": {key: [arm["title"], arm["figures"]["ndcg@10"]["value"]] for key, arm in record["arms"].items()},
        "chosen": {one["what"]: one["value"] for one in record["decisions"] if one["what"].startswith("recommender")},
        "candidates": {one["name"]: round(one["val_metric"], 4) for one in record["candidates"]},
        "slices": {row["value"]: [row["n"], row["figures"]["ndcg@10"]["value"]] for row in record["slices"]},
    }


def _warm(*, quick: bool) -> dict[str, Any]:
    """Videos by shared users with few of them, games beside: gain over the tuned recommenders of videos alone."""
    videos, games = _table("video"), _table("game")
    draws = np.random.default_rng(0)
    shared = draws.permutation(np.intersect1d(videos["user"], games["user"]))
    counts = videos["user"].value_counts()
    chosen = [user for user in shared[: len(shared) // 2] if counts[user] >= 3]
    keep = {user: FEW[n % 4] for n, user in enumerate(chosen)}
    videos = videos.iloc[draws.permutation(len(videos))]
    place = videos.groupby("user").cumcount()
    few = videos["user"].map(keep)
    later = pd.Series(np.where(videos["user"] % 2 == 0, "val", "test"), videos.index)
    frame = videos.assign(part=later.where(place >= few, "train"))[["user", "item", "part"]]
    methods = "popularity+item_knn+ials+cgsp+cmf" if quick else "closed_forms"
    with tempfile.TemporaryDirectory() as folder:
        how: dict[str, Any] = {"backbone": methods, "label_curve": False}
        both = headstart.fit(frame.astype(str), source=games.astype(str), out=Path(folder) / "both", **how)
        alone = headstart.fit(frame.astype(str), out=Path(folder) / "alone", **how)
        found, gains = _judged(both.folder), _gains(both.folder, alone.folder)
    by_number = {
        str(number): {"users": int(mask.sum()), "gain": list(mean_interval(gains["gain"][mask].tolist()))}
        for number in FEW
        if (mask := np.array([keep.get(int(user)) == number for user in gains["user"]])).any()
    }
    return {**found, "by_number": by_number}


def _gains(both: Path, alone: Path) -> Mapping[str, np.ndarray]:
    """nDCG@10 of a run minus that of another one, user by user, by what they kept of their test parts."""
    values = {}
    for folder in (both, alone):
        kept = pd.read_csv(folder / "test_predictions.csv", dtype=str, keep_default_na=False).set_index("origin")
        pairs = zip(kept["truth"].str.split(", "), kept["prediction"].str.split(", "))
        values[folder] = pd.Series([_one_ndcg(*pair) for pair in pairs], kept.index)
    gain = (values[both] - values[alone]).dropna()
    return {"gain": gain.to_numpy(), "user": gain.index.str.removeprefix("user ").to_numpy()}


def _one_ndcg(truth: list[str], listed: list[str]) -> float:
    gains = 1 / np.log2(np.arange(2, 12))
    hits = np.array([item in truth for item in listed[:10]])
    return float(gains[: len(hits)][hits].sum() / gains[: min(10, len(truth))].sum())


def _genres(target: str, source: str) -> dict[str, Any]:
    """Films of one genre from those of another one that are not of the first."""
    kinds = pd.read_csv(data_folder() / "data" / "rec_movielens_latest_small" / "movies.csv").set_index("movieId")[
        "genres"
    ]
    films = _films()
    of = {
        name: films["item"].map(kinds).str.split("|").map(lambda some, n=name: n in some) for name in (target, source)
    }
    return _with_source(films[of[target]], films[of[source] & ~of[target]])


def _with_source(frame: pd.DataFrame, other: pd.DataFrame, seed: int = 0) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        run = headstart.fit(frame, source=other, out=Path(folder) / "run", seed=seed)
        found = _judged(run.folder)
    gain = next(one["difference"] for one in found["comparisons"] if one["against"] == "scratch")
    return {**found, "gain": [gain["value"], gain["low"], gain["high"]]}


def _synthetic(number: int) -> dict[str, Any]:
    """A pair of domains whose users' tastes agree to a known degree, five of each."""
    related = (0.0, 0.3, 0.6, 1.0)[number % 4]
    draws = np.random.default_rng(number)
    users, items, shared = 400, 150, int(draws.integers(60, 300))
    tastes = draws.normal(size=(users, 6))
    others = related * tastes + np.sqrt(1 - related**2) * draws.normal(size=(users, 6))
    others[shared:] = draws.normal(size=(users - shared, 6))
    names = (
        np.array([f"u{n}" for n in range(users)]),
        np.array([f"{'u' if n < shared else 'v'}{n}" for n in range(users)]),
    )
    frame, other = (_drawn(mine, name, items, draws) for mine, name in zip((tastes, others), names))
    found = _with_source(frame, other, seed=number)
    return {
        "related": related,
        "shared": shared,
        "gain": found["gain"],
        "chosen": found["chosen"],
        "harmful": found["gain"][2] < 0,
    }


def _drawn(tastes: np.ndarray, names: np.ndarray, items: int, draws: np.random.Generator) -> pd.DataFrame:
    wanted = 0.7 * tastes @ draws.normal(size=(6, items)) + draws.gumbel(size=(len(tastes), items))
    order = np.argsort(-(wanted - 0.5 * np.log1p(np.arange(items))), axis=1)
    counts = draws.integers(2, 16, len(tastes))
    pairs = [(names[user], f"i{item}") for user in range(len(tastes)) for item in order[user, : counts[user]]]
    return pd.DataFrame(pairs, columns=["user", "item"])


def _with_figures(found: tuple[dict[str, float | None], dict[str, Any]]) -> dict[str, Any]:
    return {"measured": found[0], **found[1]}


PARTS: dict[str, Callable[..., dict[str, Any]]] = {
    "cold": _cold,
    "rivals": lambda target, source, epochs: _rivals(target, source, int(epochs)),
    "warm": lambda how: _warm(quick=how == "quick"),
    "genres": _genres,
    "safety": lambda how: {"pairs": [_synthetic(n) for n in range(100, 104 if how == "quick" else 120)]},
    "controls": lambda how: _with_figures(controls(_films(), quick=how == "quick")),
    "scale": lambda how: _with_figures(scale(_films(), quick=how == "quick")),
}


if __name__ == "__main__":
    print(json.dumps(PARTS[sys.argv[1]](*sys.argv[2:])))
