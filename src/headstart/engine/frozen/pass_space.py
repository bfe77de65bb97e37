"""Where a frozen pass keeps its entries, and which inputs have none there yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from headstart.contracts.runner import Runner
from headstart.engine.frozen.execution import described
from headstart.engine.store.feature_store import FeatureStore
from headstart.engine.store.space import Space
from headstart.kernel.progress import Quiet, Reporter


def space_of_pass(
    key: Mapping[str, Any],
    name: str,
    runner: Runner,
    store: FeatureStore,
    reporter: Reporter | None = None,
    *,
    by_use: bool = False,
) -> Space:
    """The part of the store that belongs to a pass, by all that decides its results beside the inputs.

    Args:
        key: `pass_key`, with its view. name: the backbone's.
        by_use: features that only do for probes and evidence, which no fine-tuning should find.
    """
    whole = {
        **key,
        "runner": described(runner),
        "precision": runner.precision,
        **({"gate": "by use"} if by_use else {}),
    }
    narrow = runner.precision == "bfloat16"
    return store.space(whole, of=name, bfloat16=narrow, reporter=reporter or Quiet())


def not_stored(space: Space, known: Sequence[str], rows: np.ndarray) -> tuple[np.ndarray, int]:
    """One of the `rows` for each distinct key in `known` that has no entry, and how many rows have one.

    Args:
        space: where entries lie. known: content keys, one per row.
        rows: (examples,) int64.
    """
    found = space.lookup(known).found
    first = {known[i]: rows[i] for i in np.flatnonzero(~found)[::-1]}
    return np.array(sorted(first.values()), np.int64), int(found.sum())
