"""Which learning rates are worth a candidate: short real trainings, each from the same start, judged on validation.

The usual finder (Smith 2017, "Cyclical learning rates for training neural networks") raises the rate step by step
within one run and reads the smoothed training loss. Of transformers it says about 1e-3 where 1e-5 is best: AdamW's
second moments are still empty, there is no warm-up, and the smoothed loss of a training batch goes on falling for some
steps while the pretrained weights are already being lost. Here every rate of a geometric grid has a run of its own,
with warm-up and decay, and what counts is the loss afterwards on examples it has not seen, beside its noise: rates that
no paired difference tells from the best are equally good, and the middle of that stretch is taken, being the furthest
from where it breaks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

NOISE = 2.0
"""Standard errors of the paired difference within which two rates are the same."""


@dataclass(frozen=True)
class Tried:
    """A rate and what a short training at it came to."""

    rate: float
    losses: np.ndarray | None
    """(batches,) validation losses afterwards, of the same batches for every rate; None where it diverged."""


@dataclass(frozen=True)
class Range:
    """Learning rates found by the short trainings."""

    rate: float
    """The one to train at."""
    low: float
    """The lowest rate that is as good as the best."""
    high: float
    """The highest one."""
    reason: str


def rate_range(tried: Sequence[Tried], start: np.ndarray) -> Range | None:
    """The stretch of rates that are as good as the best one, and its middle.

    Args:
        tried: at least one, at ascending rates.
        start: (batches,) validation losses before any training. A rate that ends above them is no good.

    Returns:
        None where every rate diverged or made it worse.
    """
    means = [_mean(one.losses, start) for one in tried]
    if not np.isfinite(means).any():
        return None
    best = int(np.argmin(means))
    reference = tried[best].losses
    good = [math.isfinite(mean) and _same(one.losses, reference) for one, mean in zip(tried, means)]
    first, last = _stretch(good, best)
    low, high = tried[first].rate, tried[last].rate
    rate = tried[_middle(first, last, best)].rate
    diverged = sum(one.losses is None for one in tried)
    reason = f"of {len(tried)} short trainings those at {low:.1e} to {high:.1e} end at the lowest validation loss"
    reason += f"; {diverged} diverged" if diverged else ""
    return Range(rate, low, high, reason)


def grid(centre: float, count: int, ratio: float = math.sqrt(10)) -> tuple[float, ...]:
    """`count` rates, ascending, each `ratio` times the one before; an odd count has the centre in its middle."""
    return tuple(centre * ratio ** (k - count // 2) for k in range(count))


def _mean(losses: np.ndarray | None, start: np.ndarray) -> float:
    """Infinite for a rate that is no good."""
    if losses is None or not np.isfinite(losses).all():
        return math.inf
    mean = float(losses.mean())
    return mean if mean < float(start.mean()) else math.inf


def _same(losses: np.ndarray | None, best: np.ndarray | None) -> bool:
    """Whether the mean of the paired differences is within the noise of it."""
    if losses is None or best is None:
        return False
    differences = losses - best
    if len(differences) < 2:
        return bool(differences.mean() <= 0)
    error = differences.std(ddof=1) / math.sqrt(len(differences))
    return bool(differences.mean() <= NOISE * error)


def _stretch(good: Sequence[bool], best: int) -> tuple[int, int]:
    """The first and the last of the good ones around the best without a gap."""
    first = last = best
    while first > 0 and good[first - 1]:
        first -= 1
    while last + 1 < len(good) and good[last + 1]:
        last += 1
    return first, last


def _middle(first: int, last: int, best: int) -> int:
    """Of two in the middle the one nearer to the best."""
    lower, upper = (first + last) // 2, (first + last + 1) // 2
    return lower if abs(lower - best) <= abs(upper - best) else upper
