"""A small network for texts: embeddings of tokens, each with what a convolution over its neighbours adds to it.

With the mean over tokens as its pooling it is a bag of words that knows pairs of words (as Joulin et al. 2017), and the
convolution makes it tell tokens apart by what stands beside them (as Kim 2014). It learns in seconds from little data.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

WIDTH = 64
TYPES = 2
"""Parts of an input that token types tell apart: the first and the second text of a pair."""
SPREAD = 0.05
"""Standard deviation of an embedding before training: small, so that what was never learnt says next to nothing."""
REACH = 3
"""Tokens that the convolution sees at once."""


class SmallTextNet(nn.Module):
    """Maps token numbers (batch, length) to vectors (batch, length, 64)."""

    def __init__(self, vocabulary: int) -> None:
        """Draw the weights; `vocabulary` is the number of tokens."""
        super().__init__()
        self.tokens, self.types = nn.Embedding(vocabulary, WIDTH), nn.Embedding(TYPES, WIDTH)
        for table in (self.tokens, self.types):
            nn.init.normal_(table.weight, std=SPREAD)
        self.near = nn.Conv1d(WIDTH, WIDTH, REACH, padding=REACH // 2)
        self.dropout = nn.Dropout(0.5)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None) -> tuple[Tensor]:
        """Read a batch whose padding has the mask 0."""
        real = attention_mask.unsqueeze(-1).to(self.tokens.weight.dtype)
        words = self.tokens(input_ids)
        if token_type_ids is not None:
            words = words + self.types(token_type_ids.clamp(max=TYPES - 1))
        words = self.dropout(words) * real
        near = self.near(words.transpose(1, 2)).transpose(1, 2)
        return ((words + torch.relu(near)) * real,)


def small_text_net(vocabulary: int, seed: int) -> nn.Module:
    """The network with random weights, the same for the same seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return SmallTextNet(vocabulary).eval()
