"""A model that writes texts as two functions of tensors: its encoder, and what follows the tokens written so far."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from headstart.contracts.carriers import State
from headstart.contracts.exporter import Graph
from headstart.contracts.features import Features
from headstart.contracts.generation import Decoder, Decoding
from headstart.contracts.model import Model
from headstart.contracts.targets import PADDED_TARGET
from headstart.engine.exported.whole_graph import HIDDEN, axes_of
from headstart.engine.frozen.feature_spec import FeatureSpec, FrozenSegment, features_of

STATES, MASK, WRITTEN, LOGITS = "states", "mask", "written", "logits"


class _Encoder(nn.Module):
    """`(input, its context ...) -> (states, mask if there is one)`."""

    def __init__(self, model: Model, context: tuple[str, ...]) -> None:
        super().__init__()
        self._segment, self._context = FrozenSegment(model.backbone, FeatureSpec("tokens")), context

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        hidden, *others = tensors
        found = features_of(self._segment(State(hidden, dict(zip(self._context, others)))))
        mask = () if found.mask is None else ((found.mask != 0).long(),)  # what goes in may not come out as it is
        return (found.tokens, *mask)


class _Decoder(nn.Module):
    """`(states, mask if there is one, written) -> (logits,)`."""

    def __init__(self, model: Model, decoder: Decoder) -> None:
        super().__init__()
        self.weights, self._decoder = model.backbone.module, decoder

    def forward(self, *tensors: Tensor) -> tuple[Tensor]:
        *encoded, written = tensors
        return (self._decoder.after(_features(encoded), written),)


def encoder_graph(model: Model, state: State) -> Graph:
    """Return the encoder of a model that writes; `state` is a real batch of two or more inputs, as it is fed."""
    module = _Encoder(model, tuple(state.context)).eval()
    example = (state.hidden, *state.context.values())
    with torch.no_grad():
        outputs = (STATES, MASK)[: len(module(*example))]
    return Graph(module, (HIDDEN, *state.context), outputs, example, axes_of(state))


def decoder_graph(model: Model, decoder: Decoder, state: State, example: tuple[Tensor, ...]) -> Graph:
    """Return what follows written tokens; `example` is a batch of `decoder_inputs`, of the inputs `state`."""
    names = (STATES, MASK, WRITTEN) if len(example) > 2 else (STATES, WRITTEN)
    axes = (*axes_of(state)[:1] * (len(example) - 1), {0: "batch", 1: WRITTEN})  # states are as long as inputs vary
    return Graph(_Decoder(model, decoder).eval(), names, (LOGITS,), example, axes)


def decoder_inputs(
    encoded: tuple[Tensor, ...], decoder: Decoder, search: Decoding
) -> tuple[tuple[Tensor, ...], Tensor]:
    """Return the decoder's inputs for the texts that the model itself writes, and where these are (batch, tokens).

    Args:
        encoded: what comes out of the encoder.
        search: how texts are searched for.
    """
    tokens = decoder.generate(_features(encoded), search)
    ended = (tokens == decoder.end).int()
    real = (ended.cumsum(dim=1) - ended) == 0  # up to the first end
    written = decoder.shifted(tokens.masked_fill(~real, PADDED_TARGET))
    return (*encoded, written), real


def _features(encoded: Sequence[Tensor]) -> Features:
    states, *mask = encoded
    return Features(states[:, 0], tokens=states, mask=mask[0] if mask else None)
