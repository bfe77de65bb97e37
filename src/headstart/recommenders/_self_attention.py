"""The network of SASRec: items of a history in order, each place looking at itself and at the places before it.

With E the vectors of items and P those of places, x = E s + P; each block makes x + A(norm x) and then x + F(norm x).
A is attention over earlier places, softmax(q k' / sqrt(d)) v, and F two layers with a ReLU between. The result is
normalised. Histories are padded on the right, where nothing before them looks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from headstart.contracts.backbone import NO_LICENCE, Backbone
from headstart.contracts.carriers import LENGTH_MASK, State, Tap
from headstart.contracts.features import Features
from headstart.contracts.network import Stage
from headstart.contracts.targets import collated

NAME = "self-attention over histories"


class Attention(nn.Module):
    """Attention of each place to itself and earlier ones."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        """`heads` divides `width`."""
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.looking = nn.Linear(width, 3 * width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, places, width) -> the same shape."""
        batch, places, width = x.shape
        parts = self.looking(x).view(batch, places, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        share = self.dropout if self.training else 0.0
        query, key, value = parts.unbind()
        found = nn.functional.scaled_dot_product_attention(query, key, value, dropout_p=share, is_causal=True)
        return found.transpose(1, 2).reshape(batch, places, width)


class Block(nn.Module):
    """Attention and two layers, each beside what it reads."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        """As of `Attention`."""
        super().__init__()
        self.before_attention, self.before_layers = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads, dropout)
        self.layers = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(width, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, places, width) -> the same shape."""
        x = x + self.dropout(self.attention(self.before_attention(x)))
        return x + self.dropout(self.layers(self.before_layers(x)))


class SelfAttention(nn.Module):
    """Vectors of histories."""

    def __init__(self, items: int, width: int, places: int, blocks: int, heads: int, dropout: float) -> None:
        """Draw all weights; vectors of items and places have a length of about 1."""
        super().__init__()
        self.items, self.places = nn.Embedding(items, width), nn.Embedding(places, width)
        for table in (self.items, self.places):
            nn.init.normal_(table.weight, std=width**-0.5)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList([Block(width, heads, dropout) for _ in range(blocks)])
        self.norm = nn.LayerNorm(width)

    def forward(self, numbers: Tensor) -> Tensor:
        """(batch, places) item numbers, negative ones at padding -> (batch, places, width)."""
        places = torch.arange(numbers.shape[1], device=numbers.device)
        x = self.items(numbers.clamp(min=0)) * self.items.embedding_dim**0.5 + self.places(places)
        x = self.dropout(x)
        for block in self.blocks:
            x = block(x)
        return self.norm(x)


class HistoryNetwork(Backbone):
    """The network as the training loop sees it: one stage, whose features are the vectors of all places."""

    module: SelfAttention
    modality = "interactions"
    name = origin = NAME
    licence = NO_LICENCE

    def __init__(self, sizes: Mapping[str, Any], seed: int) -> None:
        """Draw the weights of a `SelfAttention` of these sizes."""
        self.sizes = dict(sizes)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed % 2**63)
            self.module = SelfAttention(**self.sizes)
        self.width = int(self.sizes["width"])
        names = tuple(name for name, _ in self.module.named_parameters())
        self.stages = (Stage("history", names, modules=tuple(name for name, _ in self.module.named_children())),)

    def prepare(self, raws: Sequence[np.ndarray]) -> State:
        """Pad the item numbers of histories."""
        numbers = collated(np.fromiter(raws, object, len(raws)))
        return State(numbers, {LENGTH_MASK: (numbers >= 0).long()})

    def preparation(self) -> Mapping[str, Any]:
        """Histories come cut."""
        return {"places": self.sizes["places"]}

    def segment(self, start: int, stop: int, taps: Sequence[Tap] = ()) -> nn.Module:  # noqa: ARG002
        """All of it."""
        return nn.Identity() if start == stop else _Places(self.module)

    def features(self, state: State) -> Features:
        """Vectors of all places, and pooled that of the last one."""
        mask = state.context[LENGTH_MASK]
        last = (mask.sum(dim=1) - 1).clamp(min=0)
        return Features(state.hidden[torch.arange(len(last), device=last.device), last], state.hidden, mask)

    def length(self, raw: np.ndarray) -> int:
        """Items."""
        return len(raw)

    def describe(self) -> dict[str, Any]:
        """Its sizes."""
        return {"plugin": NAME, "settings": self.sizes}

    def fresh(self, seed: int) -> Backbone:
        """The same sizes, drawn anew."""
        return HistoryNetwork(self.sizes, seed)


class _Places(nn.Module):
    """States of item numbers to states of vectors."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, state: State) -> State:
        return State(self.network(state.hidden), state.context)
