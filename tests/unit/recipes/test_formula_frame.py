from __future__ import annotations

import numpy as np
import pytest

from recipes.formula.frame import Movement, blurred, places, splat


def movement(seed: int, bend: float = 0.1) -> Movement:
    return Movement.drawn(np.random.default_rng(seed), size=(0.5, 0.9), turn=0.6, bend=bend)


def test_places_are_pixel_centres_row_by_row() -> None:
    x, y = places(4)
    assert x[:4].tolist() == [-0.75, -0.25, 0.25, 0.75] and y[:4].tolist() == [-0.75] * 4
    assert y[-1] == 0.75


@pytest.mark.parametrize("seed", range(5))
def test_back_undoes_forth(seed: int) -> None:
    points = np.random.default_rng(seed).uniform(-1, 1, (2, 50)).astype(np.float32)
    straight = movement(seed, bend=0.0)
    np.testing.assert_allclose(straight.back(straight.forth(points)), points, atol=1e-4)
    bent = movement(seed)
    assert np.abs(bent.back(bent.forth(points)) - points).mean() < 0.25 * np.abs(bent.forth(points) - points).mean()


def test_a_dot_lands_in_its_pixel_and_outside_ones_nowhere() -> None:
    points = np.array([[0.3, 1.5], [-0.6, 0.0]], np.float32)
    layer = splat(points, np.array([0.7, 0.1], np.float32), 32, width=0.5, ink=1.0)
    assert np.unravel_index(layer.cover.argmax(), (32, 32)) == (6, 20)
    assert layer.tone[6, 20] == pytest.approx(0.7, abs=1e-3)
    assert layer.cover.sum() == pytest.approx(1.0, rel=0.3)


def test_more_ink_covers_more_and_never_all() -> None:
    points = np.random.default_rng(0).uniform(-1, 1, (2, 200)).astype(np.float32)
    thin, thick = (splat(points, np.zeros(200, np.float32), 32, width=1, ink=ink).cover for ink in (0.5, 3.0))
    assert (thick >= thin).all() and thick.mean() > 1.5 * thin.mean() and thick.max() <= 1


def test_blurring_keeps_what_is_even_up_to_the_edge() -> None:
    np.testing.assert_allclose(blurred(np.full((16, 16), 0.4), 1.5), 0.4, rtol=1e-5)
    spot = np.zeros((16, 16))
    spot[8, 8] = 1
    soft = blurred(spot, 1.5)
    assert soft.sum() == pytest.approx(1, rel=1e-3) and soft.max() < 0.1
