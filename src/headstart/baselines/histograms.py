"""Histograms: a linear model on what a picture shows at a glance: its colours, its edges, and its rough layout.

Colours are counted in 64 cells of RGB; edges in 9 directions for each of 8 x 8 cells, scaled to unit length over blocks
of 2 x 2 cells (histograms of oriented gradients, Dalal and Triggs 2005); the layout are the first principal components
of the picture at 16 x 16 pixels. Each number is brought to mean 0 and deviation 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import numpy as np
from PIL import Image
from pydantic import PrivateAttr
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from headstart.baselines._linear import fit_linear
from headstart.baselines._pictures import pictures_of
from headstart.baselines._scores import takes
from headstart.contracts.baseline import Baseline, Labelled, Scores
from headstart.contracts.examples import Examples, Raw
from headstart.contracts.modality import HasPicture, Modality, raws_of
from headstart.contracts.task import BoundTask

SIDE = 64
"""Pixels of the square that edges are found in."""
CELL = 8
"""Pixels of a cell's side."""
DIRECTIONS = 9
SMALL = 16
"""Pixels of the square whose principal components are taken."""
COMPONENTS = 48
COLOURS = 4
"""Levels of each of red, green and blue."""
_LAYOUT = SMALL * SMALL * 3


class Histograms(Baseline):
    """Linear model on colours, edges and layout."""

    title: ClassVar[str] = "colour and gradient histograms with a linear model"
    strengths: ClassVar[Sequence[float]] = (1e-2, 1e-3, 1e-1)
    _seen: dict[tuple[HasPicture, Raw], np.ndarray] = PrivateAttr(default_factory=dict)
    """What is measured of each picture: it is decoded once, however often the model learns and predicts."""

    @classmethod
    def suits(cls, modality: Modality, task: BoundTask) -> bool:
        """Pictures with one class, value or set of labels each."""
        return isinstance(modality, HasPicture) and takes(task)

    def fit(self, data: Labelled, strengths: Sequence[float], seed: int) -> Mapping[float, Scores]:
        """Measure every picture once, then solve for each of the strengths."""
        kind = pictures_of(data.examples)
        measured = self._measured(kind, data.examples)
        layout = PCA(min(COMPONENTS, len(measured)), random_state=seed)
        parts = make_union(make_pipeline(FunctionTransformer(_layout), layout), FunctionTransformer(_without_layout))
        scaled = make_pipeline(parts, StandardScaler())
        features = scaled.fit_transform(measured)
        models = {strength: fit_linear(features, data, strength, seed) for strength in strengths}
        return {strength: self._scores(kind, scaled.transform, model) for strength, model in models.items()}

    def _scores(
        self, kind: HasPicture, scaled: Callable[[np.ndarray], np.ndarray], model: Callable[[np.ndarray], np.ndarray]
    ) -> Scores:
        return lambda examples, _: model(scaled(self._measured(kind, examples)))

    def _measured(self, kind: HasPicture, examples: Examples) -> np.ndarray:
        """(examples, numbers) float32"""
        raws = raws_of(examples)
        for raw in raws:
            if (kind, raw) not in self._seen:
                self._seen[kind, raw] = _of_picture(kind.picture(raw, at_least=SIDE))
        return np.stack([self._seen[kind, raw] for raw in raws])


def _layout(measured: np.ndarray) -> np.ndarray:
    return measured[:, :_LAYOUT]


def _without_layout(measured: np.ndarray) -> np.ndarray:
    return measured[:, _LAYOUT:]


def _of_picture(image: Image.Image) -> np.ndarray:
    pixels = np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BILINEAR), np.float32) / 255
    small = np.asarray(image.resize((SMALL, SMALL), Image.Resampling.BOX), np.float32) / 255
    levels = np.minimum((pixels * COLOURS).astype(int), COLOURS - 1) @ (COLOURS**2, COLOURS, 1)
    colours = np.bincount(levels.ravel(), minlength=COLOURS**3) / levels.size
    return np.concatenate([small.ravel(), np.sqrt(colours), oriented_gradients(pixels.mean(axis=2))]).astype(np.float32)


def oriented_gradients(grey: np.ndarray) -> np.ndarray:
    """Histograms of oriented gradients of a square picture, ((cells - 1)^2 * 4 * 9,), cells being its side / 8.

    Args:
        grey: (side, side), side a multiple of 8.
    """
    down, across = np.gradient(grey)
    strength, angle = np.hypot(down, across), np.arctan2(down, across) % np.pi
    position = angle / np.pi * DIRECTIONS
    lower, share = np.floor(position).astype(int) % DIRECTIONS, position % 1
    cells = len(grey) // CELL
    where = np.arange(len(grey)) // CELL
    cell = (where[:, None] * cells + where[None, :]) * DIRECTIONS
    counts = np.zeros(cells * cells * DIRECTIONS)
    np.add.at(counts, cell + lower, strength * (1 - share))
    np.add.at(counts, cell + (lower + 1) % DIRECTIONS, strength * share)
    grid = counts.reshape(cells, cells, DIRECTIONS)
    blocks = np.concatenate([grid[:-1, :-1], grid[:-1, 1:], grid[1:, :-1], grid[1:, 1:]], axis=2)
    return (blocks / np.sqrt((blocks**2).sum(axis=2, keepdims=True) + 1e-4)).ravel()
