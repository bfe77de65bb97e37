"""Detectors of transformers with random weights, small enough for a test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers

SIDE = 64
_HYBRID = {
    "encoder_hidden_dim": 16,
    "encoder_ffn_dim": 16,
    "encoder_attention_heads": 2,
    "d_model": 16,
    "decoder_in_channels": [16] * 3,
    "decoder_ffn_dim": 16,
    "decoder_layers": 2,
    "decoder_attention_heads": 2,
}


def _rt_detr_v2() -> Any:
    sizes = {"embedding_size": 8, "hidden_sizes": [8, 8, 16, 16], "depths": [1] * 4, "layer_type": "basic"}
    pictures = transformers.RTDetrResNetConfig(**sizes, out_features=["stage2", "stage3", "stage4"])
    return transformers.RTDetrV2Config(backbone_config=pictures, encoder_in_channels=[8, 16, 16], **_HYBRID)


def _d_fine() -> Any:
    pictures = transformers.HGNetV2Config(
        stage_in_channels=[8, 8, 16, 16],
        stage_mid_channels=[4, 4, 8, 8],
        stage_out_channels=[8, 16, 16, 16],
        stage_num_blocks=[1] * 4,
        stage_numb_of_layers=[1] * 4,
        stem_channels=[3, 8, 8],
        depths=[1] * 4,
        hidden_sizes=[8, 16, 16, 16],
        embedding_size=8,
        out_features=["stage2", "stage3", "stage4"],
    )
    more = {"encoder_in_channels": [16] * 3, "hidden_size": 16, "decoder_n_points": [2] * 3}
    return transformers.DFineConfig(backbone_config=pictures, **more, **_HYBRID)


def _detr() -> Any:
    sizes = {"embedding_size": 8, "hidden_sizes": [8, 8, 16, 16], "depths": [1] * 4, "layer_type": "basic"}
    pictures = transformers.ResNetConfig(**sizes, out_features=["stage4"])
    layers = {f"{part}_{name}": value for part in ("encoder", "decoder") for name, value in _LAYERS.items()}
    return transformers.DetrConfig(backbone_config=pictures, backbone=None, d_model=16, **layers)


_LAYERS = {"layers": 1, "attention_heads": 2, "ffn_dim": 16}


def _rf_detr() -> Any:
    pictures = {
        "model_type": "rf_detr_dinov2",
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "patch_size": 16,
        "image_size": SIDE,
        "num_windows": 2,
        "out_indices": [1, 2],
    }
    heads = {"decoder_self_attention_heads": 2, "decoder_cross_attention_heads": 2, "decoder_n_points": 2}
    more = {"d_model": 16, "group_detr": 2, "decoder_layers": 2, "decoder_ffn_dim": 16}
    return transformers.RfDetrConfig(backbone_config=pictures, **more, **heads)


CONFIGS = {"rt_detr_v2": _rt_detr_v2, "d_fine": _d_fine, "detr": _detr, "rf_detr": _rf_detr}
"""Model type -> a configuration of a tiny one."""


def tiny_detector(kind: str, queries: int = 12, classes: int = 5) -> Any:
    """The library's own model."""
    config = CONFIGS[kind]()
    config.num_queries, config.num_labels = queries, classes
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return transformers.AutoModelForObjectDetection.from_config(config).eval()


def save_tiny_detector(folder: Path, kind: str) -> Path:
    """A folder with configuration and weights, as on the hub."""
    tiny_detector(kind).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(f'{{"size": {{"height": {SIDE}, "width": {SIDE}}}}}')
    return folder
