"""The feature store: reading 100,000 vectors against a plain memory-mapped copy, and what keys and checksums cost.

Reading is that of a fresh process: shards are opened, their checksums verified and the rows put into the order asked
for. The overhead is the time of hashing files, looking keys up and writing, as a share of the pass that `fit` makes
with a fast network.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from benchmarks._data import data_folder, own_cache
from headstart.contracts.examples import Examples, Schema
from headstart.engine.frozen.choose_runner import choose_runner
from headstart.engine.frozen.content_keys import content_keys
from headstart.engine.frozen.extract import extract
from headstart.engine.frozen.feature_spec import FeatureSpec
from headstart.engine.store.feature_store import FeatureStore
from headstart.kernel import registry
from headstart.kernel.files import hash_bytes

VECTORS, WIDTH, AT_ONCE = 100_000, 512, 250
NETWORK = "mobilenetv3_large_100"
REPEATS = 7


def run(quick: bool, full: bool) -> tuple[dict[str, float | None], dict[str, Any]]:  # noqa: ARG001
    """Both figures, in percent."""
    reading = _reading(5_000 if quick else VECTORS)
    overhead = _overhead(1 if quick else 3, 200 if quick else None)
    measured: dict[str, float | None] = {
        "store.reading": 100 * reading["plain"] / reading["fresh"],
        "store.overhead": 100 * overhead["keys_and_store"] / overhead["pass"],
    }
    return measured, {"reading_seconds": reading, "overhead_seconds": overhead}


def _reading(count: int) -> dict[str, float]:
    """Median seconds of a plain copy, and of ours: in a fresh store, with checksums that held before, shuffled."""
    vectors = np.random.default_rng(0).standard_normal((count, WIDTH), dtype=np.float32)
    keys = [hash_bytes(str(number).encode()) for number in range(count)]
    order = np.random.default_rng(1).permutation(count)
    shuffled = [keys[row] for row in order]
    with tempfile.TemporaryDirectory() as folder:
        root, plain = Path(folder) / "features", Path(folder) / "plain.npy"
        space = FeatureStore(root, limit=10**10).space({"of": "a benchmark"})
        for start in range(0, count, AT_ONCE):
            space.append(keys[start : start + AT_ONCE], {"hidden": vectors[start : start + AT_ONCE]})
        space.flush()
        np.save(plain, vectors)

        def fresh(wanted: list[str]) -> Any:
            return FeatureStore(root, limit=10**10).space({"of": "a benchmark"}).read(wanted)["hidden"]

        if not np.array_equal(fresh(shuffled), vectors[order]):
            raise AssertionError("the store gives other vectors than it was given")
        candidates: dict[str, Callable[[], Any]] = {
            "plain": lambda: np.array(np.load(plain, mmap_mode="r")),
            "fresh": lambda: fresh(keys),
            "verified": lambda: space.read(keys)["hidden"],
            "plain_shuffled": lambda: np.load(plain, mmap_mode="r")[order],
            "fresh_shuffled": lambda: fresh(shuffled),
        }
        return _medians(candidates, REPEATS)


def _overhead(repeats: int, limit: int | None) -> dict[str, float]:
    """Median seconds of a pass over pictures, and of what in it is keys, look-ups and writing."""
    paths = sorted((data_folder() / "data" / "da_pacs").rglob("*.jpg"))[:limit]
    columns = {"path": [str(path) for path in paths]}
    examples = Examples(pa.table(columns), Schema(modality="image", inputs=("path",), origin="path"))
    backbone = registry.plugin("backbones", "timm_images")(reference=NETWORK, weights="random").load()
    rounds = []
    for _ in range(repeats):
        with own_cache() as cache:
            began = time.perf_counter()
            keys = content_keys(examples).keys
            hashing = time.perf_counter() - began
            runner = choose_runner(backbone, examples, keys, FeatureSpec(), torch.device("cpu")).runner
            began = time.perf_counter()
            found = extract(backbone, examples, keys, runner=runner, store=FeatureStore(cache / "features"))
            whole = time.perf_counter() - began + hashing
            rounds.append((hashing + found.seconds["store"], whole))
    keys_and_store, whole = (statistics.median(values) for values in zip(*rounds))
    return {"keys_and_store": keys_and_store, "pass": whole, "images": len(paths)}


def _medians(candidates: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    rounds: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(repeats):
        for name, candidate in candidates.items():
            began = time.perf_counter()
            candidate()
            rounds[name].append(time.perf_counter() - began)
    return {name: statistics.median(values) for name, values in rounds.items()}
