"""Experts of several domains: their weights, the formula of the mixture, and the best single one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import softmax

from headstart.contracts.domains import Domains, LinearHead
from headstart.contracts.head_shape import Mixture
from headstart.engine.solved.logistic import solve_logistic
from headstart.pipeline.adaptation.candidates import Adapted, Skipped
from headstart.pipeline.adaptation.experts import Held, experts


def solve(features: np.ndarray, labels: np.ndarray, weights: np.ndarray | None) -> LinearHead:
    found = solve_logistic(features, labels, 2, weights=weights, groups=None, seed=0)
    return LinearHead(found.weight, found.bias)


def drawn(count: int, place: float, turned: bool, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two classes on both sides of a line, the other way round in a turned domain; the place tells the domain."""
    draws = np.random.default_rng(seed)
    labels = draws.integers(2, size=count)
    side = (2 * labels - 1) * (-1 if turned else 1)
    features = np.stack([place + draws.normal(0, 0.5, count), 2 * side + draws.normal(0, 0.5, count)], axis=1)
    return features.astype(np.float32), labels


def sources(*domains: tuple[str, float, bool], count: int = 80) -> tuple[Domains, np.ndarray, Held]:
    """Source domains by name, and a target that is three quarters of the first kind and a quarter of the second."""
    parts = [drawn(count, place, turned, n) for n, (_, place, turned) in enumerate(domains)]
    held = [drawn(40, place, turned, 10 + n) for n, (_, place, turned) in enumerate(domains)]
    target = [drawn(n, place, turned, 20) for n, (_, place, turned) in zip((90, 30), domains)]
    features, labels = (np.concatenate([part[k] for part in parts]) for k in (0, 1))
    of = np.repeat(np.array([name for name, _, _ in domains], object), count)
    none = np.empty((0, 2), np.float32), np.empty(0, np.int64)
    known = Held(*(np.concatenate([part[k] for part in held]) for k in (0, 1)), np.repeat(of[::count], 40))
    return Domains(features, labels, 2, np.concatenate([part[0] for part in target]), *none), of, known


def test_experts_are_weighted_by_the_domain_that_an_example_looks_like() -> None:
    domains, of, held = sources(("plain", -3, False), ("turned", 3, True))
    truth = np.concatenate([drawn(90, -3, False, 20)[1], drawn(30, 3, True, 20)[1]])
    mixture, single = experts(domains, of, held, solve, 0)
    assert isinstance(mixture, Adapted) and isinstance(single, Adapted)
    assert (mixture.target(domains.target).argmax(axis=1) == truth).mean() > 0.98
    assert (single.target(domains.target).argmax(axis=1) == truth).mean() < 0.8
    assert mixture.note == "weights on the target: plain 75 %, turned 25 %"
    head = mixture.head
    assert isinstance(head, Mixture) and head.gate is not None
    assert (mixture.shape.members, mixture.shape.gated) == (2, True)

    def logits(layer: torch.nn.Module) -> np.ndarray:
        return np.asarray(layer(torch.from_numpy(domains.target)).detach().double())

    shares, each = softmax(logits(head.gate), axis=1), [softmax(logits(one), axis=1) for one in head.members]
    longhand = shares[:, :1] * each[0] + shares[:, 1:] * each[1]
    np.testing.assert_allclose(softmax(mixture.target(domains.target), axis=1), longhand, atol=1e-6)


def test_domains_of_other_sizes_count_alike_in_the_weights() -> None:
    domains, of, held = sources(("one", -0.5, False), ("other", 0.5, False))
    few = np.concatenate([np.arange(80), np.arange(80, 100)])
    smaller = domains._replace(
        source=domains.source[few], labels=domains.labels[few], target=np.zeros((1, 2), np.float32)
    )
    (mixture, _) = experts(smaller, of[few], held, solve, 0)
    shares = [float(word) for word in mixture.note.replace(",", "").split() if word.isdigit()]
    assert abs(shares[0] - 50) < 12  # halfway between them, where 80 against 20 would say 80 %


def test_the_best_single_expert_is_chosen_on_the_others_validation_examples() -> None:
    domains, of, held = sources(("a", -2, False), ("b", 0, True), ("c", 2, False))
    _, single = experts(domains, of, held, solve, 0)
    assert single.title in ("a alone", "c alone")
    assert "best of 3 domains alone, 50" in single.note


@pytest.mark.parametrize("labels", [np.zeros(80, np.int64), None])
def test_a_domain_that_teaches_nothing_has_no_expert(labels: np.ndarray | None) -> None:
    domains, of, held = sources(("a", -2, False), ("b", 2, True))
    if labels is None:
        of[85:] = "a"
    else:
        domains.labels[80:] = labels
    (found,) = experts(domains, of, held, solve, 0)
    assert isinstance(found, Skipped) and "fewer than two domains have 10 examples of two classes" in found.reason
