"""Seconds of an optimiser step, from a few of which nothing stays: weights and statistics are as before."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch

from headstart.contracts.carriers import Batch
from headstart.engine.training.loop import Loop
from headstart.engine.training.step_batches import step_batches
from headstart.engine.training.stepping import Moment


def seconds_per_step(loop: Loop, steps: int, *, now: Callable[[], float] = time.monotonic) -> float:
    """Make some steps with everything moving that ever does, and undo them.

    Args:
        loop: one that has not run. steps: number of them; >= 1. now: the clock.

    Returns:
        The median, batch included; the first step is left out, for it warms up.

    Raises:
        TrainingError: the training diverges, or the memory is too small for one example.
    """
    times: list[float] = []
    with _undone(loop), torch.random.fork_rng(), loop.noise.on():
        first = loop.plan.all_move()
        loop.train_mode(first)
        began = now()
        for number, batches in enumerate(_batches(loop, steps)):
            loop.stepper(batches, Moment(0, number, first + (1 - first) * number / steps))
            times.append(now() - began)
            began = now()
    return float(np.median(times[1:] or times))


@contextmanager
def _undone(loop: Loop) -> Iterator[None]:
    before = loop.weights.copy()
    try:
        yield
    finally:
        loop.optimiser.state.clear()
        loop.optimiser.zero_grad(set_to_none=True)
        loop.weights.load(before)


def _batches(loop: Loop, steps: int) -> Iterator[Mapping[str, Batch]]:
    """Those of the first steps, over as many epochs as it takes."""
    for epoch in range(-(-steps // loop.steps)):
        yield from step_batches(loop.streams, epoch, range(min(loop.steps, steps - epoch * loop.steps)), loop.processes)
