"""The decoder of a speech model of transformers that writes what is said: Whisper's or Moonshine's.

A text begins with the model's own prefix (start, language, task, no times), which is given in training and in
generation alike and never asked for. Generation is the library's own search on the encoder's states, without the tokens
that the model is told never to write, or not to begin with. Whisper also writes times where its prefix does not say
that there are none: tokens before and behind each phrase, by the library's rules for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import GenerationConfig, GenerationMixin, WhisperTimeStampLogitsProcessor
from transformers.modeling_outputs import BaseModelOutput

from headstart.backbones._seq2seq_decoder import Seq2SeqDecoder
from headstart.contracts.features import Features
from headstart.contracts.generation import Change, Decoding, Phrase, Scored
from headstart.contracts.targets import PADDED_TARGET
from headstart.kernel.errors import BackboneError

NO_TIMES = "<|notimestamps|>"
"""The token of a prefix by which no times are written; those of times follow it in the vocabulary."""
TIME_STEP = 0.02
"""Seconds from one token of a time to the next."""
FIRST_TIME = 50
"""The latest of them that a text may begin with: 1 s, as of Radford et al. 2022."""


class SpeechDecoder(Seq2SeqDecoder):
    """A live model with its tokenizer."""

    def __init__(self, model: nn.Module, tokenizer: Any, prefix: Sequence[int]) -> None:
        """Share the model; texts begin with `prefix`."""
        self._model: Any = model
        self._tokenizer, self._prefix = tokenizer, tuple(prefix)
        config: Any = self._model.config
        self._masked = config.model_type != "whisper"
        most = getattr(config, "max_target_positions", None) or config.max_position_embeddings
        self.longest = int(most) - len(self._prefix)
        self.end = int(config.eos_token_id)
        self.pad = self.end if config.pad_token_id is None else int(config.pad_token_id)
        self._no_times = tokenizer.convert_tokens_to_ids(NO_TIMES)
        self.tells_times = self._no_times in self._prefix and self._no_times + 1 < config.vocab_size

    def encode(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Token ids (tokens,) int64 of each text, with its end and without the prefix."""
        found = self._tokenizer(list(texts), add_special_tokens=False)["input_ids"] if texts else []
        return [np.array([*row, self.end], np.int64) for row in found]

    def scored(self, features: Features, tokens: Tensor) -> Scored:
        """Logits (batch, tokens, vocabulary) and the states that they are made of, by teacher forcing."""
        decoder = self._model.get_decoder()  # it is no stage itself, and drops out where some of it trains
        decoder.training = any(part.training for part in decoder.modules() if part is not decoder)
        states = self._states_after(features, self.shifted(tokens))[:, len(self._prefix) - 1 :]
        return Scored(self._model.get_output_embeddings()(states), states)

    def begins(self) -> tuple[int, ...]:
        """The prefix."""
        return self._prefix

    def shifted(self, tokens: Tensor) -> Tensor:
        """The decoder's inputs (batch, prefix + tokens - 1) for texts that are padded with `PADDED_TARGET`."""
        prefix = torch.tensor(self._prefix, device=tokens.device).expand(len(tokens), -1)
        before = torch.cat([prefix, tokens[:, :-1]], dim=1)
        return before.masked_fill(before == PADDED_TARGET, self.pad)

    def after(self, features: Features, written: Tensor) -> Tensor:
        """Logits (batch, tokens, vocabulary) of what follows each token of the decoder's inputs."""
        found: Tensor = self._model.get_output_embeddings()(self._states_after(features, written))
        return found

    def generate(self, features: Features, decoding: Decoding, change: Change | None = None) -> Tensor:
        """Texts (batch, tokens) int64 by the library's search, behind the prefix."""
        with self._watched() as seen:
            return self._found(features, self._prefix, self._search(decoding, seen, change))

    def timed(self, features: Features, decoding: Decoding) -> list[list[Phrase]]:
        """Texts (batch,) as phrases with their times, which are written as well and count as tokens."""
        prefix = tuple(token for token in self._prefix if token != self._no_times)
        search = self._search(decoding, (), None)
        most = getattr(self._model.generation_config, "max_initial_timestamp_index", None)
        rules = GenerationConfig(
            eos_token_id=self.end,
            no_timestamps_token_id=self._no_times,
            max_initial_timestamp_index=FIRST_TIME if most is None else most,
        )
        search["logits_processor"].append(WhisperTimeStampLogitsProcessor(rules, len(prefix)))
        rows = self._found(features, prefix, search).cpu().numpy()
        return [self._phrases(row) for row in rows]

    def _states_after(self, features: Features, written: Tensor) -> Tensor:
        found: Tensor = self._model.get_decoder()(
            input_ids=written,
            encoder_hidden_states=features.tokens,
            use_cache=False,
            **({"encoder_attention_mask": features.mask} if self._masked else {}),
        )[0]
        return found

    def _found(self, features: Features, prefix: Sequence[int], search: dict[str, Any]) -> Tensor:
        found: Tensor = GenerationMixin.generate(
            self._model,
            encoder_outputs=self._states(features),
            attention_mask=features.mask,
            decoder_input_ids=self._begun(features, prefix),
            pad_token_id=self.pad,
            **search,
        )
        return found[:, len(prefix) :]

    def _phrases(self, tokens: np.ndarray) -> list[Phrase]:
        """The texts between times (tokens,), each with the times on both sides of it."""
        found: list[Phrase] = []
        words: list[int] = []
        start = 0.0
        for token in [*tokens[(tokens != self.end) & (tokens != self.pad)].tolist(), None]:
            if token is not None and token <= self._no_times:
                words.append(token)
                continue
            time = float("nan") if token is None else TIME_STEP * (token - self._no_times - 1)
            text = self._tokenizer.decode(words, skip_special_tokens=True, clean_up_tokenization_spaces=False)
            found += [Phrase(text, start, time)] if text.strip() else []
            words, start = [], time
        return found

    def _begun(self, features: Features, prefix: Sequence[int] | None = None) -> Tensor:
        tokens = self._prefix if prefix is None else prefix
        return torch.tensor(tokens, device=features.pooled.device).expand(len(features.pooled), -1)

    def _states(self, features: Features) -> Any:
        """The encoder's states as the model takes them; Moonshine's with their mask."""
        if not self._masked:
            return BaseModelOutput(last_hidden_state=features.tokens)
        module = import_module(type(self._model).__module__)
        return module.MoonshineEncoderModelOutput(last_hidden_state=features.tokens, attention_mask=features.mask)


def prefix_of(config: Any, tokenizer: Any, language: str) -> list[int]:
    """The tokens that texts begin with: the start, and of Whisper its language, task and that no times are written.

    Raises:
        BackboneError: the model knows several languages and none, or an unknown one, is given.
    """
    if config.model_type != "whisper":
        return [int(config.decoder_start_token_id)]
    several = tokenizer.convert_tokens_to_ids("<|transcribe|>") < config.vocab_size and config.vocab_size > 51864
    if several and not language:
        raise BackboneError("this model writes several languages: give --set backbone.language=CODE, such as en")
    if language and not several:
        raise BackboneError(f"backbone.language = {language} would do nothing: the model writes one language")
    if several:
        try:
            tokenizer.set_prefix_tokens(language=language, task="transcribe", predict_timestamps=False)
        except (ValueError, KeyError) as error:
            raise BackboneError(f"backbone.language: {error}") from error
    return [int(token) for token in tokenizer.prefix_tokens]
