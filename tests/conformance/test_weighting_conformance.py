"""Every weighting gives what its contract says, also of odd domains, and weighs all alike where nothing differs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from plugins import every, sample
from scipy.special import softmax
from test_alignment_conformance import odd

from headstart.contracts.domains import Domains
from headstart.contracts.weighting import Weighted
from headstart.kernel.errors import DataError
from two_domains import CLASSES, domains, drawn, solve

QUICK = {"tradaboost": {"rounds": 4}}


def weighed(name: str, data: Domains, seed: int = 0) -> Weighted:
    found: Weighted = sample("weighting", name).model_copy(update=QUICK.get(name, {})).weigh(data, solve, seed)
    return found


@every("weighting")
def test_equal_data_give_equal_weights(name: str) -> None:
    one, other = (weighed(name, domains(120, 80, move=0.5, few=20), 3) for _ in range(2))
    for mine, theirs in zip(_numbers(one), _numbers(other), strict=True):
        np.testing.assert_array_equal(mine, theirs)


@every("weighting")
def test_without_a_shift_all_count_nearly_alike(name: str) -> None:
    found = weighed(name, domains(600, 500, few=40))
    if found.weights is not None:
        assert found.effective >= 0.8 * 600
    if found.ratios is not None:
        np.testing.assert_allclose(found.ratios, 1, atol=0.3)
    if found.votes:
        test, truth = drawn(600, 5)
        plain = softmax(solve(domains(600).source, domains(600).labels, None).logits(test), axis=1)
        voted = sum(share * softmax(head.logits(test), axis=1) for share, head in found.votes)
        assert (voted.argmax(axis=1) == truth).mean() >= (plain.argmax(axis=1) == truth).mean() - 0.05


@every("weighting")
@pytest.mark.parametrize(
    "what",
    ["wide", "constant", "constant target", "one in a class", "two in each class", "tiny target", "one target"],
)
def test_odd_data_are_weighed_or_refused(name: str, what: str) -> None:
    data = odd(what)
    try:
        found = weighed(name, data)
    except DataError:
        assert what == "one in a class"
        return
    given = [found.weights is not None, found.ratios is not None, bool(found.votes)]
    assert sum(given) == 1
    assert all(np.isfinite(some).all() for some in _numbers(found))
    if found.weights is not None:
        assert found.weights.shape == data.labels.shape
        assert found.weights.min() >= 0 and found.weights.mean() == pytest.approx(1)
    if found.ratios is not None:
        assert found.ratios.shape == (CLASSES,) and found.ratios.min() > 0
    assert all(share > 0 for share, _ in found.votes)


def _numbers(found: Weighted) -> list[Any]:
    votes = [part for share, head in found.votes for part in (share, *head)]
    return [some for some in (found.weights, found.ratios, *votes) if some is not None]
