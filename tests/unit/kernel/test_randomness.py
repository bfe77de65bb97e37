"""A draw depends on its arguments alone."""

from __future__ import annotations

from headstart.kernel.randomness import draw_seed


def test_a_seed_stays_what_it_is_between_versions() -> None:
    assert draw_seed(0, "split") == 5130045767920403432
    assert draw_seed(7, "order", 3, 12) == 8538002720855335609


def test_every_argument_counts() -> None:
    seeds = {
        draw_seed(0, "order", 1, 2),
        draw_seed(1, "order", 1, 2),
        draw_seed(0, "view", 1, 2),
        draw_seed(0, "order", 2, 1),
        draw_seed(0, "order", 12),
        draw_seed(0, "order"),
    }
    assert len(seeds) == 6


def test_seeds_fill_their_range() -> None:
    seeds = [draw_seed(0, "range", i) for i in range(1000)]
    assert len(set(seeds)) == 1000
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert 0.45 < sum(seeds) / len(seeds) / 2**63 < 0.55
