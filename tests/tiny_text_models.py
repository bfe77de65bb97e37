"""Tiny text models of every family, saved as users have them: config.json, tokenizer files, model.safetensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import AutoConfig, AutoModel, PreTrainedTokenizerFast

SENTENCES = [
    "The cat sat on the mat and looked at the rain.",
    "A dog barked.",
    "Transfer learning starts from a pretrained model, and the evidence decides how much of it is kept.",
    "Why?",
]
LAYERS = 6
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
CLASSIC = {
    "hidden_size": 32,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
    "pad_token_id": 1,
    "initializer_range": 0.2,
}
RELATIVE = {
    **CLASSIC,
    "relative_attention": True,
    "pos_att_type": ["c2p", "p2c"],
    "position_biased_input": False,
    "type_vocab_size": 0,
}
ROTARY = {**CLASSIC, "bos_token_id": 0, "eos_token_id": 2, "num_key_value_heads": 2, "attention_dropout": 0.1}

FAMILIES: dict[str, dict[str, Any]] = {
    "bert": CLASSIC,
    "roberta": {**CLASSIC, "type_vocab_size": 1},
    "distilbert": {
        "dim": 32,
        "n_layers": LAYERS,
        "n_heads": 4,
        "hidden_dim": 64,
        "max_position_embeddings": 64,
        "pad_token_id": 1,
        "initializer_range": 0.2,
    },
    "electra": {**CLASSIC, "embedding_size": 16},
    "deberta": RELATIVE,
    "deberta-v2": {**RELATIVE, "position_buckets": 16, "norm_rel_ebd": "layer_norm", "share_att_key": True},
    "mpnet": CLASSIC,
    "modernbert": {
        **CLASSIC,
        "global_attn_every_n_layers": 3,
        "local_attention": 8,
        "cls_token_id": 0,
        "bos_token_id": 0,
        "eos_token_id": 2,
        "sep_token_id": 2,
    },
    "gpt2": {
        "n_embd": 32,
        "n_layer": LAYERS,
        "n_head": 4,
        "n_positions": 64,
        "bos_token_id": 2,
        "eos_token_id": 2,
        "initializer_range": 0.2,
    },
    "llama": ROTARY,
    # Its masks are chosen by the layer's number: four layers see everything, the others 8 tokens.
    "qwen2": {**ROTARY, "use_sliding_window": True, "sliding_window": 8, "max_window_layers": 4},
}


def save_tiny(folder: Path, family: str, **changes: Any) -> Path:
    """Save a random model of a family with a byte-level tokenizer trained on `SENTENCES`."""
    tokenizer = _tokenizer(family)
    kinds = [] if family in ("gpt2", "llama", "qwen2") else ["cls_token", "sep_token", "mask_token", "pad_token"]
    names = {"cls_token": "<s>", "sep_token": "</s>", "mask_token": "<mask>", "pad_token": "<pad>"}
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        **{kind: names[kind] for kind in kinds},
    )
    wrapped.save_pretrained(folder)
    config = AutoConfig.for_model(family, **{**FAMILIES.get(family, CLASSIC), "vocab_size": len(wrapped), **changes})
    with torch.random.fork_rng():
        torch.manual_seed(0)
        AutoModel.from_config(config).save_pretrained(folder)
    return folder


def _tokenizer(family: str) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    if family not in ("gpt2", "llama", "qwen2"):
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<s> $A </s>", pair="<s> $A </s> $B:1 </s>:1", special_tokens=[("<s>", 0), ("</s>", 2)]
        )
    return tokenizer
