"""Tiny encoder-decoders of several families with random weights, saved as users have them."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForSeq2SeqLM, GenerationConfig

from headstart.backbones.seq2seq_small import tokenizer
from tiny_text_models import SENTENCES

PLAIN: dict[str, Any] = {
    "d_model": 16,
    **{f"{part}_layers": 2 for part in ("encoder", "decoder")},
    **{f"{part}_attention_heads": 2 for part in ("encoder", "decoder")},
    **{f"{part}_ffn_dim": 32 for part in ("encoder", "decoder")},
    "max_position_embeddings": 64,
    "init_std": 0.3,
}
T5 = {"d_model": 16, "d_kv": 8, "num_layers": 2, "num_decoder_layers": 2, "num_heads": 2, "d_ff": 32}
FAMILIES: dict[str, dict[str, Any]] = {"marian": PLAIN, "bart": PLAIN, "mbart": PLAIN, "m2m_100": PLAIN, "t5": T5}
PADS, ENDS = 0, 1


def save_translator(folder: Path, family: str, **changes: Any) -> Path:
    """Save a random model of a family with a byte-level vocabulary that ends texts with `</s>`."""
    words = tokenizer(SENTENCES, 320)
    words.save_pretrained(folder)
    special = {"pad_token_id": PADS, "eos_token_id": ENDS, "bos_token_id": None, "decoder_start_token_id": PADS}
    if family == "mbart":  # it begins with what ends the target: a language, or else the end
        special["decoder_start_token_id"] = ENDS
    named = {**FAMILIES[family], "vocab_size": len(words), **special, "forced_eos_token_id": None, **changes}
    config = AutoConfig.for_model(family, **named)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = AutoModelForSeq2SeqLM.from_config(config)
    model.generation_config = GenerationConfig(**{key: named[key] for key in special})
    model.save_pretrained(folder)
    return folder


def translator(family: str = "marian", **settings: Any) -> Any:
    """The loaded backbone of such a model."""
    from headstart.backbones.hf_seq2seq import HfSeq2Seq

    with tempfile.TemporaryDirectory() as folder:
        return HfSeq2Seq(reference=str(save_translator(Path(folder), family)), **settings).load()
