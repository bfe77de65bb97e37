"""Amazon reviews of five kinds of product: many without labels, some with, and one test part for all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks._data import data_folder

TESTED = 1000


def reviews() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Text and label ('negative' or 'positive') of all that is not for the test, and of the test part."""
    files = sorted(Path(data_folder(), "data", "text_amazon_reviews5").glob("*.parquet"))
    table = pd.concat([pd.read_parquet(file) for file in files], ignore_index=True)
    table["label"] = np.where(table["label"] == 1, "positive", "negative")
    order = np.random.default_rng(0).permutation(len(table))
    return table.iloc[order[TESTED:]].reset_index(drop=True), table.iloc[order[:TESTED]].reset_index(drop=True)


def few_reviews(count: int, draw: int) -> pd.DataFrame:
    """`count` labelled reviews, half of each label, and the test part: the columns text, label and part."""
    pool, test = reviews()
    draws = np.random.default_rng(draw)
    rows = [draws.permutation(np.flatnonzero(pool["label"] == name))[: count // 2] for name in ("negative", "positive")]
    parts = {"train": pool.iloc[np.concatenate(rows)], "test": test}
    return pd.concat([frame.assign(part=part) for part, frame in parts.items()], ignore_index=True)
