"""From pixels to what a network takes: the first step of a frozen graph, so that pictures come to it as bytes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from headstart.contracts.carriers import State


class Normalise(nn.Module):
    """`State` of uint8 (batch, height, width, channels) -> normalised float32 (batch, channels, height, width)."""

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        """Mean and standard deviation per channel, for pixels in [0, 1]."""
        super().__init__()
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1), persistent=False)

    def forward(self, state: State) -> State:
        """Return the result of torchvision's ToTensor and Normalize, bit for bit."""
        pixels = state.hidden.permute(0, 3, 1, 2).float() / 255
        return State((pixels - self.mean) / self.std, state.context, state.taps)
