"""The usual learning-rate finder misleads on a pretrained transformer, short real trainings do not."""

from __future__ import annotations

import copy
import math

import numpy as np
import torch
from torch import Tensor, nn

from headstart.search.rate_range import Tried, grid, rate_range

WORDS, LENGTH, WIDTH = 12, 8, 16


class Transformer(nn.Module):
    """Two small encoder layers and a classifier on the mean of their tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(WORDS, WIDTH)
        self.place = nn.Parameter(0.1 * torch.randn(LENGTH, WIDTH))
        layer = nn.TransformerEncoderLayer(WIDTH, 2, 2 * WIDTH, 0.0, batch_first=True)
        self.body = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(WIDTH, 2)

    def forward(self, words: Tensor) -> Tensor:
        return self.head(self.body(self.embed(words) + self.place).mean(1))


def sums(examples: int, seed: int, margin: int) -> tuple[Tensor, Tensor]:
    """Whether the first half of a row sums to more than the second half and a margin."""
    words = torch.randint(0, WORDS, (examples, LENGTH), generator=torch.Generator().manual_seed(seed))
    half = LENGTH // 2
    return words, (words[:, :half].sum(1) > words[:, half:].sum(1) + margin).long()


def trained(
    start: nn.Module, data: tuple[Tensor, Tensor], rate: float, steps: int, warmup: float, batch: int
) -> nn.Module:
    """A copy of `start` after AdamW with warm-up and cosine decay."""
    net, (words, truth) = copy.deepcopy(start), data
    optimiser = torch.optim.AdamW(net.parameters(), lr=0.0)
    draws = torch.Generator().manual_seed(0)
    for step in range(steps):
        done = step / steps
        share = done / warmup if done < warmup else 0.5 * (1 + math.cos(math.pi * (done - warmup) / (1 - warmup)))
        rows = torch.randint(0, len(words), (batch,), generator=draws)
        loss = nn.functional.cross_entropy(net(words[rows]), truth[rows])
        optimiser.param_groups[0]["lr"] = rate * share
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
    return net


def usual_finder(start: nn.Module, data: tuple[Tensor, Tensor]) -> float:
    """Smith 2017 as fastai has it: one run of rising rates, a tenth of the rate at the lowest smoothed loss."""
    net, (words, truth) = copy.deepcopy(start), data
    optimiser = torch.optim.AdamW(net.parameters(), lr=0.0)
    rates, smooth, found = np.geomspace(1e-6, 1.0, 100), 0.0, []
    for step, rate in enumerate(rates, start=1):
        optimiser.param_groups[0]["lr"] = float(rate)
        loss = nn.functional.cross_entropy(net(words), truth)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        smooth = 0.98 * smooth + 0.02 * loss.item()
        found.append(smooth / (1 - 0.98**step))
        if found[-1] > 4 * min(found):
            break
    return float(rates[int(np.argmin(found))] / 10)


def losses(net: nn.Module, data: tuple[Tensor, Tensor]) -> np.ndarray:
    """The mean loss of each of 16 batches."""
    with torch.no_grad():
        each = nn.functional.cross_entropy(net(data[0]), data[1], reduction="none")
    return each.numpy().reshape(16, -1).mean(axis=1)


def test_short_trainings_find_a_rate_that_serves_where_the_usual_finder_does_not() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        pretrained = trained(Transformer(), sums(2000, 1, margin=0), 3e-3, 400, 0.1, 64)
    few, unseen = sums(96, 3, margin=4), sums(256, 2, margin=4)
    tried = [Tried(rate, losses(trained(pretrained, few, rate, 24, 0.3, 16), unseen)) for rate in grid(1e-3, 7)]
    ours, theirs = rate_range(tried, losses(pretrained, unseen)), usual_finder(pretrained, few)
    assert ours is not None
    start, with_ours, with_theirs = (
        losses(net, unseen).mean()
        for net in (
            pretrained,
            trained(pretrained, few, ours.rate, 200, 0.1, 16),
            trained(pretrained, few, theirs, 200, 0.1, 16),
        )
    )
    assert theirs > 5 * ours.rate
    assert with_ours < start < with_theirs
