"""Frozen features of domains with the same classes: Amazon reviews by product, and pictures by how they were made."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmarks._data import data_folder
from benchmarks.refit import context_of

REVIEWS = ("books", "dvd", "electronics", "kitchen", "video")
PICTURES = ("art_painting", "cartoon", "photo", "sketch")


class Domain(NamedTuple):
    """Features of one domain and the class of each example."""

    features: np.ndarray
    """(examples, width) float32"""
    labels: np.ndarray
    """(examples,) int64"""

    def shuffled(self) -> Domain:
        """Return the same examples in a random order."""
        order = np.random.default_rng(0).permutation(len(self.labels))
        return Domain(self.features[order], self.labels[order])


class Pair(NamedTuple):
    """A source, and a target whose labels are of its test part, and known to the benchmark alone."""

    name: str
    source: np.ndarray
    """(source examples, width) float32"""
    labels: np.ndarray
    target: np.ndarray
    """(target examples, width) float32"""
    test: np.ndarray
    """(further target examples, width) float32"""
    truth: np.ndarray


@cache
def reviews_of(domain: str) -> Domain:
    """Reviews of one kind of product, by MiniLM: all 4000, in a random order."""
    frame = pd.read_parquet(data_folder() / "data" / "text_amazon_reviews5" / f"{domain}.parquet")
    features = context_of(frame, backbone="all-MiniLM-L6-v2").features.pooled()
    return Domain(features, frame["label"].to_numpy(np.int64)).shuffled()


@cache
def pictures_of(domain: str, network: str = "mobilenetv2_100_imagenet") -> Domain:
    """Pictures of one domain of PACS, as a network sees them."""
    weights = str(data_folder() / "weights" / network)
    context = context_of(str(data_folder() / "data" / "da_pacs" / domain), backbone=weights)
    rows = context.features.rows
    return Domain(context.features.pooled(rows), context.data.targets["label"][rows].astype(np.int64))
