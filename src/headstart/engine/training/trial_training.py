"""A rehearsal: a short training with a schedule of its own, from which nothing stays but what it showed.

It says how long a step and a validation take, and what a learning rate does to the validation loss. Weights, optimiser
and BatchNorm statistics are as before when it is over.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch

from headstart.contracts.carriers import Batch
from headstart.contracts.tuning import Rate, Recipe
from headstart.engine.training.loop import Loop
from headstart.engine.training.optimiser import plan_optimiser
from headstart.engine.training.step_batches import step_batches
from headstart.engine.training.stepping import Moment
from headstart.kernel.errors import TrainingError


@dataclass(frozen=True)
class TrialTraining:
    """Result of a short training."""

    step: float
    """Seconds of a step with its batch: the median, the first one left out, for it warms up."""
    validation: float
    """Seconds of a pass over the loop's validation stream; 0 where none was made."""
    losses: np.ndarray | None
    """(batches,) validation losses afterwards; None where the training failed."""
    failure: str = ""
    """Why it failed: it diverged, or the memory is too small for one example."""


def train_briefly(
    loop: Loop, steps: int, *, peaks: Sequence[float] | None = None, now: Callable[[], float] = time.monotonic
) -> TrialTraining:
    """Make some steps with everything moving that ever does, validate, and undo it all.

    Args:
        loop: one that has not run. steps: how many; >= 1. Over them the rate rises and falls as the recipe has it.
        peaks: the rates of the optimiser's groups, such as `peaks_of` gives; without them the training's own.
        now: the clock.
    """
    times: list[float] = []
    with _undone(loop), torch.random.fork_rng(), loop.noise.on(), _at(loop.optimiser, peaks):
        first = loop.plan.all_move()
        loop.train_mode(first)
        began = now()
        try:
            for number, batches in enumerate(_batches(loop, steps)):
                loop.stepper(batches, Moment(0, number, first + (1 - first) * number / steps))
                times.append(now() - began)
                began = now()
            losses = loop.validation.losses()
        except TrainingError as error:
            return TrialTraining(_usual(times), 0.0, None, str(error))
        seconds = now() - began
    if not np.isfinite(losses).all():
        return TrialTraining(_usual(times), seconds, None, "the validation loss is not finite")
    return TrialTraining(_usual(times), seconds, losses)


def peaks_of(loop: Loop, recipe: Recipe, rates: Sequence[Rate]) -> list[float]:
    """The rates that the groups of the loop's optimiser would have by another recipe, whose `rates` are given."""
    twin = plan_optimiser(loop.model.backbone, loop.others, rates, recipe)
    return [group["peak"] for group in twin.param_groups]


@contextmanager
def _undone(loop: Loop) -> Iterator[None]:
    before = loop.weights.copy()
    try:
        yield
    finally:
        loop.optimiser.state.clear()
        loop.optimiser.zero_grad(set_to_none=True)
        loop.weights.load(before)


@contextmanager
def _at(optimiser: torch.optim.Optimizer, peaks: Sequence[float] | None) -> Iterator[None]:
    before = [group["peak"] for group in optimiser.param_groups]
    _set_peaks(optimiser, before if peaks is None else peaks)
    try:
        yield
    finally:
        _set_peaks(optimiser, before)


def _set_peaks(optimiser: torch.optim.Optimizer, peaks: Sequence[float]) -> None:
    for group, peak in zip(optimiser.param_groups, peaks, strict=True):
        group["peak"] = peak


def _batches(loop: Loop, steps: int) -> Iterator[Mapping[str, Batch]]:
    """Those of the first steps, over as many epochs as it takes."""
    for epoch in range(-(-steps // loop.steps)):
        yield from step_batches(loop.streams, epoch, range(min(loop.steps, steps - epoch * loop.steps)), loop.processes)


def _usual(times: list[float]) -> float:
    return float(np.median(times[1:] or times or [0.0]))
