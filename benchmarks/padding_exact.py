"""Do kept features of sounds depend on the batch? Encoders of the sizes of published ones, of random weights.

Clips of unequal length go through the frozen pass in padded batches and into the store, and each alone through the
library's own forward. The convolutions are those of wav2vec 2.0 base (a group norm over time) and of its larger kin (a
layer norm); two layers stand for twelve.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
import transformers

from headstart.contracts.examples import Examples, Schema
from headstart.engine.frozen.feature_spec import FeatureSpec, features_of
from headstart.kernel import registry
from headstart.media.audio import as_file
from headstart.pipeline.embed import embed

SECONDS = (1.3, 0.4, 0.9, 0.4, 2.0, 0.7)
NORM = {"feat_extract_norm": "layer", "do_stable_layer_norm": True}
CASES: dict[str, tuple[str, dict[str, Any], bool]] = {
    "wav2vec 2.0 base": ("wav2vec2", {}, False),
    "wav2vec 2.0 large": ("wav2vec2", NORM, True),
    "HuBERT base": ("hubert", {}, False),
    "HuBERT large": ("hubert", NORM, True),
    "WavLM base": ("wavlm", {}, False),
    "WavLM large": ("wavlm", NORM, True),
}
"""Name -> type, changes of its default configuration, and whether padding leaves its features as they are."""


def run(quick: bool, full: bool) -> tuple[dict[str, float | None], dict[str, Any]]:
    """All six encoders (`quick`: two)."""
    del full
    names = list(CASES)[: 2 if quick else None]
    found = {name: _one(*CASES[name]) for name in names}
    measured: dict[str, float | None] = {
        "padding_exact.found": float(np.mean([one["as_expected"] for one in found.values()])),
        "padding_exact.error": max(one["error"] for one in found.values()),
    }
    return measured, {"encoders": found}


def _one(kind: str, changes: dict[str, Any], expected: bool) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        torch.manual_seed(0)
        config = transformers.AutoConfig.for_model(kind, num_hidden_layers=2, mask_time_prob=0.0, **changes)
        transformers.AutoModel.from_config(config).save_pretrained(folder)
        transformers.Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder)
        backbone = registry.plugin("backbones", "hf_audio")(reference=folder).load()
        draws = np.random.default_rng(0)
        raws = [as_file(draws.normal(0, 0.1, round(16_000 * s)).astype(np.float32), 16_000) for s in SECONDS]
        sounds = pa.array([{"bytes": raw, "path": None} for raw in raws])
        table = pa.table({"audio": sounds, "origin": [str(Path(str(row))) for row in range(len(raws))]})
        examples = Examples(table, Schema(modality="audio", inputs=("audio",), origin="origin"))
        kept = features_of(embed(backbone, examples, FeatureSpec("tokens")).batch_state(np.arange(len(raws))))
        errors = []
        for row, raw in enumerate(raws):
            with torch.no_grad():
                alone = backbone.module(backbone.prepare([raw]).hidden)[0][0]
            tokens = kept.tokens
            errors.append(float((tokens[row, : len(alone)] - alone).abs().max()) if tokens is not None else np.inf)
    return {"exact": backbone.padding_exact, "as_expected": backbone.padding_exact == expected, "error": max(errors)}
