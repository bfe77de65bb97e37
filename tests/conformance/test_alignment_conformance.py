"""Every alignment brings domains together by its contract, also odd ones, and moves little where nothing differs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from plugins import every, sample

from headstart.contracts.domains import Domains, LinearHead
from headstart.kernel.errors import DataError
from two_domains import CLASSES, WIDTH, domains, drawn, right, solve


@pytest.fixture
def alignment(name: str) -> Any:
    if name == "optimal_transport":
        pytest.importorskip("ot", reason="the extra 'adaptation' is not installed")
    return sample("alignment", name)


@every("alignment")
def test_equal_data_give_equal_results(alignment: Any) -> None:
    one, other = (alignment.align(domains(move=1.0), 3) for _ in range(2))
    for field in ("source", "matrix", "offset"):
        np.testing.assert_array_equal(getattr(one, field), getattr(other, field))


@every("alignment")
def test_a_folded_head_is_the_head_of_aligned_features(alignment: Any) -> None:
    data = domains(move=1.0)
    aligned = alignment.align(data, 0)
    head = solve(aligned.source, data.labels, None)
    folded = LinearHead(head.weight @ aligned.matrix.T, head.bias + head.weight @ aligned.offset)
    np.testing.assert_allclose(folded.logits(data.target), head.logits(aligned.target(data.target)), atol=1e-4)


@every("alignment")
def test_source_examples_move_as_they_did(alignment: Any) -> None:
    data = domains(move=1.0)
    aligned = alignment.align(data, 0)
    np.testing.assert_allclose(aligned.move(data.source), aligned.source, atol=1e-5)
    assert aligned.move(drawn(7, 9)[0].astype(np.float32)).shape == (7, aligned.source.shape[1])


@every("alignment")
@pytest.mark.parametrize("move", [0.0, 3.0])
def test_a_head_serves_the_target_moved_or_not(alignment: Any, move: float) -> None:
    data = domains(600, 500, move=move)
    test, truth = drawn(600, 5, move=move)
    aligned = alignment.align(data, 0)
    found = right(solve(aligned.source, data.labels, None), aligned.target(test.astype(np.float32)), truth)
    assert found >= right(solve(data.source, data.labels, None), test - move, truth) - 0.03


@every("alignment")
@pytest.mark.parametrize("what", ["wide", "constant", "constant target", "one in a class", "tiny target", "one target"])
def test_odd_data_are_aligned_or_refused(alignment: Any, what: str) -> None:
    data = odd(what)
    try:
        aligned = alignment.align(data, 0)
    except DataError:
        assert what in ("constant", "constant target", "one target")
        return
    target = aligned.target(data.target)
    assert aligned.source.shape[1] == target.shape[1] == aligned.matrix.shape[1]
    assert aligned.source.dtype == target.dtype == np.float32
    assert all(np.isfinite(part).all() for part in (aligned.source, target, aligned.matrix, aligned.offset))


def odd(what: str) -> Domains:
    data = domains(60, 40, width=200 if what == "wide" else WIDTH, few=6)
    if what in ("constant", "constant target"):
        data = data._replace(target=np.ones_like(data.target))
    if what == "constant":
        data = data._replace(source=np.ones_like(data.source))
    if what == "one in a class":
        data = data._replace(labels=np.where(np.arange(60) == 0, CLASSES - 1, data.labels % (CLASSES - 1)))
    if what == "two in each class":
        rows = np.concatenate([np.flatnonzero(data.labels == k)[:2] for k in range(CLASSES)])
        data = data._replace(source=data.source[rows], labels=data.labels[rows])
    few = {"tiny target": 3, "one target": 1}.get(what, len(data.target))
    return data._replace(target=data.target[:few])
