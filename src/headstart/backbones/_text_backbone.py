"""A text model with its tokenizer and stages."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from headstart.backbones._layer_cut import call, propose
from headstart.backbones._layer_segment import Segment
from headstart.backbones._layered_backbone import SeveralLayers
from headstart.backbones._small_text_net import WIDTH, small_text_net
from headstart.backbones._text_loading import random_model
from headstart.backbones._text_pooling import pool
from headstart.backbones._text_preparation import TextPreparation, length
from headstart.contracts.backbone import NO_LICENCE, SMALL
from headstart.contracts.boundaries import failing_boundaries
from headstart.contracts.carriers import PLACES, State, Tap
from headstart.contracts.examples import Raw
from headstart.contracts.features import Features
from headstart.contracts.inputs import Tokens
from headstart.contracts.pairs import Twice, apart, compared, compared_width, single_width, together
from headstart.contracts.several_stages import joined
from headstart.kernel.errors import BackboneError, DataError, first_line

_EXAMPLE = ("A text of some length, which the others are padded to.", "Short.", "Another one, in between.")


class TextBackbone(SeveralLayers):
    """See `hf_text`."""

    modality = "text"
    family = "hf_text"

    def __init__(
        self,
        settings: Mapping[str, Any],
        config: Any,
        module: nn.Module,
        preparation: TextPreparation,
        files: Mapping[str, bytes],
        origin: str,
    ) -> None:
        """Put the parts together and propose stages.

        Args:
            settings: those of `hf_text`, as JSON values, with pooling and length decided.
            config: the transformers configuration.
            module: the model.
            preparation: the tokenizer.
            files: configuration and tokenizer by file name.
            origin: where the weights come from.

        Raises:
            BackboneError: the model does not give one vector per token.
        """
        self.name = settings["reference"]
        self.origin = origin
        self.module = module
        self._settings = dict(settings)
        self._config = config
        self._random = partial(random_model, config)
        self._preparation = preparation
        self.reads = f"{preparation.max_length} tokens"
        self._files = dict(files)
        self._pooling = settings["pool"]
        self._apart = False
        example = self.prepare(_EXAMPLE)
        try:
            with torch.no_grad():
                hidden = call(module, example.hidden, example.context)
        except (RuntimeError, IndexError, ValueError, TypeError, AttributeError) as error:
            raise BackboneError(f"{self.name} cannot read its tokenizer's tokens: {first_line(error)}") from error
        if hidden.dim() != 3 or hidden.shape[:2] != example.hidden.shape:
            raise BackboneError(f"{self.name} gives {tuple(hidden.shape)} for {tuple(example.hidden.shape)} tokens")
        self.width = hidden.shape[-1]
        self._layers, self.stages = propose(module, getattr(config, "num_hidden_layers", None), example)
        self._boundaries = list(range(len(self.stages) + 1))

    def verified(self) -> TextBackbone:
        """Itself, with the boundaries that do not hold dropped."""
        self._drop(failing_boundaries(self, self.prepare(_EXAMPLE)))
        return self

    def prepare(self, raws: Sequence[Raw]) -> State:
        """Token numbers (batch, length), padded on the right, with `attention_mask` and perhaps `token_type_ids`.

        Pairs that are read apart are as `contracts.pairs.together` has them.
        """
        if not self._apart:
            return self._preparation.prepare(raws)
        return together(self._preparation.prepare(_both(raws)))

    def length(self, raw: Raw) -> int:
        """Characters."""
        return length(raw)

    def windows(self, raw: Raw) -> tuple[tuple[int, int], ...]:
        """Parts of a text of more tokens than are read at once."""
        return self._preparation.windows(raw)

    def unread(self, raws: Sequence[Raw]) -> np.ndarray:
        """(inputs,) the share of the tokens of each text or pair that is cut off; of pairs read apart the greater."""
        if not self._apart:
            return self._preparation.unread(raws)
        return self._preparation.unread(_both(raws)).reshape(-1, 2).max(axis=1)

    def input_kind(self) -> Tokens:
        """Token numbers, with the tokenizer's own special ones."""
        return self._preparation.tokens()

    def preparation(self) -> Mapping[str, Any]:
        """The hash of the tokenizer's files, the greatest length, and whether token types are used."""
        return self._preparation.describe()

    def segment(self, start: int, stop: int, taps: Sequence[Tap] = ()) -> nn.Module:
        """The layers from `start` to `stop` on a shallow copy of the model; see `_layer_segment`.

        Raises:
            BackboneError: there is no such segment, or a tap lies outside it or has an unknown form.
        """
        names, taps = self.boundary_names(), self._taps_within(start, stop, taps)
        wishes = {tap: self._boundaries[names.index(tap.boundary)] for tap in taps}
        start, stop = self._boundaries[start], self._boundaries[stop]
        segment = Segment(self.module, self._layers, start, stop, wishes, self._pooling)
        return Twice(segment) if self._apart else segment

    def features(self, state: State) -> Features:
        """Token vectors (batch, length, width) with their mask, and what they pool to (batch, width).

        Pairs that are read apart have only pooled ones, see `contracts.pairs.compared`.
        """
        texts = apart(state) if self._apart else state
        mask = texts.context["attention_mask"]
        pooled = pool(texts.hidden, mask, self._pooling)
        if self._apart:
            return Features(compared(pooled))
        pooled, seen = joined(state.taps, self.beside_last, pooled), self.map_taps()
        there = all(tap.key in state.taps for tap in seen)  # a pass for pooled features does not tap tokens
        tokens = joined(state.taps, seen, state.hidden) if there else None
        return Features(pooled, tokens=tokens, mask=mask, places=state.context.get(PLACES))

    def fresh(self, seed: int) -> TextBackbone:
        """The same architecture, tokenizer and boundaries with random weights."""
        twin = copy.copy(self)
        twin.module, twin.origin, twin.licence = self._random(seed), "random", NO_LICENCE
        twin._settings = {**self._settings, "weights": "random", "seed": seed}
        return twin

    def apart(self) -> TextBackbone | None:
        """The same live weights and stages, on the two texts of a pair each by itself; None with several stages."""
        if self.beside_last:
            return None
        twin = self.alone() or copy.copy(self)
        twin._apart, twin.width = True, compared_width(twin.width)
        twin._settings = {**twin._settings, "pairs": "apart"}
        return twin

    def alone(self) -> TextBackbone | None:
        """The backbone of single texts, which reads pairs jointly, where this one reads them apart."""
        if not self._apart:
            return None
        twin = copy.copy(self)
        twin._apart, twin.width = False, single_width(self.width)
        twin._settings = {name: value for name, value in self._settings.items() if name != "pairs"}
        return twin

    def small(self, seed: int) -> TextBackbone:
        """Embeddings with a convolution, on the same tokens; it is pooled by the mean."""
        if (one := self.alone()) is not None:
            small = one.small(seed)
            return small.apart() or small
        twin = copy.copy(self)
        twin.beside_last = ()
        twin.name, twin.width, twin._pooling = SMALL, WIDTH, "mean"
        twin._random = partial(small_text_net, int(self._config.vocab_size))
        twin.module, twin.origin, twin.licence = twin._random(seed), "random", NO_LICENCE
        twin._layers, twin.stages = propose(twin.module, None, self.prepare(_EXAMPLE))
        twin._boundaries = [0, 1]
        return twin

    def placed(self) -> TextBackbone:
        """The same live weights and stages; a tokenizer in Python alone does not know the places."""
        twin = copy.copy(self)
        twin._preparation = self._preparation.placed()
        twin._settings = {**self._settings, "places": True}
        return twin


def _both(pairs: Sequence[Raw]) -> list[str]:
    """The texts of pairs, the two of each one after the other."""
    for pair in pairs:
        if not (isinstance(pair, tuple) and len(pair) == 2):
            raise DataError(f"is not a pair of texts: {type(pair).__name__} {str(pair)[:60]!r}")
    return [text for pair in pairs for text in pair]
