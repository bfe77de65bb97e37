"""Small labelled data and predictions for the tests of tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from headstart.contracts.examples import Examples, Schema


def labelled(labels: Sequence[Any] | pa.Array, separator: str = "") -> Examples:
    """Examples named row-0, row-1, ... with these labels in a column called 'kind'; of names with a separator between
    them where one is given."""
    names = [f"row-{k}" for k in range(len(labels))]
    table = pa.table({"text": names, "kind": labels, "origin": names})
    schema = Schema(modality="text", inputs=("text",), targets={"label": "kind"}, separator=separator, origin="origin")
    return Examples(table, schema)


def blobs(n: int, width: int, classes: int, seed: int, noise: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """(n, width) float32 features around one centre per class, and the classes (n,), every one of them present."""
    generator = np.random.default_rng(seed)
    labels = generator.permutation(np.arange(n) % classes)
    centres = np.random.default_rng(99).normal(size=(classes, width))
    return (centres[labels] + noise * generator.normal(size=(n, width))).astype(np.float32), labels
