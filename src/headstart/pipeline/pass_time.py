"""What the frozen pass says of time: whether it alone would exceed the budget, and what an input takes in training.

Both come from the short measurement by which its runner was chosen; where the runner was named, from a few inputs read
and run in plain PyTorch.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from headstart.contracts.backbone import Backbone
from headstart.engine.device import pick_device, run_halving
from headstart.engine.frozen.choose_runner import choose_runner
from headstart.engine.frozen.execution import plain_runner
from headstart.engine.frozen.feature_spec import FeatureSpec, FrozenSegment
from headstart.engine.frozen.feeding import Fed, feed
from headstart.engine.frozen.pass_key import pass_key
from headstart.engine.frozen.pass_space import not_stored, space_of_pass
from headstart.engine.store.feature_store import FeatureStore
from headstart.kernel.progress import Reporter
from headstart.pipeline.budget import TimeBudget
from headstart.pipeline.context import FitContext
from headstart.pipeline.pick_runner import pick_runner
from headstart.pipeline.plan import AUTO, Plan
from headstart.pipeline.prepare import Prepared
from headstart.pipeline.record import Decision

FASTER = 4.0
"""A runner that was not measured is taken to be at most so many times as fast as plain PyTorch."""

MEASURED = 8
"""Inputs that are read and run where the choice of a runner has measured none."""


class Speed(NamedTuple):
    """Seconds that an input takes forwards through the whole backbone; 0 where that is not known."""

    plain: float = 0.0
    """In plain PyTorch, in which training goes."""
    runner: float = 0.0
    """On the runner of the frozen pass."""


def speed(context: FitContext) -> Speed:
    """How fast the backbone is; to be asked before anything trains on it."""
    read, features = context.read, context.features
    if context.plan.runner == AUTO:
        choice = choose_runner(context.backbone, read.examples, read.keys, features.spec, pick_device())
        if choice.plain_each:
            return Speed(choice.plain_each, choice.seconds_each)
    plain = _plain_seconds(context.backbone, features.spec, some_inputs(read, context.backbone, features.rows))
    return Speed(plain, features.seconds["runner"] / features.computed if features.computed else plain)


def too_long_a_pass(
    read: Prepared,
    backbone: Backbone,
    spec: FeatureSpec,
    plan: Plan,
    store: FeatureStore,
    time_budget: TimeBudget,
    reporter: Reporter,
) -> Decision | None:
    """What is to be known where the pass takes longer than what is left; it is said at once.

    The estimate is what an input takes to be read, or on the runner if that is slower, times the inputs that are not
    stored yet. None where the pass fits.
    """
    if time_budget.seconds is None:
        return None
    runner, _ = pick_runner(backbone, read.examples, read.keys, spec, plan)
    rows = np.array([row for row, key in enumerate(read.keys) if key is not None], np.int64)
    space = space_of_pass(pass_key(backbone, spec), backbone.name, runner, store)
    missing = rows[not_stored(space, [read.keys[row] for row in rows], np.arange(len(rows)))[0]]
    if not len(missing):
        return None
    fed = some_inputs(read, backbone, missing)
    if plan.runner == AUTO:
        running = choose_runner(backbone, read.examples, read.keys, spec, pick_device()).seconds_each
    else:
        running = _plain_seconds(backbone, spec, fed) / (1.0 if runner.plain else FASTER)
    reading = _each(sum(batch.seconds for batch in fed), fed)
    seconds, left = len(missing) * max(reading, running), time_budget.left()
    if seconds <= left:
        return None
    outcome = "the model will be the probe" if plan.tuning == AUTO else "nothing will be left to train in"
    reason = (
        f"the frozen pass over {len(missing)} inputs alone takes at least {seconds:.0f} s, and {left:.0f} s of the "
        f"budget are left: {outcome}. Allow more time, or choose a smaller backbone"
    )
    reporter.say(f"Warning: {reason}.")
    return Decision(what="budget", value="exceeded by the frozen pass", reason=reason)


def some_inputs(read: Prepared, backbone: Backbone, rows: np.ndarray) -> list[Fed]:
    """A few of the rows from all over the data, read as the pass reads them: the batches that could be."""
    some = rows[np.unique(np.linspace(0, len(rows) - 1, MEASURED).astype(np.int64))]
    return [batch for batch in feed(backbone, read.examples, some, MEASURED) if batch.state is not None]


def _each(seconds: float, fed: Sequence[Fed]) -> float:
    """For one input of the batches; 0 where there are none."""
    return seconds / max(1, sum(len(batch.rows) for batch in fed))


def _plain_seconds(backbone: Backbone, spec: FeatureSpec, fed: Sequence[Fed]) -> float:
    """What one of these inputs takes in plain PyTorch; 0 where there are none."""
    states = [batch.state for batch in fed if batch.state is not None]
    if not states:
        return 0.0
    execute = plain_runner().start(FrozenSegment(backbone, spec), states[0], pick_device())
    run_halving(execute, states[0])  # warms up
    began = time.monotonic()
    for state in states:
        run_halving(execute, state)
    return _each(time.monotonic() - began, fed)
