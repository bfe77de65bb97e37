"""Rows of numbers with a class and a quantity each, of which some lack one: two tasks on a tiny backbone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from head_shapes import SHAPES
from headstart.contracts.backbone import Backbone
from headstart.contracts.examples import SEVERAL, Examples, LabelRoles, Schema
from headstart.tasks.joint.task import Joint
from tiny_backbone import TinyBackbone


def several_labels(rows: int = 80, lacking: int = 3) -> Examples:
    """Every so many-th row lacks its quantity; 0 for none."""
    features = np.random.default_rng(0).normal(size=(rows, 4))
    kinds = ["warm" if one > 0 else "cold" for one in features[:, 0] + features[:, 1]]
    sizes = [None if lacking and k % lacking == 0 else 3 * row[2] - row[1] for k, row in enumerate(features)]
    names = tuple(f"x{k}" for k in range(4))
    labels = pa.array([{"kind": kind, "size": size} for kind, size in zip(kinds, sizes)])
    columns: dict[str, Any] = {name: features[:, k] for k, name in enumerate(names)}
    table = pa.table({**columns, "kind, size": labels, "origin": [f"row {k}" for k in range(rows)]})
    each = {"kind": LabelRoles(), "size": LabelRoles()}
    schema = Schema(modality="table", inputs=names, targets={SEVERAL: "kind, size"}, each_label=each, origin="origin")
    return Examples(table, schema)


def two_tasks() -> tuple[Backbone, Any, Examples]:
    """The backbone, the tasks and the examples."""
    examples = several_labels()
    return TinyBackbone(), Joint().bind(examples, SHAPES), examples
