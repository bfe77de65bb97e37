"""Usual boxes: the same boxes in every picture, where and as large as those of the training pictures are most often.

Boxes are shares of their picture. Of each class the box is taken that overlaps the most others (IoU >= 1/2), then the
one that overlaps the most of those left, and so on; its score is the share of pictures with a box that it overlaps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from headstart.contracts.baseline import Baseline, Labelled, Scores
from headstart.contracts.examples import Examples
from headstart.contracts.modality import HasPicture, Modality, modality_named, raws_of
from headstart.contracts.placed_targets import BOX_CLASS, BOX_CROWD, BOX_OWN, Boxes
from headstart.contracts.task import BoundTask, Targets
from headstart.numerics.boxes import overlaps

MOST, LOOKED_AT = 30, 1000
"""Boxes of a class: those that are taken, and those that are looked at, drawn at random, both at most."""
ALIKE = 0.5
"""IoU from which on two boxes lie at the same place."""


class UsualBoxes(Baseline):
    """Boxes at the most frequent places."""

    title: ClassVar[str] = "the same boxes in every picture"
    informed: ClassVar[bool] = False

    @classmethod
    def suits(cls, modality: Modality, task: BoundTask) -> bool:
        """Pictures with boxes."""
        return isinstance(modality, HasPicture) and [type(kind) for kind in task.target_kinds.values()] == [Boxes]

    def fit(self, data: Labelled, strengths: Sequence[float], seed: int) -> Mapping[float, Scores]:
        """Count."""
        draws, (targets,) = np.random.default_rng(seed), data.targets.values()
        sizes = sizes_of(data.examples)
        scaled = [boxes[boxes[:, BOX_CROWD] == 0][:, BOX_OWN] / size for boxes, size in zip(targets, sizes)]
        kinds = np.concatenate([boxes[boxes[:, BOX_CROWD] == 0][:, BOX_CLASS] for boxes in targets])
        pictures = np.repeat(np.arange(len(scaled)), [len(boxes) for boxes in scaled])
        edges, rows = np.concatenate(scaled), []
        for kind in range(data.outputs):
            some = np.flatnonzero(kinds == kind)
            some = draws.choice(some, LOOKED_AT, replace=False) if len(some) > LOOKED_AT else some
            for box, score in _usual(edges[some], pictures[some]):
                rows.append([*box, *np.eye(data.outputs)[kind] * score])
        found = np.array(rows).reshape(-1, 4 + data.outputs)

        def scores(examples: Examples, inputs: Targets) -> np.ndarray:  # noqa: ARG001
            shown = np.empty(len(examples), dtype=object)
            for row, size in enumerate(sizes_of(examples)):
                shown[row] = np.concatenate([found[:, :4] * size, found[:, 4:]], axis=1)
            return shown

        return dict.fromkeys(strengths, scores)


def sizes_of(examples: Examples) -> np.ndarray:
    """(examples, 4): width, height, width and height of each picture."""
    kind = modality_named(examples.schema.modality)
    if not isinstance(kind, HasPicture):
        raise TypeError(f"{examples.schema.modality} inputs are not pictures")
    return np.array([kind.picture(raw).size * 2 for raw in raws_of(examples)], np.float64).reshape(-1, 4)


def _usual(edges: np.ndarray, pictures: np.ndarray) -> list[tuple[np.ndarray, float]]:
    """Boxes (4,) of one class, with the share of its pictures that have one there."""
    alike, left = overlaps(edges, edges) >= ALIKE, np.ones(len(edges), bool)
    found: list[tuple[np.ndarray, float]] = []
    while left.any() and len(found) < MOST:
        best = int((alike & left).sum(axis=1).argmax())
        found.append((edges[best], len(np.unique(pictures[alike[best]])) / len(np.unique(pictures))))
        left &= ~alike[best]
    return found
