"""Every recommender is solved from interactions of two domains, ranks items by them, and is made again from arrays."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from plugins import every
from scipy.sparse import csr_array

from headstart.contracts.interactions import Domains
from headstart.contracts.recommender import Recommender, Scorer
from headstart.kernel import registry
from headstart.search.recommender_training import made_ready
from headstart.tasks.recommendation.ranking import hits_of, ndcg

USERS, ITEMS, OTHERS = 90, 20, 16
QUICK = {"sasrec": {"max_steps": 90, "learning_rate": 0.01}}
UNSEEN = 3
"""An item that nobody had."""


def tastes() -> tuple[Domains, np.ndarray]:
    """Two groups of users with an own half of each catalogue, the last 30 without a history in the target; what each
    likes there (users, items)."""
    draws = np.random.default_rng(0)
    group = np.arange(USERS) % 2
    target = draws.random((USERS, ITEMS)) < np.where(group[:, None] == np.arange(ITEMS) % 2, 0.5, 0.02)
    source = draws.random((USERS, OTHERS)) < np.where(group[:, None] == np.arange(OTHERS) % 2, 0.5, 0.02)
    target[:, UNSEEN] = False
    target[60:] = False
    likes = (group[:, None] == np.arange(ITEMS) % 2) & (np.arange(ITEMS) != UNSEEN)
    contents = np.stack([np.arange(ITEMS) % 2, 1 - np.arange(ITEMS) % 2], axis=1).astype(np.float32)
    ours, theirs = (csr_array(side.astype(np.float32)) for side in (target, source))
    return Domains(ours, theirs, contents, contents[:OTHERS], ordered=True), likes


def source_of(domains: Domains) -> csr_array:
    assert domains.source is not None
    return domains.source


def usual(name: str) -> Recommender:
    found: Recommender = registry.plugin("recommenders", name)(**QUICK.get(name, {}))
    return found


def ready(name: str, domains: Domains, seed: int = 0) -> Scorer:
    return made_ready(usual(name), domains, seed, None).scorer


@every("recommenders")
def test_scores_are_finite_for_items_that_were_seen_and_a_function_of_the_seed(name: str) -> None:
    domains, _ = tastes()
    one, again = (ready(name, domains, 7).scores(domains.target, source_of(domains)) for _ in range(2))
    assert one.shape == (USERS, ITEMS) and one.dtype == np.float32
    assert np.array_equal(one, again)
    seen = np.delete(np.arange(ITEMS), UNSEEN)
    assert np.isfinite(one[:, seen]).all() and (name == "content" or np.isneginf(one[:, UNSEEN]).all())


@every("recommenders")
def test_arrays_make_the_same_scores_again(name: str) -> None:
    domains, _ = tastes()
    solved = ready(name, domains)
    again = usual(name).restored({key: np.array(values) for key, values in solved.arrays().items()})
    rows = [0, 70, 5]
    found, wanted = (one.scores(domains.target[rows], source_of(domains)[rows]) for one in (again, solved))
    assert np.array_equal(found, wanted)


@every("recommenders")
def test_users_are_told_apart_by_what_it_says_it_reads(name: str) -> None:
    domains, likes = tastes()
    recommender = usual(name)
    scores = ready(name, domains).scores(domains.target, source_of(domains))
    relevant = [np.flatnonzero(row) for row in likes]
    counts = np.array([len(items) for items in relevant])
    values = ndcg(hits_of(np.argsort(-scores, axis=1), np.array(relevant, object)), counts, 5)
    warm, cold = np.nanmean(values[:60]), np.nanmean(values[60:])
    assert (warm > 0.75) == recommender.informed
    if recommender.serves_cold:
        assert cold > 0.75, "users with a source history alone"


@every("recommenders")
def test_there_are_settings_to_choose_from_and_words_for_them(name: str) -> None:
    domains, _ = tastes()
    tries = usual(name).tries(domains)
    assert len(tries) >= 1 and len({repr(one) for one in tries}) == len(tries)
    assert all(one.words().startswith(one.title) for one in tries)
    assert usual(name).lacks(domains) == ""


@every("recommenders")
def test_one_that_transfers_needs_users_of_both_domains_or_contents(name: str) -> None:
    domains, _ = tastes()
    apart = Domains(domains.target, csr_array(np.vstack([np.zeros((60, OTHERS)), source_of(domains)[60:].toarray()])))
    if usual(name).transfers:
        assert ("contents of items" if name == "content" else "users of both domains") in usual(name).lacks(apart)


@pytest.mark.parametrize("length", [1, 4, 40])
def test_a_prior_mean_is_the_answer_without_a_history_and_fades_with_one(length: int) -> None:
    torch = pytest.importorskip("torch")
    from headstart.recommenders._least_squares import Weighing, half_step

    draws = np.random.default_rng(0)
    items = torch.from_numpy(draws.normal(size=(50, 6)))
    history = np.zeros((2, 50), np.float64)
    history[0, :length] = 1
    prior = torch.from_numpy(draws.normal(size=(2, 6)))
    weighing = Weighing(0.2, 0.3)
    found = half_step(items, csr_array(history), weighing, prior).numpy()
    for row in range(2):
        ridge = 0.3 * (history[row].sum() + 0.2 * 50)
        chosen = items.numpy()[history[row] > 0]
        system = chosen.T @ chosen + 0.2 * items.numpy().T @ items.numpy() + ridge * np.eye(6)
        wanted = np.linalg.solve(system, chosen.sum(axis=0) + ridge * prior.numpy()[row])
        assert math.isclose(np.abs(found[row] - wanted).max(), 0, abs_tol=1e-9)


@every("recommenders")
def test_what_the_data_lack_is_said_and_nothing_fails_on_single_interactions(name: str) -> None:
    domains, _ = tastes()
    first = [row.indices[:1].tolist() for row in domains.target]
    single = np.zeros((USERS, ITEMS), np.float32)
    for row, items in enumerate(first):
        single[row, items] = 1
    few = replace(domains, target=csr_array(single))
    if not usual(name).lacks(few):
        scores = ready(name, few).scores(few.target, source_of(few))
        assert not np.isnan(scores).any()
    if name == "sasrec":
        assert "two items" in usual(name).lacks(few) and "times" in usual(name).lacks(replace(domains, ordered=False))
