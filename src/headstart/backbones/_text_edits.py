"""Edits of a text model: last layers left out, another activation, a longer window; every other weight stays.

Learnt positions beyond those of the training are copies of them, over and over (Beltagy et al. 2020, "Longformer"), so
that texts that fitted before are read bit for bit as before. Positions that are not learnt need nothing.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from headstart.backbones._text_loading import random_model
from headstart.backbones._text_preparation import unread_positions
from headstart.contracts.architecture_edits import Swap
from headstart.kernel.errors import BackboneError

ACTIVATIONS = ("hidden_act", "activation", "activation_function", "hidden_activation")
"""What configurations call it."""

MOST_TIMES = 16
"""As many times as a model was trained for a window may be."""


def without_last(config: Any, dropped: int) -> Any:
    """The configuration without the last layers. Raises BackboneError where none would be left."""
    layers = getattr(config, "num_hidden_layers", 0)
    if dropped >= layers:
        raise BackboneError(f"backbone.drop_stages = {dropped} leaves nothing of its {layers} layers")
    edited = copy.deepcopy(config)
    edited.num_hidden_layers = layers - dropped
    if getattr(edited, "layer_types", None):
        edited.layer_types = edited.layer_types[: layers - dropped]
    return edited


def with_activation(config: Any, name: str) -> tuple[Any, Swap]:
    """The configuration with another activation. Raises BackboneError where it names none."""
    edited = copy.deepcopy(config)
    for key in ACTIVATIONS:
        before = getattr(edited, key, None)
        if isinstance(before, str) and before != name:
            setattr(edited, key, name)
            return edited, Swap("activations", before, name)
    raise BackboneError(
        f"backbone.activation = {name}: a '{config.model_type}' has no activation that is another one. Leave it out."
    )


def with_window(config: Any, model: nn.Module, length: int) -> tuple[Any, nn.Module]:
    """Configuration and model for texts of `length` tokens.

    Raises:
        BackboneError: that is many times what it was trained for, or its positions are fixed.
    """
    positions, skipped = getattr(config, "max_position_embeddings", None) or 0, unread_positions(config, model)
    if positions <= 0 or length + skipped <= positions:
        return config, model
    if length > MOST_TIMES * positions:
        raise BackboneError(f"max_length {length} is more than {MOST_TIMES} times the {positions} positions it has")
    edited = copy.deepcopy(config)
    edited.max_position_embeddings = length + skipped
    if getattr(edited, "max_relative_positions", 1) < 1:  # DeBERTa takes the absolute ones' number for it
        edited.max_relative_positions = positions
    longer, state = random_model(edited, 0), model.state_dict()
    try:
        extended = {name: _extended(state[name], own, skipped) for name, own in longer.state_dict().items()}
        longer.load_state_dict(extended)
    except (KeyError, RuntimeError) as error:
        raise BackboneError(
            f"max_length {length}: the {positions} positions of a '{config.model_type}' are fixed"
        ) from error
    return edited, longer


def _extended(old: Tensor, own: Tensor, skipped: int) -> Tensor:
    """`old` as it is, or with copies of its rows behind the first `skipped` ones, to as many as `own` has."""
    if old.shape == own.shape or old.shape[1:] != own.shape[1:]:
        return old
    rows = [skipped + (row - len(old)) % (len(old) - skipped) for row in range(len(old), len(own))]
    return torch.cat([old, old[rows]])
