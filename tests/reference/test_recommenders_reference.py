"""Recommenders and figures of ranked lists against longhand versions on small matrices."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from headstart.contracts.interactions import Domains
from headstart.kernel import registry
from headstart.recommenders._least_squares import Weighing, factorised
from headstart.tasks.recommendation.ranking import hits_of, ndcg, recall, reciprocal_rank


@pytest.fixture(scope="module")
def matrix() -> np.ndarray:
    return (np.random.default_rng(0).random((30, 12)) < 0.3).astype(np.float32)


def solved(name: str, matrix: np.ndarray, **settings: Any) -> np.ndarray:
    histories = csr_array(matrix)
    scorer = registry.plugin("recommenders", name)(**settings).solve(Domains(histories), 0)
    found: np.ndarray = scorer.scores(histories, csr_array((len(matrix), 0), dtype=np.float32))
    return found


def test_ease_is_ridge_regression_of_each_item_on_the_others(matrix: np.ndarray) -> None:
    wanted = np.zeros((12, 12))
    for item in range(12):
        others = np.delete(np.arange(12), item)
        x, y = matrix[:, others].astype(np.float64), matrix[:, item].astype(np.float64)
        wanted[others, item] = np.linalg.solve(x.T @ x + 5.0 * np.eye(11), x.T @ y)
    assert np.abs(solved("ease", matrix, ridge=5.0) - matrix @ wanted).max() < 1e-6


def test_item_neighbours_are_cosines_with_shrinkage(matrix: np.ndarray) -> None:
    counts, shared = matrix.sum(axis=0), matrix.T @ matrix
    similar = shared / (np.sqrt(np.outer(counts, counts)) + 2.0)
    np.fill_diagonal(similar, 0)
    for row in similar:
        row[np.argsort(-row, kind="stable")[4:]] = 0
    assert np.abs(solved("item_knn", matrix, neighbours=4, shrink=2.0) - matrix @ similar).max() < 1e-6


@pytest.mark.parametrize("width", [3, 16])
def test_ials_solves_each_side_in_turn(matrix: np.ndarray, width: int) -> None:
    weighing = Weighing(0.2, 0.05, 0.5)
    users, items = factorised(csr_array(matrix), width, weighing, 3, 1, torch.float64)
    draws = torch.Generator().manual_seed(1)
    other = (torch.randn(12, width, generator=draws, dtype=torch.float64) * (0.1 / width**0.5)).numpy()

    def side(fixed: np.ndarray, seen: np.ndarray) -> np.ndarray:
        found = np.zeros((len(seen), width))
        for row, had in enumerate(seen > 0):
            weights = 0.2 + had
            ridge = 0.05 * (had.sum() + 0.2 * len(fixed)) ** 0.5
            system = (fixed * weights[:, None]).T @ fixed + ridge * np.eye(width)
            found[row] = np.linalg.solve(system, fixed[had].sum(axis=0))
        return found

    for _ in range(3):
        mine = side(other, matrix)
        other = side(mine, matrix.T)
    assert np.abs(items.numpy() - other).max() < 1e-9
    assert np.abs(users.numpy() - side(other, matrix)).max() < 1e-9


def test_figures_of_lists_are_those_of_the_definitions() -> None:
    draws = np.random.default_rng(3)
    listed = np.array([draws.permutation(30)[:20] for _ in range(40)])
    listed[0, 15:] = -1
    relevant = np.empty(40, object)
    for row in range(40):
        relevant[row] = draws.choice(30, draws.integers(0 if row else 3, 9), replace=False)
    hits, counts = hits_of(listed, relevant), np.array([len(items) for items in relevant])
    for k in (1, 5, 10):
        for row in range(40):
            wanted = {*relevant[row].tolist()}
            gains = [1 / math.log2(place + 2) for place, item in enumerate(listed[row, :k]) if item in wanted]
            best = sum(1 / math.log2(place + 2) for place in range(min(k, len(wanted))))
            found = ndcg(hits, counts, k)[row], recall(hits, counts, k)[row]
            if not wanted:
                assert math.isnan(found[0]) and math.isnan(found[1])
                continue
            assert found == pytest.approx((sum(gains) / best, len(gains) / len(wanted)), abs=1e-12)
            places = [place for place, item in enumerate(listed[row]) if item in wanted]
            assert reciprocal_rank(hits, counts)[row] == pytest.approx(1 / (places[0] + 1) if places else 0, abs=1e-12)


def test_figures_of_lists_equal_those_of_ranx() -> None:
    ranx = pytest.importorskip("ranx")
    draws = np.random.default_rng(4)
    listed = np.array([draws.permutation(40)[:25] for _ in range(30)])
    relevant = np.array([draws.choice(40, 5, replace=False) for _ in range(30)])
    wanted = {str(row): {str(item): 1 for item in items} for row, items in enumerate(relevant)}
    lists = {
        str(row): {str(item): 1.0 / (1 + place) for place, item in enumerate(items)} for row, items in enumerate(listed)
    }
    found = ranx.evaluate(ranx.Qrels(wanted), ranx.Run(lists), ["ndcg@10", "recall@10", "mrr"])
    hits, counts = hits_of(listed, relevant), np.full(30, 5)
    mine = ndcg(hits, counts, 10).mean(), recall(hits, counts, 10).mean(), reciprocal_rank(hits, counts).mean()
    assert mine == pytest.approx((found["ndcg@10"], found["recall@10"], found["mrr"]), abs=1e-6)
