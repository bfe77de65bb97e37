"""Suggestions held against longhand versions of the algorithms in their papers."""

from __future__ import annotations

import numpy as np
import pytest

from headstart.evidence.coverage import covering, pure_radius
from headstart.evidence.suggestions import clusters_of, typical, uncertain
from headstart.kernel.randomness import draw_seed
from headstart.numerics.standardisation import of_unit_length

SEEDS = pytest.mark.parametrize("seed", range(4))


def drawn(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A pool (90, 6) and labelled examples (7, 6) around five centres, two of the former alike."""
    draws = np.random.default_rng(seed)
    centres = draws.normal(size=(5, 6))
    points = centres[draws.integers(5, size=97)] + 0.5 * draws.normal(size=(97, 6))
    points[1] = points[0]
    return points[:90].astype(np.float32), points[90:].astype(np.float32)


@SEEDS
@pytest.mark.parametrize("count", [3, 12, 90])
def test_typical_is_typiclust(seed: int, count: int) -> None:
    """Algorithm 1 of Hacohen et al.: the most typical unlabelled example of the largest among the least covered."""
    pool, labelled = drawn(seed)
    points = of_unit_length(np.concatenate([pool, labelled]).astype(np.float64))
    cluster = clusters_of(points, min(len(labelled) + count, len(points)), seed)
    known, wanted = set(range(90, 97)), []
    covered = {k: sum(cluster[row] == k for row in known) for k in set(cluster)}
    for _ in range(count):
        of = {k: [row for row in range(90) if cluster[row] == k] for k in covered}
        free = {k: [row for row in rows if row not in known] for k, rows in of.items()}
        best = min((k for k in free if free[k]), key=lambda k: (covered[k], -len(of[k]), k))
        typicality = {}
        for row in free[best]:
            far = sorted(np.sqrt(((points[row] - points[other]) ** 2).sum()) for other in of[best] if other != row)[:20]
            typicality[row] = -np.mean(far) if far else 0.0
        wanted.append(max(typicality, key=lambda row: (round(typicality[row], 6), -row)))
        known.add(wanted[-1])
        covered[best] += 1
    assert [one.row for one in typical(pool, labelled, count, seed)] == wanted


@SEEDS
@pytest.mark.parametrize("clusters", [1, 2, 5])
def test_covering_is_probcover(seed: int, clusters: int) -> None:
    """Algorithm 1 of Yehuda et al.: a graph of balls, whose covered vertices lose the edges that reach them."""
    pool, labelled = drawn(seed)
    points = of_unit_length(np.concatenate([pool, labelled]).astype(np.float64))
    cluster = clusters_of(points, clusters, seed)
    far = np.sqrt(((points[:, None] - points[None]) ** 2).sum(axis=2))

    def purity(delta: float) -> float:
        return float(np.mean([all(cluster[far[row] < delta] == cluster[row]) for row in range(len(points))]))

    pure = [delta for delta in [*np.unique(far), 2.0] if purity(delta) >= 0.95]
    delta = pure_radius(points, clusters, seed)
    assert delta == pytest.approx(max(pure), abs=1e-6)
    edges = {(x, y) for x in range(97) for y in range(97) if x == y or far[x, y] < delta - 1e-6}
    gone = {y for x, y in edges if x >= 90}
    wanted = []
    for _ in range(5):
        edges = {(x, y) for x, y in edges if y not in gone}
        degree = [sum(x == row for x, _ in edges) for row in range(90)]
        if not max(degree):
            break
        wanted.append(int(np.argmax(degree)))
        gone = {y for x, y in edges if x == wanted[-1]}
    assert [one.row for one in covering(pool, labelled, len(wanted), clusters, seed)] == wanted


@SEEDS
@pytest.mark.parametrize("classes", [2, 4])
def test_uncertain_is_badge(seed: int, classes: int) -> None:
    """Algorithm 1 of Ash et al.: k-means++ on the gradients of the guessed class's loss, with 0 as a centre."""
    pool, _ = drawn(seed)
    logits = np.random.default_rng(seed).normal(size=(90, classes))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    gradients = []
    for row in range(90):
        guess = int(probabilities[row].argmax())
        error = [probabilities[row, k] - (k == guess) for k in range(classes)]
        gradients.append(np.concatenate([each * of_unit_length(pool.astype(np.float64))[row] for each in error]))
    far = np.array([[((a - b) ** 2).sum() for b in gradients] for a in gradients])
    draws = np.random.default_rng(draw_seed(seed, "suggestions"))
    wanted = [int(np.argmax([(each**2).sum() for each in gradients]))]
    for _ in range(19):
        nearest = np.minimum(far[wanted].min(axis=0), [(each**2).sum() for each in gradients])
        nearest[wanted] = 0.0
        wanted.append(int(draws.choice(90, p=nearest / nearest.sum())))
    found = uncertain(pool, probabilities, [""] * 90, 20, seed)
    assert [one.row for one in found] == wanted
