from __future__ import annotations

import numpy as np
import pytest

from recipes.formula.bodies import body, draw_body
from recipes.formula.fractals import attractor, draw_fractal, fractal
from recipes.formula.frame import Movement
from recipes.formula.strokes import KNOTS, _through, draw_sign, sign
from recipes.formula.textures import Texture, dead_leaves, draw_texture, natural_noise, texture

SEEDS = range(12)
PLAIN = Movement(np.eye(2, dtype=np.float32), np.zeros(2), np.zeros((2, 2)), np.zeros(2), 0.0)


@pytest.mark.parametrize("seed", SEEDS)
def test_singular_values_are_within_the_bounds_of_well_filled_attractors(seed: int) -> None:
    matrices = fractal(np.random.default_rng(seed)).maps[:, :4].reshape(-1, 2, 2)
    values = np.linalg.svd(matrices, compute_uv=False)
    total, count = float((values @ [1, 2]).sum()), len(matrices)
    assert values.max() <= 1 + 1e-5
    assert (5 + count) / 2 - 1e-4 <= total <= (6 + count) / 2 + 1e-4


@pytest.mark.parametrize("seed", SEEDS)
def test_an_attractor_is_what_its_own_maps_make_of_it(seed: int) -> None:
    draws = np.random.default_rng(seed)
    kind = fractal(draws)
    points, tones = attractor(kind, draws)
    assert np.isfinite(points).all() and tones.min() >= 0 and tones.max() <= 1
    extent = np.ptp(points, 1).max()
    for row in kind.maps:
        mapped = row[:4].reshape(2, 2) @ points[:, ::40] + row[4:, None]
        nearest = np.sqrt(((mapped[:, :, None] - points[:, None, :]) ** 2).sum(0)).min(1)
        assert np.quantile(nearest, 0.8) < 0.05 * extent


def test_a_smooth_line_goes_through_its_knots_and_does_not_turn_sharply() -> None:
    knots = np.random.default_rng(0).normal(size=(2, KNOTS))
    for smooth in (True, False):
        line = knots @ _through(smooth)
        gaps = np.sqrt(((line[:, :, None] - knots[:, None, :]) ** 2).sum(0)).min(0)
        assert gaps.max() < 0.05
    bends = [np.abs(np.diff(knots @ _through(smooth), 2)).max() for smooth in (True, False)]
    assert bends[0] < 0.3 * bends[1]


@pytest.mark.parametrize(
    ("drawn", "draw", "least"),
    [
        (fractal, draw_fractal, 0.04),
        (sign, draw_sign, 0.04),
        (body, draw_body, 0.1),
        (texture, draw_texture, 0.99),
    ],
)
def test_every_class_covers_enough_of_its_frame(drawn, draw, least: float) -> None:  # type: ignore[no-untyped-def]
    for seed in range(40):
        draws = np.random.default_rng(seed)
        kind = drawn(draws)
        covers = [draw(kind, draws, 48, PLAIN).cover for _ in range(3)]
        assert (np.array(covers) > 0.1).mean() >= least, seed
        assert all(cover.shape == (48, 48) and cover.min() >= 0 and cover.max() <= 1 for cover in covers)


def test_a_body_has_its_parts_where_its_class_has_them() -> None:
    kind = body(np.random.default_rng(3))
    centre = ((kind.centres[0] + 1) * 24).astype(int)
    assert draw_body(kind, np.random.default_rng(0), 48, PLAIN).cover[centre[1], centre[0]] == 1


def test_a_texture_has_the_frequency_and_direction_of_its_class() -> None:
    kind = Texture(frequency=8, band=0.2, angle=0.0, spread=6.0, steepness=0.0, folds=0.0)
    tone = draw_texture(kind, np.random.default_rng(0), 64, PLAIN).tone
    power = np.abs(np.fft.fft2(tone - tone.mean())) ** 2
    along_x = power[:, :32].sum(0)
    assert 6 <= along_x.argmax() <= 10
    assert power[:4, 6:11].sum() > 10 * power[6:11, :4].sum()


def test_backgrounds_have_the_statistics_they_are_named_for() -> None:
    noise = natural_noise(np.random.default_rng(0), 64)
    power = np.abs(np.fft.fft2(noise - noise.mean()))[0, 1:33]
    slope = np.polyfit(np.log(np.arange(1, 33)), np.log(power), 1)[0]
    assert -2.2 < slope < -0.3
    leaves = dead_leaves(np.random.default_rng(0), 64)
    edges = np.abs(np.diff(leaves, axis=1)) > 1e-6
    assert leaves.min() >= 0 and leaves.max() <= 1 and 0.005 < edges.mean() < 0.3


@pytest.mark.parametrize(("drawn", "draw"), [(fractal, draw_fractal), (sign, draw_sign), (body, draw_body)])
def test_figures_of_a_class_are_alike_and_those_of_others_are_not(drawn, draw) -> None:  # type: ignore[no-untyped-def]
    draws = np.random.default_rng(0)
    kinds = [drawn(draws) for _ in range(10)]
    covers = np.array([[draw(kind, draws, 32, PLAIN).cover.ravel() for kind in kinds] for _ in range(2)])
    alike = np.corrcoef(np.concatenate(covers))[:10, 10:]
    assert np.diag(alike).mean() > alike[~np.eye(10, dtype=bool)].mean() + 0.15
