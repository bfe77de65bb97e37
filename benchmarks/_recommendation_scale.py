"""iALS and EASE beside implicit's ALS: quality at the same protocol, speed at the same settings, memory at scale."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from scipy.sparse import csr_array, csr_matrix

from benchmarks._paired import mean_interval
from headstart.contracts.format import Columns
from headstart.contracts.interactions import Domains, catalogue_of, matrix_of
from headstart.formats.interactions import Interactions
from headstart.recommenders._least_squares import Weighing, half_step, item_factors
from headstart.recommenders.ease import Ease
from headstart.recommenders.ials import Ials
from headstart.tasks.recommendation.ranking import hits_of, ndcg
from headstart.tasks.recommendation.task import Recommendation

WIDTH, UNOBSERVED, RIDGE = 64, 0.1, 0.3


def controls(films: pd.DataFrame, *, quick: bool) -> tuple[dict[str, float | None], dict[str, Any]]:
    """EASE and iALS on films, tuned on validation, beside implicit's ALS with as many settings.

    Random interactions of each user are held out: a split in time leaves 26 users to judge by.
    """
    rows = Recommendation().cut(Interactions().read(films.drop(columns="timestamp"), Columns()), None, 0)
    catalogue = catalogue_of(rows.table.column("items"), rows.table.column("relevant"))
    parts = np.array(rows.column("part"))
    train, val, test = (
        {
            n: matrix_of(rows.take(np.flatnonzero(parts == part)).table.column(n), catalogue)
            for n in ("items", "relevant")
        }
        for part in ("train", "val", "test")
    )
    ours = {"EASE": Ease(), "iALS": Ials()}
    values = {}
    for name, recommender in ours.items():
        solved = [
            one.solve(Domains(train["items"]), 0)
            for one in recommender.tries(Domains(train["items"]))[: 2 if quick else None]
        ]
        empty = {
            n: csr_array((part["items"].shape[0], 0), dtype=np.float32) for n, part in (("val", val), ("test", test))
        }
        chosen = max(solved, key=lambda one: _ndcg(one.scores(val["items"], empty["val"]), val).mean())
        values[name] = _ndcg(chosen.scores(test["items"], empty["test"]), test)
    found = []
    for weight, penalty in ((0.1, 0.3), (0.1, 3.0), (0.03, 1.0), (0.1, 1.0), (0.3, 1.0), (0.01, 1.0), (0.1, 10.0))[
        : 2 if quick else None
    ]:
        model = _implicit(train["items"], 12, weight, penalty)
        found.append((_ndcg(_folded(model, val["items"]), val).mean(), _ndcg(_folded(model, test["items"]), test)))
    values["implicit"] = max(found, key=lambda pair: pair[0])[1]
    differences = {name: list(mean_interval((values[name] - values["implicit"]).tolist())) for name in ours}
    measured: dict[str, float | None] = {
        f"recommendation.controls.{name.lower()}": 100 * each[2] for name, each in differences.items()
    }
    means = {name: round(float(each.mean()), 4) for name, each in values.items()}
    return measured, {"ndcg": means, "minus_implicit": differences, "users": test["items"].shape[0]}


def _ndcg(scores: np.ndarray, part: dict[str, csr_array]) -> np.ndarray:
    had, relevant = part["items"], part["relevant"]
    scores = scores.copy()
    scores[np.repeat(np.arange(had.shape[0]), np.diff(had.indptr)), had.indices] = -np.inf
    items = np.empty(len(scores), object)
    for row in range(len(scores)):
        items[row] = relevant.indices[relevant.indptr[row] : relevant.indptr[row + 1]]
    return ndcg(hits_of(np.argsort(-scores, axis=1, kind="stable")[:, :10], items), np.diff(relevant.indptr), 10)


def _implicit(matrix: csr_array, epochs: int, unobserved: float, penalty: float, threads: int = 0) -> Any:
    """implicit's ALS: confidence 1 / unobserved of what was had beside 1 of all, the same loss up to a factor."""
    from implicit.als import AlternatingLeastSquares  # type: ignore[import-untyped]

    model = AlternatingLeastSquares(
        WIDTH, regularization=penalty, alpha=1 + 1 / unobserved, iterations=epochs, random_state=0, num_threads=threads
    )
    model.fit(csr_matrix(matrix), show_progress=False)
    return model


def _folded(model: Any, histories: csr_array) -> np.ndarray:
    folded = model.recalculate_user(np.arange(histories.shape[0]), csr_matrix(histories))
    return np.asarray(folded) @ np.asarray(model.item_factors).T


def scale(films: pd.DataFrame, *, quick: bool) -> tuple[dict[str, float | None], dict[str, Any]]:
    """Read, cut and factorise ten million interactions in a process of its own, and implicit's ALS in another.

    Each has one thread, and processor time is compared: it is the same whatever else the machine does.
    """
    count = 1_000_000 if quick else 10_000_000
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "interactions.parquet"
        generated(films, count, table)
        found = {name: _apart(name, table) for name in ("ours", "implicit")}
    ratio = found["implicit"]["seconds"] / found["ours"]["seconds"]
    measured: dict[str, float | None] = {
        "recommendation.scale.speed": ratio,
        "recommendation.scale.memory": found["ours"]["gigabytes"],
    }
    measured["recommendation.scale.loss"] = 100 * (found["ours"]["loss"] / found["implicit"]["loss"] - 1)
    return measured, {"interactions": count, **found}


def generated(films: pd.DataFrame, count: int, table: Path) -> None:
    """Interactions whose numbers per user and per item are drawn from those of MovieLens, scaled to `count`."""
    draws = np.random.default_rng(0)
    per_user, per_item = (films[name].value_counts().to_numpy() for name in ("user", "item"))
    users = draws.choice(per_user, int(count / per_user.mean()))
    items = draws.choice(per_item, 5 * len(per_item)).astype(float)
    rows = np.repeat(np.arange(len(users)), users)
    columns = draws.choice(len(items), len(rows), p=items / items.sum())
    kept = pa.table({"user": rows, "item": columns, "time": draws.integers(10**9, 2 * 10**9, len(rows))})
    pa.parquet.write_table(kept, table)


def _apart(name: str, table: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks._recommendation_scale", name, str(table)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return json.loads(done.stdout.splitlines()[-1])


def _measure(name: str, table: Path) -> dict[str, float]:
    """Processor seconds of an epoch, the loss after three, and the most memory of the process."""
    import resource

    import torch

    torch.set_num_threads(1)
    rows = Recommendation().cut(Interactions().read(table, Columns()), None, 0)
    train = rows.take(np.flatnonzero(np.array(rows.column("part")) == "train"))
    matrix = matrix_of(train.table.column("items"), catalogue_of(train.table.column("items")))
    started = time.process_time()
    if name == "ours":
        weighing = Weighing(UNOBSERVED, RIDGE, 0.0)
        found = item_factors(matrix, WIDTH, weighing, 3, 0)
        users, items = half_step(found, matrix, weighing).numpy(), found.numpy()
    else:
        model = _implicit(matrix, 3, UNOBSERVED, RIDGE * (1 + UNOBSERVED) / UNOBSERVED, 1)
        scale = (1 + UNOBSERVED) ** -0.5  # its loss is ours of scores that are so much larger, squared
        users, items = scale * np.asarray(model.user_factors), scale * np.asarray(model.item_factors)
    seconds = (time.process_time() - started) / 3
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    loss = UNOBSERVED * float(np.sum((users.T @ users) * (items.T @ items)))
    loss += RIDGE * float(np.square(users).sum() + np.square(items).sum())
    for row in range(0, matrix.shape[0], 5000):
        some = matrix[row : row + 5000]
        each = users[row + np.repeat(np.arange(some.shape[0]), np.diff(some.indptr))]
        loss += float(np.square(1 - np.einsum("nd,nd->n", each, items[some.indices])).sum())
    return {"seconds": seconds, "loss": loss, "gigabytes": most, "users": matrix.shape[0], "items": matrix.shape[1]}


if __name__ == "__main__":
    print(json.dumps(_measure(sys.argv[1], Path(sys.argv[2]))))
