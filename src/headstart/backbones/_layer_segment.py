"""A run of layers as a module of its own: the whole model's own `forward`, with slots in the place of its layers.

Only the modules above the list of layers are copied, shallowly; everything in them is the live model's. The slot before
which the segment starts puts the given state in place of whatever came, the one before which it stops keeps what it
got, and a layer outside the segment is skipped. So masks, positions and whatever else the model makes are made by the
model, layers keep their numbers (some models choose a mask by it), and the live model is never touched.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from headstart.backbones._layer_cut import Layers, around, call
from headstart.backbones._text_pooling import Pooling, pool
from headstart.contracts.carriers import State, Tap


class Segment(nn.Module):
    """`State -> State` from boundary `start` to boundary `stop`, sharing the live weights."""

    def __init__(
        self, model: nn.Module, layers: Layers | None, start: int, stop: int, taps: Mapping[Tap, int], pooling: Pooling
    ) -> None:
        """Build the shallow copy.

        Args:
            model: the live model.
            layers: its layers; None for a model that is not cut, which has the boundaries 0 and 1.
            start: boundary to start from.
            stop: boundary to stop at.
            taps: each wish and the boundary it names, inside or at the end of the segment.
            pooling: how taps are pooled.
        """
        super().__init__()
        self._passage = _Passage(start, stop, frozenset(taps.values()) | {stop})
        self._taps = dict(taps)
        self._pooling = pooling
        self._copies: list[nn.Module] = []
        self._parts: tuple[nn.Module, ...] = ()
        self.model = model if layers is None else self._copied(model, layers)

    def forward(self, state: State) -> State:
        """Run the stages. The context is handed on as it is."""
        for copied in self._copies:  # one that is in training mode as a whole has stages that are
            copied.training = any(part.training for part in self._parts)
        passage = self._passage
        ids = state.hidden
        if passage.start > 0:  # the embeddings run on nothing in particular, and their result is replaced
            passage.given = state.hidden
            ids = torch.zeros(state.hidden.shape[:2], dtype=torch.long, device=state.hidden.device)
        try:
            final = call(self.model, ids, state.context)
            seen = {boundary: passage.seen.get(boundary, final) for boundary in passage.wanted}
        finally:
            passage.given = None
            passage.seen = {}
        mask = state.context["attention_mask"]
        taps = {
            tap.key: pool(seen[boundary], mask, self._pooling) if tap.form == "pooled" else seen[boundary]
            for tap, boundary in self._taps.items()
        }
        return State(seen[passage.stop], state.context, {**state.taps, **taps})

    def _copied(self, model: nn.Module, layers: Layers) -> nn.Module:
        """The modules from the model down to its list, copied, the list holding slots."""
        slots = [
            _Slot(layer, k + 1, layers.answers[k], self._passage)
            for k, layer in enumerate(model.get_submodule(layers.path).children())
        ]
        before = around(model, layers.path) if self._passage.start == 0 else []
        self._parts = (*map(model.get_submodule, before), *(slot.layer for slot in slots if slot.kept))
        below: nn.Module = nn.ModuleList(slots)
        path = layers.path.split(".")
        for depth in reversed(range(len(path))):
            above = copy.copy(model.get_submodule(".".join(path[:depth])))
            above._modules = {**above._modules, path[depth]: below}
            self._copies.append(above)
            below = above
        return below


@dataclass
class _Passage(threading.local):
    """State that the slots of a segment share during a call, one for each thread."""

    start: int
    stop: int
    wanted: frozenset[int]
    given: Tensor | None = None
    seen: dict[int, Tensor] = field(default_factory=dict)


class _Slot(nn.Module):
    """Stands in the place of a layer, at the boundary before it."""

    def __init__(self, layer: nn.Module, boundary: int, answer: int, passage: _Passage) -> None:
        super().__init__()
        self._boundary = boundary
        self._answer = answer
        self._passage = passage
        self._live = (layer,)  # in a tuple, so that a skipped layer's weights do not count as the segment's
        self.kept = passage.start <= boundary < passage.stop
        if self.kept:
            self.layer = layer

    def __getattr__(self, name: str) -> Any:
        """Models read attributes of their layers, such as the kind of attention."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            if "_live" not in self.__dict__:
                raise
            return getattr(self.__dict__["_live"][0], name)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The layer's own signature: the hidden state comes first, or is called `hidden_states`."""
        passage = self._passage
        hidden = args[0] if args else kwargs["hidden_states"]
        if self._boundary == passage.start:
            hidden = passage.given
        if self._boundary in passage.wanted:
            passage.seen[self._boundary] = hidden
        if not self.kept:
            return (hidden, *[None] * (self._answer - 1)) if self._answer else hidden
        if args:
            return self.layer(hidden, *args[1:], **kwargs)
        return self.layer(**{**kwargs, "hidden_states": hidden})
