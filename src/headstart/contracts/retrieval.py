"""Retrieval beside a decoder: a memory of decoder states, each with the token that followed it, asked at every step.

k-nearest-neighbour machine translation (kNN-MT; Khandelwal et al. 2021, "Nearest neighbor machine translation"): with
the k nearest of the states of memory h_i to the decoder's state h, their tokens v_i and squared distances d_i,

    p(y) = (1 - w) p_model(y) + w sum_i [v_i = y] exp(-d_i / T) / sum_i exp(-d_i / T).
"""

from __future__ import annotations

from typing import Any, Protocol, Self, runtime_checkable

import torch
from pydantic import Field
from torch import Tensor, nn

from headstart.contracts.features import Features
from headstart.contracts.generation import Decoder, DecoderHead
from headstart.contracts.task import BoundTask, Tensors
from headstart.kernel.settings import Settings


class Memory(Settings):
    """Size of a memory, and how its answers are weighed."""

    entries: int = Field(ge=1)
    """States in it; >= 1."""
    width: int = Field(ge=1)
    """Of a state; >= 1."""
    neighbours: int = Field(ge=1)
    """Nearest states that answer; >= 1."""
    temperature: float = Field(gt=0)
    """Of their weights, in squared distances; > 0."""
    weight: float = Field(ge=0, lt=1)
    """Share of their answer in each token's probability; in [0, 1)."""


class MemoryHead(DecoderHead):
    """A decoder with a memory, which is saved with the model."""

    def __init__(self, decoder: Decoder, memory: Memory) -> None:
        """An empty memory of that size, to be filled by `fill` or from a saved model."""
        super().__init__(decoder)
        self.memory = memory
        self.register_buffer("states", torch.zeros(memory.entries, memory.width, dtype=torch.float16))
        self.register_buffer("tokens", torch.zeros(memory.entries, dtype=torch.int32))

    def fill(self, states: Tensor, tokens: Tensor) -> Self:
        """Take states (entries, width) and tokens (entries,)."""
        self.get_buffer("states").copy_(states)
        self.get_buffer("tokens").copy_(tokens)
        return self

    def __deepcopy__(self, memo: Any) -> Self:
        """Another head of the same live decoder with a memory of its own."""
        return type(self)(self.decoder, self.memory).fill(self.get_buffer("states"), self.get_buffer("tokens"))

    def mixed(self, states: Tensor, scores: Tensor) -> Tensor:
        """Mix the memory's answer into the scores (rows, vocabulary) of a step, by its states (rows, width)."""
        known, after = self.get_buffer("states"), self.get_buffer("tokens")
        distances, tokens = nearest(states, known, after, self.memory.neighbours)
        answer = torch.zeros_like(scores, dtype=torch.float32)
        answer.scatter_add_(1, tokens, (-distances / self.memory.temperature).softmax(dim=1))
        own = scores.float().softmax(dim=1)
        return ((1 - self.memory.weight) * own + self.memory.weight * answer).log().to(scores.dtype)


def nearest(asked: Tensor, states: Tensor, tokens: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Squared distances (rows, count) to the nearest states, the nearest first, and their tokens (rows, count) int64.

    Args:
        asked: (rows, width). states: (entries, width). tokens: (entries,).
        count: how many, or all where there are fewer.
    """
    known, wanted = states.float(), asked.float()
    distances = known.square().sum(dim=1) - 2 * wanted @ known.T
    found, rows = distances.topk(min(count, len(known)), dim=1, largest=False)
    return (found + wanted.square().sum(dim=1, keepdim=True)).clamp(min=0), tokens[rows].long()


@runtime_checkable
class Remembers(Protocol):
    """A bound task whose decoder may have a memory."""

    def entries(self, head: nn.Module, features: Features, inputs: Tensors) -> tuple[Tensor, Tensor, Tensor]:
        """Return states (tokens, width), tokens (tokens,) and log probabilities (tokens,) of the texts of a batch."""
        ...

    def with_memory(self, memory: Memory | None) -> BoundTask:
        """Return the task whose head has such a memory, or none."""
        ...
