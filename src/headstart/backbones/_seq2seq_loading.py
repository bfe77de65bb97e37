"""The files of an encoder-decoder model of transformers: its configuration, class, tokenizer and rules of writing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING

from headstart.backbones._text_loading import any_config, tokenizer_files
from headstart.kernel.errors import BackboneError


def seq2seq_config(folder: Path) -> Any:
    """The configuration of an encoder-decoder model. Raises BackboneError."""
    config = any_config(folder)
    if not config.is_encoder_decoder or type(config) not in MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING:
        raise BackboneError(f"{folder} holds a model of type '{config.model_type}', which does not write texts")
    for extra in ("use_cache", "output_hidden_states", "output_attentions"):
        setattr(config, extra, extra == "use_cache")
    config.torch_dtype = torch.float32
    return config


def kind_of(config: Any) -> Any:
    """The class of a configuration's model with its head of words."""
    found = MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING[type(config)]
    return found[0] if isinstance(found, tuple) else found


def files_of(folder: Path, tokenizer: Any) -> dict[str, bytes]:
    """Configuration, tokenizer and how it generates, by file name."""
    names = ("config.json", "generation_config.json")
    own = {name: (folder / name).read_bytes() for name in names if (folder / name).is_file()}
    return {**own, **tokenizer_files(tokenizer)}
