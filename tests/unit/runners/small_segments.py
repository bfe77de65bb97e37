"""Small segments: pictures through convolutions, and token numbers through attention that leaves padding out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from headstart.contracts.carriers import LENGTH_MASK, State

CPU = torch.device("cpu")
LONGEST = 20


class Pictures(nn.Module):
    """(batch, 3, 16, 16) -> pooled (batch, 8), with the map as a tap."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.layers = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.GELU(), nn.Conv2d(8, 8, 3))

    def forward(self, state: State) -> State:
        found: Tensor = self.layers(state.hidden)
        return State(found.mean(dim=(2, 3)), state.context, {"end.map": found})


class Texts(nn.Module):
    """Token numbers (batch, length) -> pooled (batch, 8) and tokens; the mask is handed through. 20 positions."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.words, self.places = nn.Embedding(50, 8), nn.Embedding(LONGEST, 8)
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.register_buffer("numbers", torch.arange(LONGEST)[None])

    def forward(self, state: State) -> State:
        mask = state.context[LENGTH_MASK]
        hidden = self.words(state.hidden) + self.places(self.numbers[:, : state.hidden.shape[1]])
        seen, _ = self.attention(hidden, hidden, hidden, key_padding_mask=mask == 0, need_weights=False)
        shown = mask.unsqueeze(-1)
        pooled = (seen * shown).sum(dim=1) / shown.sum(dim=1)
        return State(pooled, {LENGTH_MASK: mask, "tokens": seen * shown})


def pictures(count: int, seed: int = 0) -> State:
    return State(torch.randn(count, 3, 16, 16, generator=torch.Generator().manual_seed(seed)))


def texts(*lengths: int) -> State:
    """Texts of so many tokens, padded on the right."""
    draws = torch.Generator().manual_seed(len(lengths))
    mask = (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long()
    return State(torch.randint(0, 50, mask.shape, generator=draws), {LENGTH_MASK: mask})


def plain(segment: nn.Module, state: State) -> State:
    """What the segment gives in plain PyTorch."""
    with torch.no_grad():
        result: State = segment.eval()(state)
    return result


def far(found: State, expected: State) -> float:
    """The largest relative error of any tensor; the two must have the same ones, of the same shapes."""
    ours, others = found.tensors(), expected.tensors()
    assert {name: value.shape for name, value in ours.items()} == {name: value.shape for name, value in others.items()}
    return max(float((ours[name] - value).float().norm() / value.float().norm()) for name, value in others.items())
