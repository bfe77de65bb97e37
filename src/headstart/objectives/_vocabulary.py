"""Facts about a backbone for objectives on texts: its word embedding, and whether a token sees later ones."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from headstart.contracts.carriers import State
from headstart.contracts.network import Network
from headstart.kernel.errors import SettingsError

_TEXT = "some words that say nothing in particular"


def word_embedding(backbone: Network) -> str:
    """The name in `Network.module` of the embedding that token numbers go through.

    Raises:
        SettingsError: there is none.
    """
    state, found = _example(backbone), []

    def watch(name: str) -> Any:
        def before(_: nn.Module, args: tuple[Any, ...]) -> None:
            if args and isinstance(args[0], Tensor) and torch.equal(args[0], state.hidden):
                found.append(name)

        return before

    with ExitStack() as hooks, torch.no_grad():
        for name, module in backbone.module.named_modules():
            if isinstance(module, nn.Embedding):
                hooks.callback(module.register_forward_pre_hook(watch(name)).remove)
        _vectors(backbone, state)
    if not found:
        raise SettingsError(f"{backbone.name} has no token embedding to tell words apart by")
    return found[0]


def sees_later_tokens(backbone: Network) -> bool:
    """Return True where the vector of a token depends on later tokens, as in BERT and not in GPT."""
    modes = {module: module.training for module in backbone.module.modules()}
    backbone.module.eval()
    state = _example(backbone)
    other = state.hidden.clone()
    other[:, -1] = state.hidden[:, 0]
    try:
        with torch.no_grad():
            one, changed = (_vectors(backbone, State(ids, state.context)) for ids in (state.hidden, other))
    finally:
        for module, training in modes.items():
            module.training = training
    return not torch.equal(one[:, 0], changed[:, 0])


def _example(backbone: Network) -> State:
    return backbone.prepare([_TEXT]).to(next(backbone.module.parameters()).device)


def _vectors(backbone: Network, state: State) -> Tensor:
    tokens = backbone.features(backbone.segment(0, len(backbone.stages))(state)).tokens
    if tokens is None:
        raise SettingsError(f"{backbone.name} gives one vector per text and none per token")
    return tokens
