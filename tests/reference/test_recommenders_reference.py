"""Recommenders and figures of ranked lists against longhand versions on small matrices."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from scipy.linalg import orthogonal_procrustes
from scipy.sparse import csr_array
from sklearn.linear_model import Ridge

from headstart.contracts.interactions import Domains
from headstart.kernel import registry
from headstart.recommenders._domain_factors import ridge_map
from headstart.recommenders._least_squares import Weighing, half_step, improved, item_factors
from headstart.recommenders.procrustes import rotation
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
    items = item_factors(csr_array(matrix), width, weighing, 3, 1, torch.float64, exact=True)
    users = half_step(items, csr_array(matrix), weighing)
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


def test_the_map_of_emcdr_is_scikit_learns_ridge() -> None:
    draws = np.random.default_rng(5)
    source, target = draws.normal(1, 2, (40, 5)), draws.normal(3, 1, (40, 4))
    centred = source - source.mean(axis=0)
    wanted = Ridge(alpha=0.3 * float(np.square(centred).sum()) / 5).fit(source, target)
    found = ridge_map(source, target, 0.3)
    assert np.abs(found[:-1] - wanted.coef_.T).max() < 1e-6 and np.abs(found[-1] - wanted.intercept_).max() < 1e-6


def test_procrustes_finds_a_rotation_again() -> None:
    draws = np.random.default_rng(6)
    source = draws.normal(1, 2, (40, 4))
    turn = orthogonal_procrustes(draws.normal(size=(9, 4)), draws.normal(size=(9, 4)))[0]
    found = rotation(source, 1.7 * source @ turn + [1, 2, 3, 4])
    assert np.abs(found[:-1] - 1.7 * turn).max() < 1e-6 and np.abs(found[-1] - [1, 2, 3, 4]).max() < 1e-5
    other = draws.normal(size=(40, 4))
    centred = source - source.mean(axis=0), other - other.mean(axis=0)
    wanted, total = orthogonal_procrustes(*centred)
    assert np.abs(rotation(source, other)[:-1] - total / np.square(centred[0]).sum() * wanted).max() < 1e-6


def test_shared_user_ridge_is_the_ridge_regression_of_its_primal_form(matrix: np.ndarray) -> None:
    source = (np.random.default_rng(7).random((30, 9)) < 0.4).astype(np.float32)
    source[25:], matrix = 0, matrix.copy()
    scorer = registry.plugin("recommenders", "shared_ridge")(ridge=0.7, damping=0.5)
    domains = Domains(csr_array(matrix), csr_array(source))
    found = scorer.solve(domains, 0).scores(csr_array((30, 12), dtype=np.float32), domains.source)
    weights = source.sum(axis=0) ** -0.5
    shared = np.flatnonzero((source.sum(axis=1) > 0) & (matrix.sum(axis=1) > 0))
    x = source[shared].astype(np.float64) * weights
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    wanted = np.linalg.solve(x.T @ x + 0.7 * np.eye(9), x.T @ matrix[shared])
    assert np.abs(found - (source * weights) @ wanted).max() < 1e-5


def test_bridged_similarities_are_products_of_normalised_matrices(matrix: np.ndarray) -> None:
    source = (np.random.default_rng(8).random((30, 9)) < 0.4).astype(np.float32)
    source[20:] = 0
    domains = Domains(csr_array(matrix), csr_array(source))

    def normal(ones: np.ndarray) -> np.ndarray:
        users, items = np.maximum(ones.sum(axis=1), 1e-9), ones.sum(axis=0)
        return ones / np.sqrt(users)[:, None] / np.sqrt(items)[None]

    shared = (source.sum(axis=1) > 0) & (matrix.sum(axis=1) > 0)
    t, s = normal(matrix), normal(source)
    between, weights = s[shared].T @ t[shared], np.sqrt(matrix.sum(axis=0))
    for spread in (False, True):
        scorer = registry.plugin("recommenders", "cgsp")(bridge=0.4, spread=spread).solve(domains, 0)
        bridge = s.T @ s @ between @ t.T @ t if spread else between
        wanted = (matrix @ (t.T @ t) + 0.4 * source @ bridge) * weights
        assert np.abs(scorer.scores(domains.target, domains.source) - wanted).max() < 1e-4


def test_cmf_is_ials_of_both_domains_side_by_side(matrix: np.ndarray) -> None:
    source = (np.random.default_rng(9).random((30, 9)) < 0.4).astype(np.float32)
    domains = Domains(csr_array(matrix), csr_array(source))
    settings = {"width": 4, "unobserved": 0.1, "ridge": 0.05, "epochs": 3}
    found = registry.plugin("recommenders", "cmf")(**settings).solve(domains, 3).scores(domains.target, domains.source)
    both, weighing = csr_array(np.hstack([matrix, source])), Weighing(0.1, 0.05)
    items = item_factors(both, 4, weighing, 3, 3)
    assert np.abs(found - (half_step(items, both, weighing) @ items[:12].T).numpy()).max() < 1e-5


def test_conjugate_gradients_reach_the_exact_half_step(matrix: np.ndarray) -> None:
    weighing, items = Weighing(0.1, 0.05), torch.from_numpy(np.random.default_rng(2).normal(size=(12, 6)))
    wanted = half_step(items, csr_array(matrix), weighing)
    start = torch.zeros(30, 6, dtype=torch.float64)
    far, near = (improved(items, csr_array(matrix), weighing, start, steps) for steps in (1, 12))
    assert (near - wanted).abs().max() < 1e-9 < (far - wanted).abs().max()


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


class Kept:
    """A memo that has the same value for every key, and remembers what it was given."""

    def __init__(self, value: bytes | None = None) -> None:
        self.value, self.given = value, dict[bytes, bytes]()

    def get(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        return {} if self.value is None else dict.fromkeys(keys, self.value)

    def put(self, values: Mapping[bytes, bytes]) -> None:
        self.given.update(values)


def test_factors_are_kept_by_what_was_had_together_and_by_the_settings() -> None:
    ones = (np.random.default_rng(11).random((30, 12)) < 0.3).astype(np.float32)
    ials = registry.plugin("recommenders", "ials")

    def key(matrix: np.ndarray, seed: int = 0, **settings: Any) -> bytes:
        kept = Kept()
        ials(width=4, **settings).solve(Domains(csr_array(matrix), memo=kept), seed)
        (found,) = kept.given or [b"in memory"]
        return found

    first = key(ones)
    more = np.vstack([np.zeros((2, 12), np.float32), ones[::-1]])  # users in another order, and some without anything
    assert key(more) == b"in memory"
    other = ones.copy()
    other[3, 5] = 1 - other[3, 5]
    keys = [first, key(ones, 1), key(ones, ridge=0.5), key(ones, epochs=3), key(other)]
    assert len({*keys}) == 5 and b"in memory" not in keys


def test_factors_that_are_kept_are_not_solved_for_again() -> None:
    ones = csr_array((np.random.default_rng(12).random((30, 12)) < 0.3).astype(np.float32))
    ials = registry.plugin("recommenders", "ials")(width=4)
    value = np.arange(48, dtype=np.float32)
    scorer = ials.solve(Domains(ones, memo=Kept(value.tobytes())), 0)
    assert np.array_equal(scorer.arrays()["items"], value.reshape(12, 4))
    torn = ials.solve(Domains(ones, memo=Kept(b"torn")), 1)
    assert np.isfinite(torn.arrays()["items"]).all()
