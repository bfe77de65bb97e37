"""Blobs: boosted trees tell the class of each pixel by colour and texture, and what hangs together is a box.

It is how objects are counted without a network (ilastik, Sommer et al. 2011). Pixels learn from the ellipses within
boxes, as objects seldom fill the corners, and from what lies outside all of them. Blobs are cut out at several
probabilities, so that objects that touch fall apart; one much smaller or larger than any box of its class is none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import numpy as np
from scipy.ndimage import find_objects, label, mean

from headstart.baselines._pictures import pictures_of
from headstart.baselines._pixel_features import fit_trees, pixel_features
from headstart.baselines._scores import TARGET
from headstart.contracts.baseline import Baseline, Labelled, Scores
from headstart.contracts.examples import Examples
from headstart.contracts.modality import HasPicture, Modality, raws_of
from headstart.contracts.placed_targets import BOX_CLASS, BOX_CROWD, BOX_OWN, Boxes
from headstart.contracts.task import BoundTask, Targets

MOST_PIXELS = 40_000
"""Of all training pictures, drawn at random."""
CUTS = (0.3, 0.5, 0.7, 0.9)
"""Probabilities at which blobs are cut out."""
SIZES = (0.5, 1.5)
"""Sides of a blob as multiples of the least and the greatest side of its class's boxes."""


class Blobs(Baseline):
    """Blobs of pixels of a class."""

    title: ClassVar[str] = "blobs by the colour and texture of pixels"

    @classmethod
    def suits(cls, modality: Modality, task: BoundTask) -> bool:
        """Pictures with boxes."""
        return isinstance(modality, HasPicture) and [type(kind) for kind in task.target_kinds.values()] == [Boxes]

    def fit(self, data: Labelled, strengths: Sequence[float], seed: int) -> Mapping[float, Scores]:
        """Learn from some pixels of every picture."""
        kind, (targets,) = pictures_of(data.examples), data.targets.values()
        features, classes = _drawn(kind, data, targets, np.random.default_rng(seed))
        limits = [_sides([boxes[boxes[:, BOX_CLASS] == number] for boxes in targets]) for number in range(data.outputs)]
        pixels = Labelled(data.examples, {TARGET: classes}, {}, data.outputs + 1)
        model = fit_trees(features, pixels, seed)

        def scores(examples: Examples, inputs: Targets) -> np.ndarray:  # noqa: ARG001
            found = np.empty(len(examples), dtype=object)
            for row, image in enumerate(map(kind.picture, raws_of(examples))):
                found[row] = _blobs(model, pixel_features(image), image.size, limits)
            return found

        return dict.fromkeys(strengths, scores)


def _drawn(
    kind: HasPicture, data: Labelled, targets: np.ndarray, draws: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Features of pixels and their classes, with `data.outputs` for none."""
    each, features, classes = max(1, MOST_PIXELS // max(1, len(targets))), [], []
    for image, boxes in zip(map(kind.picture, raws_of(data.examples)), targets):
        seen = pixel_features(image)
        truth = _classes(boxes, seen.shape[:2], image.size, data.outputs).ravel()
        known = np.flatnonzero(truth >= 0)
        chosen = draws.choice(known, min(each, len(known)), replace=False)
        features.append(seen.reshape(-1, seen.shape[-1])[chosen])
        classes.append(truth[chosen])
    return np.concatenate(features), np.concatenate(classes)


def _classes(boxes: np.ndarray, shape: tuple[int, ...], size: tuple[int, int], nothing: int) -> np.ndarray:
    """The class of each pixel of a picture of this shape: `nothing` outside of boxes, -1 where it is not known."""
    found = np.full(shape, nothing)
    down, across = ((np.arange(cells) + 0.5) / cells for cells in shape)
    scaled = boxes[:, BOX_OWN] / np.tile(size, 2)
    order = np.argsort(-(scaled[:, 2:] - scaled[:, :2]).prod(axis=1), kind="stable")
    for box, edges in zip(boxes[order], scaled[order]):
        middle, half = (edges[:2] + edges[2:]) / 2, np.maximum((edges[2:] - edges[:2]) / 2, 1e-9)
        x, y = np.abs(across - middle[0]) / half[0], np.abs(down - middle[1]) / half[1]
        found[(y[:, None] <= 1) & (x[None] <= 1)] = -1
        if box[BOX_CROWD] == 0:
            found[y[:, None] ** 2 + x[None] ** 2 <= 1] = int(box[BOX_CLASS])
    return found


def _sides(boxes: list[np.ndarray]) -> tuple[float, float]:
    """The least and the greatest side that a blob of these boxes' class may have, in pixels."""
    edges = np.concatenate(boxes)[:, BOX_OWN]
    sides = edges[:, 2:] - edges[:, :2]
    return (SIZES[0] * float(sides.min()), SIZES[1] * float(sides.max())) if len(sides) else (np.inf, 0.0)


def _blobs(
    model: Callable[[np.ndarray], np.ndarray],
    seen: np.ndarray,
    size: tuple[int, int],
    limits: list[tuple[float, float]],
) -> np.ndarray:
    """(boxes, 4 + classes) of a picture, by the features of its pixels (height, width, numbers)."""
    rows, columns = seen.shape[:2]
    likely = np.exp(model(seen.reshape(-1, seen.shape[-1]))).reshape(rows, columns, -1)
    scale, found = np.tile((size[0] / columns, size[1] / rows), 2), []
    for number, (least, most) in enumerate(limits):
        for cut in CUTS:
            numbered, count = label(likely[..., number] > cut)
            scores = mean(likely[..., number], numbered, np.arange(1, count + 1))
            for (down, across), score in zip(find_objects(numbered), np.atleast_1d(scores)):
                edges = np.array([across.start, down.start, across.stop, down.stop]) * scale
                if least <= (edges[2:] - edges[:2]).min() and (edges[2:] - edges[:2]).max() <= most:
                    found.append([*edges, *np.eye(len(limits))[number] * score])
    return np.array(found, np.float64).reshape(-1, 4 + len(limits))
