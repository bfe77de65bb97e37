"""Colour and texture of pixels: blurs and edges around each at four scales, as tools for microscopy see them (ilastik,
Sommer et al. 2011)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter, gaussian_gradient_magnitude, gaussian_laplace
from sklearn.ensemble import HistGradientBoostingClassifier

from headstart.baselines._scores import fit_scores
from headstart.contracts.baseline import Labelled

LONGER_SIDE = 256
"""Pixels of a picture's longer side, at most, at which it is looked at."""
SCALES = (1.0, 2.0, 4.0, 8.0)
"""Standard deviations of the blurs, pixels."""


def pixel_features(image: Image.Image) -> np.ndarray:
    """(height, width, numbers) float32, of the picture at its working size."""
    smaller = min(1.0, LONGER_SIDE / max(image.size))
    width, height = (max(1, round(side * smaller)) for side in image.size)
    pixels = np.asarray(image.resize((width, height), Image.Resampling.BOX), np.float32) / 255
    grey = pixels.mean(axis=2)
    found = [*np.moveaxis(pixels, 2, 0)]
    for scale in SCALES:
        found += [gaussian_filter(grey, scale), gaussian_gradient_magnitude(grey, scale), gaussian_laplace(grey, scale)]
        found.append(np.sqrt(np.maximum(gaussian_filter(grey**2, scale) - found[-3] ** 2, 0)))
    return np.stack(found, axis=2)


def fit_trees(features: np.ndarray, pixels: Labelled, seed: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return the scores of boosted trees that learn the classes of pixels from their features (pixels, numbers)."""

    def classify(x: np.ndarray, y: np.ndarray, _: np.ndarray | None = None) -> HistGradientBoostingClassifier:
        trees = HistGradientBoostingClassifier(max_iter=60, max_leaf_nodes=15, early_stopping=False)
        return trees.set_params(random_state=seed).fit(x, y)

    return fit_scores(features, pixels, classify, classify)
