"""Digits of one origin labelled, predictions wanted for those of another: MNIST and optdigits, both ways.

All are pictures of 28 x 28 pixels, the 8 x 8 ones of optdigits enlarged, on kept features of the ImageNet MobileNetV2:
the product's own decision without a label of the target, as in `pacs.py`. 2000 of MNIST's digits and all of optdigits.
Nothing was chosen on them.
"""

from __future__ import annotations

import io
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from benchmarks._data import data_folder
from benchmarks._domain_features import Domain
from benchmarks._target_cell import decided, mean_of, worse_cases
from benchmarks.refit import context_of

SIDE = 28
FILES = {"mnist": ("mnist_test10k.npz", 255), "optdigits": ("optdigits_sklearn.npz", 16)}
"""File, and the value of a pixel that is white."""

MOST = 2000


def run(quick: bool, full: bool) -> tuple[dict[str, float | None], dict[str, Any]]:
    """Both ways (`quick`: with a quarter of the digits)."""
    del full
    most = MOST // 4 if quick else MOST
    pairs = (("mnist", "optdigits"), ("optdigits", "mnist"))
    found = [decided(_features_of(one, most), _features_of(other, most), f"{one} to {other}") for one, other in pairs]
    measured: dict[str, float | None] = {
        "digits.gain": min(one["gain"] for one in found),
        "digits.worse": float(len(worse_cases(found))),
    }
    return measured, {"mean": mean_of(found, "gain"), "oracle": mean_of(found, "oracle"), "cases": found}


@cache
def _features_of(name: str, most: int) -> Domain:
    file, white = FILES[name]
    with np.load(data_folder() / "data" / "da_digits" / file) as arrays:
        pixels, labels = arrays["images"], arrays["labels"].astype(np.int64)
    rows = np.random.default_rng(0).permutation(len(labels))[:most]
    frame = pd.DataFrame({"input": [_png(pixels[row] * (255.0 / white)) for row in rows], "label": labels[rows]})
    weights = str(data_folder() / "weights" / "mobilenetv2_100_imagenet")
    context = context_of(frame, backbone=weights, columns={"image": "input", "label": "label"})
    kept = context.features.rows
    return Domain(context.features.pooled(kept), context.data.targets["label"][kept].astype(np.int64))


def _png(pixels: np.ndarray) -> bytes:
    picture = Image.fromarray(pixels.round().astype(np.uint8)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()
