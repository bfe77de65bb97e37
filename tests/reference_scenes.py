"""Boxes of objects that move, with noise, some frames of low score and some without a box, for trackers."""

from __future__ import annotations

import numpy as np

FRAMES = 60


def scene(seed: int, objects: int = 5) -> list[tuple[np.ndarray, np.ndarray]]:
    """Boxes (boxes, 4) and scores (boxes,) of each frame."""
    rng = np.random.default_rng(seed)
    start, speed = rng.uniform(0, 600, (objects, 2)), rng.uniform(-4, 4, (objects, 2))
    size, begins = rng.uniform(40, 90, (objects, 2)), rng.integers(0, 20, objects)
    found = []
    for frame in range(FRAMES):
        boxes, scores = [], []
        for k in range(objects):
            corner = start[k] + speed[k] * frame + rng.normal(0, 1.0, 2)
            score, seen = rng.choice([0.9, 0.4], p=[0.85, 0.15]), rng.random() > 0.05
            if frame >= begins[k] and seen:
                boxes.append([*corner, *(corner + size[k] + rng.normal(0, 1.0, 2))])
                scores.append(score)
        found.append((np.round(np.array(boxes).reshape(-1, 4), 2), np.array(scores)))
    return found
