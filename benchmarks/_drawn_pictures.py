"""Few labelled pictures of a data set: a folder of images, or the digits that lie in arrays."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from PIL import Image
from sklearn.datasets import load_digits

from benchmarks._data import data_folder
from benchmarks._few_labels import MOST_TESTED, few_labels

FOLDERS = {
    "img_cats_dogs": "data/img_cats_dogs",
    "img_brain_mri": "data/img_brain_mri",
    "da_pacs_photo": "data/da_pacs/photo",
}
"""What figures are measured on."""

APART = {
    "img_ants_bees": "data/img_ants_bees",
    "da_pacs_art": "data/da_pacs/art_painting",
    "da_pacs_cartoon": "data/da_pacs/cartoon",
    "da_pacs_sketch": "data/da_pacs/sketch",
}
"""What the embedded backbone may be chosen by, since no figure of it is measured on them."""


def drawn_pictures(name: str, per_class: int, draw: int) -> pd.DataFrame:
    """Columns input, label and part ('train' or 'test'): `per_class` examples of each class, and the test part."""
    folder = FOLDERS.get(name) or APART.get(name)
    if folder is not None:
        return few_labels(data_folder() / folder, per_class, draw).frame()
    pixels, labels = ARRAYS[name]()
    order = np.random.default_rng(0).permutation(len(labels))
    test, pool = order[:MOST_TESTED], order[MOST_TESTED:]
    draws = np.random.default_rng(draw)
    train = np.concatenate([draws.permutation(pool[labels[pool] == one])[:per_class] for one in np.unique(labels)])
    rows = np.concatenate([train, test])
    parts = ["train"] * len(train) + ["test"] * len(test)
    return pd.DataFrame({"input": [_png(pixels[row]) for row in rows], "label": labels[rows], "part": parts})


def undrawn_pictures(name: str) -> list[bytes]:
    """All digits of an array but those of the test part, as PNG: what can be learnt from without labels."""
    pixels, labels = ARRAYS[name]()
    order = np.random.default_rng(0).permutation(len(labels))
    return [_png(pixels[row]) for row in order[MOST_TESTED:]]


def _digits() -> tuple[np.ndarray, np.ndarray]:
    """Handwritten digits of 8 x 8 pixels, 0 to 16."""
    found = load_digits()
    return (found.images * (255 / 16)).astype(np.uint8), found.target


def _mnist() -> tuple[np.ndarray, np.ndarray]:
    """MNIST's test part, 28 x 28 pixels."""
    with np.load(data_folder() / "data" / "da_digits" / "mnist_test10k.npz") as found:
        return found["images"].astype(np.uint8), found["labels"]


def _png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


ARRAYS: Mapping[str, Callable[[], tuple[np.ndarray, np.ndarray]]] = {"digits": _digits, "mnist": _mnist}
