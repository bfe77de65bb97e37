"""Texts to token numbers: truncated, padded on the right, with a mask, and on request the place of each token.

Every family is padded on the right: positions then count from the first token, and what follows the last real one is
masked, so that a text's features do not depend on what it is batched with.

Byte-level tokenizers (GPT-2, RoBERTa) read a word after a space unlike the first of a text. Where places are asked for,
a space goes before the text, so that a word is read alike wherever it stands (their `add_prefix_space`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from headstart.backbones._text_windows import TextWindows
from headstart.contracts.carriers import LENGTH_MASK, PLACES, State
from headstart.contracts.examples import Raw
from headstart.contracts.inputs import Tokens
from headstart.kernel.errors import BackboneError, DataError
from headstart.kernel.files import hash_bytes

LONGEST = 512
"""Tokens of a text that are read unless the settings say otherwise."""

CHARACTERS_PER_TOKEN = 64
"""Of a very long text only so many characters per token kept are read: tokenizers take quadratic time to cut pairs."""


class TextPreparation:
    """A tokenizer with everything that decides what it returns."""

    def __init__(
        self, tokenizer: Any, files: Mapping[str, bytes], config: Any, max_length: int, *, places: bool = False
    ) -> None:
        """Wrap the tokenizer that `files` hold, for the model of `config`.

        Args:
            places: whether the state says which characters each token stands for; texts are single ones then.

        Raises:
            BackboneError: places are wanted, and the tokenizer does not know them.
        """
        if places and not tokenizer.is_fast:
            raise BackboneError("its tokenizer does not report token positions: a fast tokenizer is needed")
        self._tokenizer = tokenizer
        self._files = dict(files)
        self._config = config
        self.max_length = max_length
        self._token_types = _uses_token_types(tokenizer, config)
        padding = tokenizer.pad_token_id
        # GPT-2 has no padding token, and one that was added later may lie outside the embeddings; any will do, masked.
        self._padding = padding if padding is not None and padding < config.vocab_size else 0
        self._places = places
        self._lead = " " if places and reads_first_word_apart(tokenizer) else ""
        self._windows = TextWindows(tokenizer, max_length, self._lead)
        self._filler = next((n for n in (tokenizer.bos_token_id, tokenizer.eos_token_id) if n is not None), 0)

    def placed(self) -> TextPreparation:
        """The same with places. Raises BackboneError."""
        return TextPreparation(self._tokenizer, self._files, self._config, self.max_length, places=True)

    def describe(self) -> dict[str, Any]:
        """Return everything that decides the token numbers, as JSON values."""
        parts = [part for name in sorted(self._files) for part in (name.encode(), self._files[name])]
        return {
            "tokenizer": hash_bytes(*parts),
            "max_length": self.max_length,
            "characters": self.max_length * CHARACTERS_PER_TOKEN,
            "token_types": self._token_types,
            **({"places": True, "lead": self._lead} if self._places else {}),
        }

    def tokens(self) -> Tokens:
        """The tokens that are no part of a text, and the one that stands for a hidden one, if the model knows it."""
        known = self._config.vocab_size
        stand_ins = (self._tokenizer.mask_token_id, self._tokenizer.unk_token_id)
        mask = next((number for number in stand_ins if number is not None and number < known), None)
        return Tokens(mask=mask, special=tuple(sorted(self._tokenizer.all_special_ids)))

    def windows(self, raw: Raw) -> tuple[tuple[int, int], ...]:
        """See `_text_windows`; none for pairs."""
        return self._windows(raw) if isinstance(raw, str) else ()

    def unread(self, raws: Sequence[Raw]) -> np.ndarray:
        """(inputs,) the share of the tokens of each text or pair that `prepare` cuts off; of very long ones about."""
        most, texts = self.max_length * CHARACTERS_PER_TOKEN, [_parts(raw) for raw in raws]
        found = np.zeros(len(texts))
        for row, some in enumerate(texts):
            room = self.max_length - self._tokenizer.num_special_tokens_to_add(pair=len(some) == 2)
            if sum(len(text.encode(errors="replace")) + len(self._lead) for text in some) <= room:
                continue  # no tokenizer makes more tokens than there are bytes
            lengths = (self._windows.tokens(text[:most]) * max(1.0, len(text) / most) for text in some)
            found[row] = max(0.0, 1 - room / max(1.0, sum(lengths)))
        return found

    def prepare(self, raws: Sequence[Raw]) -> State:
        """`hidden` (batch, length) token numbers; context `attention_mask` and perhaps `token_type_ids`, alike, and
        `places` (batch, length, 2) where they were asked for.

        Raises:
            DataError: an input is not text, or a pair where places are wanted.
        """
        most = self.max_length * CHARACTERS_PER_TOKEN
        columns = [[self._lead + text[:most] for text in column] for column in zip(*map(_parts, raws), strict=True)]
        if self._places and len(columns) != 1:
            raise DataError("is a pair of texts; token positions need a single text")
        encoded = self._tokenizer(
            *columns,
            truncation="longest_first",
            max_length=self.max_length,
            padding=False,
            return_attention_mask=False,
            return_token_type_ids=self._token_types,
            return_offsets_mapping=self._places,
        )
        # A text without any token (GPT-2 has no special ones) still gets one, for attention needs something to read.
        ids = [row or [self._filler] for row in encoded["input_ids"]]
        context = {LENGTH_MASK: _padded([[1] * len(row) for row in ids], 0)}
        if self._token_types:
            context["token_type_ids"] = _padded([row or [0] for row in encoded["token_type_ids"]], 0)
        if self._places:
            context[PLACES] = self._placed(encoded["offset_mapping"], context[LENGTH_MASK].shape[1])
        return State(_padded(ids, self._padding), context)

    def _placed(self, offsets: Sequence[Sequence[tuple[int, int]]], length: int) -> torch.Tensor:
        """(batch, length, 2) in the text as it was given."""
        out = np.zeros((len(offsets), length, 2), dtype=np.int64)
        for place, row in zip(out, offsets):
            if row:
                place[: len(row)] = row
        return torch.from_numpy(np.maximum(out - len(self._lead), 0))


def reads_first_word_apart(tokenizer: Any) -> bool:
    """Return whether a text's first word is tokenised differently from later ones, and a leading space mends that."""
    one, first, spaced = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in (" a", "a a", " a a"))
    return bool(first != one * 2 and spaced == one * 2)


def longest_readable(tokenizer: Any, config: Any, model: nn.Module) -> int:
    """Return how many tokens the model can read: its tokenizer's limit and the positions it has."""
    positions = getattr(config, "max_position_embeddings", None) or 0
    if positions <= 0:
        return int(tokenizer.model_max_length)
    return int(min(tokenizer.model_max_length, positions - unread_positions(config, model)))


def unread_positions(config: Any, model: nn.Module) -> int:
    """Return how many positions stand for no token: RoBERTa and its kin count from the one after the padding's."""
    positions = getattr(config, "max_position_embeddings", None)
    offsets = [
        module.padding_idx + 1
        for module in model.modules()
        if isinstance(module, nn.Embedding) and module.num_embeddings == positions and module.padding_idx is not None
    ]
    return max(offsets, default=0)


def length(raw: Raw) -> int:
    """Characters of a text or pair: enough to batch texts of like length."""
    return sum(len(part) for part in _parts(raw))


def _uses_token_types(tokenizer: Any, config: Any) -> bool:
    """Return whether the model tells the texts of a pair apart by token types. Many tokenizers offer them unasked."""
    several = (getattr(config, "type_vocab_size", None) or 0) > 1
    return several and "token_type_ids" in tokenizer.model_input_names


def _parts(raw: Raw) -> tuple[str, ...]:
    parts = raw if isinstance(raw, tuple) else (raw,)
    if not 1 <= len(parts) <= 2 or not all(isinstance(part, str) for part in parts):
        raise DataError(f"is not a text or a pair of texts: {type(raw).__name__} {str(raw)[:60]!r}")
    # A lone surrogate is not a character and stops the tokenizer.
    return tuple(part.encode(errors="replace").decode() for part in parts if isinstance(part, str))


def _padded(rows: Sequence[Sequence[int]], value: int) -> torch.Tensor:
    out = np.full((len(rows), max(map(len, rows))), value, dtype=np.int64)
    for place, row in zip(out, rows):
        place[: len(row)] = row
    return torch.from_numpy(out)
