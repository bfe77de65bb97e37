"""An encoder-decoder model of transformers: the encoder cut into stages as other text models are, then the decoder's.

Every stage of the decoder is one of its layers; embeddings that both share belong to the encoder's first stage. States
pass through the decoder's stages as they are, for the decoder runs on the encoder's states where it writes or learns.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import AutoModelForSeq2SeqLM

from headstart.backbones._layer_cut import call, propose
from headstart.backbones._layer_segment import Segment
from headstart.backbones._layered_backbone import LayeredBackbone, joined_stages
from headstart.backbones._seq2seq_decoder import Seq2SeqDecoder
from headstart.backbones._text_loading import random_model
from headstart.backbones._text_pooling import pool
from headstart.backbones._text_preparation import TextPreparation, length
from headstart.contracts.backbone import NO_LICENCE
from headstart.contracts.boundaries import failing_boundaries
from headstart.contracts.carriers import LENGTH_MASK, State, Tap
from headstart.contracts.examples import Raw
from headstart.contracts.features import Features
from headstart.contracts.inputs import Tokens
from headstart.contracts.network import Stage
from headstart.kernel.errors import BackboneError, first_line

_EXAMPLE = ("A text of some length, which the others are padded to.", "Short.", "Another one, in between.")


class Seq2SeqBackbone(LayeredBackbone):
    """See `hf_seq2seq`."""

    modality = "text"
    family = "hf_seq2seq"

    def __init__(
        self,
        settings: Mapping[str, Any],
        config: Any,
        module: nn.Module,
        tokenizer: Any,
        files: Mapping[str, bytes],
        origin: str,
    ) -> None:
        """Put the parts together, propose stages and drop boundaries that do not hold.

        Args:
            settings: those of `hf_seq2seq`, as JSON values, with the length decided.
            config: the transformers configuration.
            module: the model with its language modelling head.
            tokenizer: that of both languages.
            files: configuration and tokenizer by file name.
            origin: where the weights come from.

        Raises:
            BackboneError: encoder or decoder do not work as such models do, or the decoder's start is not clear.
        """
        self.name, self.origin, self.module = settings["reference"], origin, module
        self._settings, self._config, self._files = dict(settings), config, dict(files)
        self._tokenizer = tokenizer
        self._preparation = TextPreparation(tokenizer, files, config, settings["max_length"])
        self.reads = f"{settings['max_length']} tokens"
        example = self.prepare(_EXAMPLE)
        try:
            with torch.no_grad():
                hidden = call(self._encoder(), example.hidden, example.context)
            self._layers, encoder = propose(self._encoder(), _layers_of(config, "encoder"), example)
            _, decoder = propose(self._model().get_decoder(), _layers_of(config, "decoder"), example)
        except (RuntimeError, IndexError, ValueError, TypeError, AttributeError) as error:
            raise BackboneError(f"{self.name} cannot read its tokenizer's tokens: {first_line(error)}") from error
        self.width = hidden.shape[-1]
        of_encoder, of_decoder = _shared_out(module, self._encoder(), encoder, self._model().get_decoder(), decoder)
        self.stages, self.decoder_stages = (*of_encoder, *of_decoder), len(of_decoder)
        self._boundaries = list(range(len(of_encoder) + 1))
        self.decoder().check(self.name)
        self._drop(failing_boundaries(self, example))

    def prepare(self, raws: Sequence[Raw]) -> State:
        """Token numbers (batch, length), padded on the right, with `attention_mask`."""
        return self._preparation.prepare(raws)

    def length(self, raw: Raw) -> int:
        """Characters."""
        return length(raw)

    def unread(self, raws: Sequence[Raw]) -> np.ndarray:
        """(inputs,) the share of the tokens of each text that is cut off."""
        return self._preparation.unread(raws)

    def input_kind(self) -> Tokens:
        """Token numbers, with the tokenizer's own special ones."""
        return self._preparation.tokens()

    def preparation(self) -> Mapping[str, Any]:
        """The hash of the tokenizer's files and the greatest length."""
        return self._preparation.describe()

    def segment(self, start: int, stop: int, taps: Sequence[Tap] = ()) -> nn.Module:
        """The encoder's layers from `start` to `stop`; of the decoder's stages nothing runs.

        Raises:
            BackboneError: there is no such segment, or a tap lies outside it or has an unknown form.
        """
        names, taps = self.boundary_names(), self._taps_within(start, stop, taps)
        end = len(self._boundaries) - 1
        if start >= end:
            return _Through(tuple(taps))
        wishes = {tap: self._boundaries[min(names.index(tap.boundary), end)] for tap in taps}
        first, last = self._boundaries[start], self._boundaries[min(stop, end)]
        return Segment(self._encoder(), self._layers, first, last, wishes, "mean")

    def features(self, state: State) -> Features:
        """The encoder's states (batch, length, width) with their mask, and their mean (batch, width)."""
        mask = state.context[LENGTH_MASK]
        return Features(pool(state.hidden, mask, "mean"), tokens=state.hidden, mask=mask)

    def decoder(self) -> Seq2SeqDecoder:
        """The decoder on the live weights."""
        return Seq2SeqDecoder(self.module, self._tokenizer, self._settings["target_language"])

    def fresh(self, seed: int) -> Seq2SeqBackbone:
        """The same architecture, tokenizer and boundaries with random weights."""
        twin = copy.copy(self)
        twin.module = random_model(self._config, seed, AutoModelForSeq2SeqLM)
        twin.origin, twin.licence = "random", NO_LICENCE
        twin._settings = {**self._settings, "weights": "random", "seed": seed}
        return twin

    def _model(self) -> Any:
        return self.module

    def _encoder(self) -> nn.Module:
        found: nn.Module = self._model().get_encoder()
        return found


class _Through(nn.Module):
    """States as they are, with taps that show the encoder's end."""

    def __init__(self, taps: tuple[Tap, ...]) -> None:
        super().__init__()
        self._taps = taps

    def forward(self, state: State) -> State:
        shown = {"map": state.hidden}
        if any(tap.form == "pooled" for tap in self._taps):
            shown["pooled"] = pool(state.hidden, state.context[LENGTH_MASK], "mean")
        return State(state.hidden, state.context, {**state.taps, **{tap.key: shown[tap.form] for tap in self._taps}})


def _layers_of(config: Any, part: str) -> int | None:
    """The number of layers that a configuration gives encoder or decoder, by whichever of the usual names."""
    names = (f"{part}_layers", f"num_{part}_layers", "num_layers", "num_hidden_layers")
    return next((n for name in names if isinstance(n := getattr(config, name, None), int)), None)


def _shared_out(
    module: nn.Module, encoder: nn.Module, of_encoder: Sequence[Stage], decoder: nn.Module, of_decoder: Sequence[Stage]
) -> tuple[list[Stage], list[Stage]]:
    """The stages of both parts by the names of the whole model; what lies outside of both goes to the last one.

    The decoder's embeddings belong to its first layer. What the encoder shares is the encoder's.
    """
    owned: set[str] = set()
    front = [_named(module, encoder, stage, owned, "encoder") for stage in of_encoder]
    first = [joined_stages([*of_decoder[:2]])] if len(of_decoder) > 1 else [*of_decoder]
    back = [_named(module, decoder, stage, owned, "decoder") for stage in (*first, *of_decoder[2:])]
    parts = ("parameters", "buffers")
    left = [tuple(n for n, _ in getattr(module, f"named_{part}")() if n not in owned) for part in parts]
    last = back[-1]
    staged = tuple(f"{name}." for stage in (*front, *back) for name in stage.modules)
    around = [name for name, part in module.named_modules() if _owns(part) and not f"{name}.".startswith(staged)]
    back[-1] = Stage(last.name, (*last.parameters, *left[0]), (*last.buffers, *left[1]), (*last.modules, *around))
    return front, back


def _owns(part: nn.Module) -> bool:
    """True for a module with parameters of its own; that of the whole model has buffers at most."""
    return any(True for _ in part.parameters(recurse=False))


def _named(module: nn.Module, part: nn.Module, stage: Stage, owned: set[str], prefix: str) -> Stage:
    """A stage of a part by the whole model's names, without what is owned already."""

    def found(kind: str, own: Sequence[str]) -> tuple[str, ...]:
        called = {id(value): name for name, value in getattr(module, f"named_{kind}")()}
        get = part.get_parameter if kind == "parameters" else part.get_buffer
        names = tuple(dict.fromkeys(called[id(get(name))] for name in own))
        new = tuple(name for name in names if name not in owned)
        owned.update(new)
        return new

    above = next(name for name, each in module.named_modules() if each is part)
    modules = tuple(f"{above}.{name}" if above else name for name in stage.modules)
    parameters, buffers = found("parameters", stage.parameters), found("buffers", stage.buffers)
    return Stage(f"{prefix}.{stage.name}", parameters, buffers, modules)
