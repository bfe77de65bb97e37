"""The decoder of an encoder-decoder model of transformers: teacher forcing and generation from the encoder's states.

Where the decoder begins, by what labels are padded, and how a target language is said are the model's own; the rest of
the text is shifted as the model itself does (`prepare_decoder_input_ids_from_labels`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import LogitsProcessorList
from transformers.modeling_outputs import BaseModelOutput

from headstart.contracts.features import Features
from headstart.contracts.generation import Change, Decoding, Never, Scored
from headstart.contracts.targets import PADDED_TARGET
from headstart.kernel.errors import BackboneError

_UNKNOWN_LENGTH = 1024
"""Tokens of a text that a decoder without numbered positions is taken to write."""


class Seq2SeqDecoder:
    """A live model with its tokenizer."""

    def __init__(self, model: nn.Module, tokenizer: Any, language: str = "") -> None:
        """Share the model; `language` is the code of the language to write, '' where the model has no choice."""
        self._model: Any = model
        self._tokenizer, self._language = tokenizer, language
        positions = getattr(self._model.config, "max_position_embeddings", None) or _UNKNOWN_LENGTH
        self.longest = int(min(positions, _UNKNOWN_LENGTH)) - 1  # the decoder begins with a token of its own
        self.pad, self.end = int(tokenizer.pad_token_id), int(tokenizer.eos_token_id)

    def encode(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Token ids (tokens,) int64 of each text as a target, with its end."""
        if not texts:
            return []
        clean = [text.encode(errors="replace").decode() for text in texts]  # a lone surrogate stops the tokenizer
        found = self._tokenizer(text_target=clean, add_special_tokens=True)["input_ids"]
        return [np.array(row, np.int64) for row in found]

    def decode(self, tokens: Sequence[np.ndarray]) -> list[str]:
        """Token ids as texts, without special tokens."""
        kept = [row[row >= 0] for row in tokens]
        texts = self._tokenizer.batch_decode(kept, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return [text.strip() for text in texts]

    def scored(self, features: Features, tokens: Tensor) -> Scored:
        """Logits (batch, tokens, vocabulary) and the states that they are made of, by teacher forcing."""
        decoder = self._model.get_decoder()  # it is no stage itself, and drops out where some of it trains
        decoder.training = any(part.training for part in decoder.modules() if part is not decoder)
        with self._watched() as seen:
            logits = self.after(features, self.shifted(tokens))
        return Scored(logits, seen[-1])

    def after(self, features: Features, written: Tensor) -> Tensor:
        """Logits (batch, tokens, vocabulary) of what follows each token of the decoder's inputs."""
        found: Tensor = self._model(
            encoder_outputs=BaseModelOutput(last_hidden_state=features.tokens),
            attention_mask=features.mask,
            decoder_input_ids=written,
            use_cache=False,
        ).logits
        return found

    def begins(self) -> tuple[int, ...]:
        """The token that the decoder begins with, and the one that says the language where one is forced."""
        start = int(self.shifted(torch.from_numpy(self.encode(["a"])[0])[None])[0, 0])
        forced = self.language_token() if self._language else self._model.generation_config.forced_bos_token_id
        return (start,) if forced is None else (start, int(forced))

    def never(self) -> Never:
        """Those that the model's configuration of generation names."""
        said = self._model.generation_config
        words = [word[0] for word in said.bad_words_ids or () if len(word) == 1]
        return Never(anywhere=(*(said.suppress_tokens or ()), *words), first=tuple(said.begin_suppress_tokens or ()))

    def generate(self, features: Features, decoding: Decoding, change: Change | None = None) -> Tensor:
        """Texts (batch, tokens) int64 by the library's beam search, behind the token that the decoder begins with."""
        begun = {} if not self._language else {"forced_bos_token_id": self.language_token()}
        with self._watched() as seen:
            found: Tensor = self._model.generate(
                encoder_outputs=BaseModelOutput(last_hidden_state=features.tokens),
                attention_mask=features.mask,
                **self._search(decoding, seen, change),
                **begun,
            )
        return found[:, 1:]

    def _search(self, decoding: Decoding, seen: Sequence[Tensor], change: Change | None) -> dict[str, Any]:
        """The library's settings of a search; `seen` has the decoder's states of each step."""
        changes = [] if change is None else [lambda _, scores: change(seen[-1][:, -1], scores)]
        return {
            "num_beams": decoding.beams,
            "length_penalty": decoding.length_penalty,
            "early_stopping": decoding.beams > 1,
            "do_sample": False,
            "max_length": None,
            "max_new_tokens": min(decoding.longest, self.longest),
            "logits_processor": LogitsProcessorList(changes),
        }

    @contextmanager
    def _watched(self) -> Iterator[list[Tensor]]:
        """The states (rows, tokens, width) that the last logits were made of."""
        seen: list[Tensor] = []

        def see(_: nn.Module, given: tuple[Tensor, ...]) -> None:
            seen[:] = given[:1]

        watch = self._model.get_output_embeddings().register_forward_pre_hook(see)
        try:
            yield seen
        finally:
            watch.remove()

    def shifted(self, tokens: Tensor) -> Tensor:
        """The decoder's inputs (batch, tokens) for targets that are padded with `PADDED_TARGET`."""
        own = getattr(self._model, "prepare_decoder_input_ids_from_labels", None)
        if own is not None:
            found: Tensor = own(labels=tokens)
            return found.view(tokens.shape)  # transformers' shift drops the axis of a batch of one
        config = self._model.config
        moved = tokens.roll(1, dims=1)
        moved[:, 0] = config.decoder_start_token_id
        return moved.masked_fill(moved == PADDED_TARGET, config.pad_token_id)

    def language_token(self) -> int:
        """The token that says the language to write."""
        return int(self._tokenizer.convert_tokens_to_ids(self._language))

    def check(self, name: str) -> None:
        """Refuse a model whose decoder would be trained otherwise than it writes. Raises BackboneError.

        Training and generation must begin with the same token and, where a model writes several languages, say the
        same one: else it learns to write what is then not asked of it.
        """
        config, said = self._model.config, self._model.generation_config
        pad, vocabulary = config.pad_token_id, self._model.get_output_embeddings().weight.shape[0]
        if pad is None:
            raise BackboneError(f"{name}: its config.json names no pad_token_id, by which texts of a batch are padded")
        tokens = torch.from_numpy(self.encode(["a"])[0])[None]
        if int(tokens.max()) >= vocabulary:
            raise BackboneError(f"{name}: its tokenizer has token {int(tokens.max())}, its decoder {vocabulary} tokens")
        starts = said.decoder_start_token_id
        starts = config.decoder_start_token_id if starts is None else starts
        begins = self.shifted(tokens)[0, 0].item()
        if starts is None or begins != starts:
            raise BackboneError(
                f"{name} begins texts with token {starts} and would be trained to begin them with {begins}: give "
                "--set backbone.target_language, or correct decoder_start_token_id in its config.json"
            )
        forced = self.language_token() if self._language else said.forced_bos_token_id
        if forced is not None and int(tokens[0, 0]) != forced:
            raise BackboneError(
                f"{name} writes token {forced} first, and its tokenizer begins targets with {int(tokens[0, 0])}: give "
                "the code of the language to write with --set backbone.target_language"
            )
