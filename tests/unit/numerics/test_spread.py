"""What the spread of embeddings says of those that have collapsed, wholly or in some dimensions, and of others."""

from __future__ import annotations

import math

import pytest
import torch

from headstart.numerics.spread import effective_rank, feature_std


def even(examples: int = 4000, width: int = 8) -> torch.Tensor:
    return torch.randn(examples, width, generator=torch.Generator().manual_seed(0))


def test_evenly_spread_embeddings_have_a_deviation_of_one_in_any_length() -> None:
    assert feature_std(even()) == pytest.approx(1, abs=0.01)
    lengths = torch.rand(4000, 1, generator=torch.Generator().manual_seed(1)) + 0.1
    assert feature_std(even() * lengths) == pytest.approx(1, abs=0.01)


def test_collapsed_embeddings_have_none_and_a_rank_of_one() -> None:
    point = torch.ones(100, 8) * torch.linspace(1, 2, 100)[:, None]
    assert feature_std(point) == pytest.approx(0, abs=1e-6)
    assert effective_rank(point) == pytest.approx(1, abs=0.01)


def test_the_rank_counts_the_dimensions_in_use() -> None:
    assert effective_rank(torch.eye(8).repeat(3, 1)) == pytest.approx(8, rel=1e-4)
    three = even(width=3) @ torch.randn(3, 8, generator=torch.Generator().manual_seed(2))
    assert 1.5 < effective_rank(three) <= 3.01


def test_the_rank_is_that_of_garrido_et_al() -> None:
    values = torch.tensor([3.0, 1.0])
    shares = values / values.sum()
    expected = math.exp(-sum(p * math.log(p) for p in shares.tolist()))
    assert effective_rank(torch.diag(values)) == pytest.approx(expected, rel=1e-4)
