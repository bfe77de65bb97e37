"""The decoder of a speech model of transformers that writes what is said: Whisper's or Moonshine's.

A text begins with the model's own prefix (start, language, task, no times), which is given in training and in
generation alike and never asked for. Generation is the library's own search on the encoder's states, without the tokens
that the model is told never to write, or not to begin with.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import GenerationMixin
from transformers.modeling_outputs import BaseModelOutput

from headstart.backbones._seq2seq_decoder import Seq2SeqDecoder
from headstart.contracts.features import Features
from headstart.contracts.generation import Change, Decoding, Scored
from headstart.contracts.targets import PADDED_TARGET
from headstart.kernel.errors import BackboneError


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

    def encode(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Token ids (tokens,) int64 of each text, with its end and without the prefix."""
        found = self._tokenizer(list(texts), add_special_tokens=False)["input_ids"] if texts else []
        return [np.array([*row, self.end], np.int64) for row in found]

    def scored(self, features: Features, tokens: Tensor) -> Scored:
        """Logits (batch, tokens, vocabulary) and the states that they are made of, by teacher forcing."""
        decoder = self._model.get_decoder()  # it is no stage itself, and drops out where some of it trains
        decoder.training = any(part.training for part in decoder.modules() if part is not decoder)
        before = torch.cat([self._begun(features), tokens[:, :-1]], dim=1)
        found = decoder(
            input_ids=before.masked_fill(before == PADDED_TARGET, self.pad),
            encoder_hidden_states=features.tokens,
            use_cache=False,
            **({"encoder_attention_mask": features.mask} if self._masked else {}),
        )
        states = found[0][:, len(self._prefix) - 1 :]
        return Scored(self._model.get_output_embeddings()(states), states)

    def generate(self, features: Features, decoding: Decoding, change: Change | None = None) -> Tensor:
        """Texts (batch, tokens) int64 by the library's search, behind the prefix."""
        with self._watched() as seen:
            found: Tensor = GenerationMixin.generate(
                self._model,
                encoder_outputs=self._states(features),
                attention_mask=features.mask,
                decoder_input_ids=self._begun(features),
                pad_token_id=self.pad,
                **self._search(decoding, seen, change),
            )
        return found[:, len(self._prefix) :]

    def _begun(self, features: Features) -> Tensor:
        return torch.tensor(self._prefix, device=features.pooled.device).expand(len(features.pooled), -1)

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
