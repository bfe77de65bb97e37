"""The last layer and the characters of a model of transformers that was trained by CTC, from its folder."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import MODEL_FOR_CTC_MAPPING

from headstart.contracts.spoken_characters import SpokenCharacters
from headstart.kernel.files import read_json

_SPECIAL = re.compile(r"<.*>|\[.*\]")
_UNKNOWN = ("<unk>", "[UNK]", "<UNK>")


def ctc_class(config: Any, folder: Path) -> Any:
    """The class of the whole model where its folder says that it was trained by CTC and has its characters; else None.

    Subwords and phonemes are not taken: their rows are no characters.
    """
    trained = any(name.endswith("ForCTC") for name in config.architectures or ())
    return MODEL_FOR_CTC_MAPPING[type(config)] if trained and _rows(folder) else None


def ctc_layer(model: Any, config: Any, folder: Path) -> SpokenCharacters:
    """The layer, its rows in our order; characters are spaces where the tokenizer writes a delimiter of words."""
    rows, every, blank = _rows(folder), _vocabulary(folder), config.pad_token_id
    unknown = next((every[name] for name in _UNKNOWN if name in every), blank)
    order = torch.tensor([blank, unknown, *rows.values()])
    layer = model.lm_head
    return SpokenCharacters(tuple(rows), layer.weight.detach()[order].clone(), layer.bias.detach()[order].clone())


def _rows(folder: Path) -> Mapping[str, int]:
    """Character -> its row; none where the vocabulary has other things than characters."""
    vocabulary = _vocabulary(folder)
    config = folder / "tokenizer_config.json"
    delimiter = read_json(config).get("word_delimiter_token", "|") if config.is_file() else "|"
    own = {
        " " if token == delimiter else token: row for token, row in vocabulary.items() if not _SPECIAL.fullmatch(token)
    }
    return own if all(len(token) == 1 for token in own) else {}


def _vocabulary(folder: Path) -> Mapping[str, int]:
    path = folder / "vocab.json"
    found = read_json(path) if path.is_file() else {}
    return found if isinstance(found, dict) and all(isinstance(row, int) for row in found.values()) else {}
