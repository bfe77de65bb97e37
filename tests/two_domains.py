"""Features of a source and a target for tests, and the probe's own solver."""

from __future__ import annotations

from typing import Any

import numpy as np

from headstart.contracts.domains import Domains, LinearHead
from headstart.engine.solved.logistic import solve_logistic

CLASSES, WIDTH = 3, 8


def solve(features: np.ndarray, labels: np.ndarray, weights: np.ndarray | None) -> LinearHead:
    """The probe's head of three classes."""
    found = solve_logistic(features, labels, CLASSES, weights=weights, groups=None, seed=0)
    return LinearHead(found.weight, found.bias)


def drawn(
    count: int,
    seed: int,
    *,
    shares: Any = None,
    move: float = 0.0,
    turn: np.ndarray | None = None,
    width: int = WIDTH,
) -> tuple[np.ndarray, np.ndarray]:
    """Features and labels of `count` examples: normal around a place of each class, then turned and moved."""
    draws = np.random.default_rng(seed)
    labels = draws.choice(CLASSES, count, p=shares)
    features = 2 * np.eye(CLASSES, width)[labels] + draws.normal(size=(count, width))
    return (features if turn is None else features @ turn) + move, labels


def domains(count: int = 300, targets: int = 240, seed: int = 0, few: int = 0, **shift: Any) -> Domains:
    """A source, and a target drawn by `shift`; with the labels of its last `few`."""
    width = shift.get("width", WIDTH)
    source, labels = drawn(count, seed, width=width)
    target, theirs = drawn(targets + few, seed + 1, **shift)
    some = (array.astype(np.float32) for array in (source, target[:targets], target[targets:]))
    source, target, known = some
    return Domains(source, labels, CLASSES, target, known, theirs[targets:])


def right(head: LinearHead, features: np.ndarray, labels: np.ndarray) -> float:
    """Share of examples whose class is predicted."""
    return float((head.logits(features).argmax(axis=1) == labels).mean())
