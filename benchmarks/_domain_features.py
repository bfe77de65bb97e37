"""Frozen features of domains with the same classes: Amazon reviews by product, and pictures by how they were made."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd

from benchmarks._data import data_folder
from benchmarks.refit import context_of

REVIEWS = ("books", "dvd", "electronics", "kitchen", "video")
PICTURES = ("art_painting", "cartoon", "photo", "sketch")

Labelled = tuple[np.ndarray, np.ndarray]
"""(examples, width) float32 and the class of each, int64."""


@cache
def reviews_of(domain: str) -> Labelled:
    """Reviews of one kind of product, by MiniLM: all 4000, in a random order."""
    frame = pd.read_parquet(data_folder() / "data" / "text_amazon_reviews5" / f"{domain}.parquet")
    features = context_of(frame, backbone="all-MiniLM-L6-v2").features.pooled()
    order = np.random.default_rng(0).permutation(len(frame))
    return features[order], frame["label"].to_numpy(np.int64)[order]


@cache
def pictures_of(domain: str) -> Labelled:
    """Pictures of one domain of PACS, by MobileNetV2, in a random order."""
    context = context_of(
        str(data_folder() / "data" / "da_pacs" / domain),
        backbone=str(data_folder() / "weights" / "mobilenetv2_100_imagenet"),
    )
    rows = context.features.rows
    order = np.random.default_rng(0).permutation(len(rows))
    return context.features.pooled(rows)[order], context.data.targets["label"][rows][order]
