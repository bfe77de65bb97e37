"""Pixel texture: boosted trees classify each pixel by its colour, and by blurs and edges around it at four scales.

This is what interactive tools for microscopy do (ilastik, Sommer et al. 2011). Large pictures are looked at smaller.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from headstart.baselines._pictures import pictures_of
from headstart.baselines._pixel_features import fit_trees, pixel_features
from headstart.baselines._scores import TARGET
from headstart.contracts.baseline import Baseline, Labelled, Scores
from headstart.contracts.examples import Examples
from headstart.contracts.modality import HasPicture, Modality, raws_of
from headstart.contracts.placed_targets import ClassMaps
from headstart.contracts.targets import PADDED_TARGET
from headstart.contracts.task import BoundTask, Targets

MOST_PIXELS = 60_000
"""Of all training pictures, drawn at random."""


class PixelTexture(Baseline):
    """Boosted trees on colour and texture of each pixel."""

    title: ClassVar[str] = "boosted trees on the colour and texture of pixels"

    @classmethod
    def suits(cls, modality: Modality, task: BoundTask) -> bool:
        """Pictures with a class for each pixel."""
        kinds = list(task.target_kinds.values())
        return isinstance(modality, HasPicture) and len(kinds) == 1 and isinstance(kinds[0], ClassMaps)

    def fit(self, data: Labelled, strengths: Sequence[float], seed: int) -> Mapping[float, Scores]:
        """Learn from some pixels of every picture."""
        kind = pictures_of(data.examples)
        features, truth = _drawn(kind, data, np.random.default_rng(seed))
        pixels = Labelled(data.examples, {TARGET: truth}, {}, data.outputs)
        model = fit_trees(features, pixels, seed)

        def scores(examples: Examples, inputs: Targets) -> np.ndarray:  # noqa: ARG001
            found = np.empty(len(examples), dtype=object)
            for at, image in enumerate(map(kind.picture, raws_of(examples))):
                seen = pixel_features(image)
                maps = model(seen.reshape(-1, seen.shape[-1])).reshape(*seen.shape[:2], -1).transpose(2, 0, 1)
                found[at] = _resized(maps, image.height, image.width)
            return found

        return dict.fromkeys(strengths, scores)


def _drawn(kind: HasPicture, data: Labelled, draws: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Features and classes of pixels whose class is known."""
    (targets,), (places,) = data.targets.values(), data.inputs.values()
    each = max(1, MOST_PIXELS // max(1, len(targets)))
    features, classes = [], []
    for image, target, (rows, columns) in zip(map(kind.picture, raws_of(data.examples)), targets, places):
        seen, truth = pixel_features(image), np.asarray(target.load())[:rows, :columns]
        down, across = (np.arange(size) * of // size for size, of in zip(seen.shape[:2], truth.shape))
        truth = truth[np.ix_(down, across)].ravel()
        known = np.flatnonzero(truth != PADDED_TARGET)
        chosen = draws.choice(known, min(each, len(known)), replace=False)
        features.append(seen.reshape(-1, seen.shape[-1])[chosen])
        classes.append(truth[chosen])
    return np.concatenate(features), np.concatenate(classes)


def _resized(maps: np.ndarray, height: int, width: int) -> np.ndarray:
    """(classes, height, width), each cell from the nearest one."""
    down, across = (np.arange(size) * of // size for size, of in zip((height, width), maps.shape[1:]))
    return maps.astype(np.float32)[:, down[:, None], across[None, :]]
