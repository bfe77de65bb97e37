"""Estimates of time: a frozen pass beside the budget, an input in training, and the predictions after a training.

The first two come from the short measurement by which a runner was chosen; where the runner was named, from a few
inputs read and run in plain PyTorch.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from torch.utils.flop_counter import FlopCounterMode

from headstart.contracts.backbone import Backbone
from headstart.contracts.examples import Examples
from headstart.contracts.model import Model
from headstart.engine.device import pick_device, run_halving
from headstart.engine.frozen.execution import plain_runner
from headstart.engine.frozen.feature_spec import FeatureSpec, FrozenSegment
from headstart.engine.frozen.feeding import Fed, feed
from headstart.engine.frozen.infer import Predictor
from headstart.engine.frozen.pairs import passing
from headstart.engine.frozen.pass_key import pass_key
from headstart.engine.frozen.pass_space import not_stored, space_of_pass
from headstart.engine.frozen.runner_choice import Choice
from headstart.engine.store.feature_store import FeatureStore
from headstart.kernel.progress import Reporter
from headstart.pipeline.budget import Budget
from headstart.pipeline.context import FitContext
from headstart.pipeline.embed import choice_of_runner
from headstart.pipeline.prepare import Prepared
from headstart.pipeline.record import Decision

FASTER = 4.0
"""A runner that was not measured is taken to be at most so many times as fast as plain PyTorch."""

MEASURED = 8
"""Inputs that are read and run where the choice of a runner has measured none."""

TIMED = 8
"""Examples by which the time of predictions is estimated."""


class Speed(NamedTuple):
    """Seconds that an input takes forwards through the whole backbone; 0 where that is not known."""

    plain: float = 0.0
    """In plain PyTorch, in which training goes."""
    runner: float = 0.0
    """On the runner of the frozen pass."""


def speed(context: FitContext) -> Speed:
    """Measure the speed of the backbone, before anything trains on it."""
    read, features = context.read, context.features
    named, work = context.named_runner, context.work
    choice = choice_of_runner(context.backbone, read.examples, read.keys, features.spec, named, work)
    if choice.plain_each:
        inputs = 1 if context.backbone.alone() is None else 2
        return Speed(inputs * choice.plain_each, inputs * choice.seconds_each)
    plain = _plain_seconds(context.backbone, features.spec, some_inputs(read.examples, context.backbone, features.rows))
    return Speed(plain, features.seconds["runner"] / features.computed if features.computed else plain)


def too_long_a_pass(
    read: Prepared,
    backbone: Backbone,
    spec: FeatureSpec,
    choice: Choice,
    store: FeatureStore,
    budget: Budget,
    reporter: Reporter | None = None,
    *,
    searched: bool,
) -> Decision | None:
    """Return a warning where the pass takes longer than the time that is left.

    The estimate is what an input takes to be read, or on the runner of `choice` if that is slower, times the inputs
    that are not stored yet. None where the pass fits. `searched` says whether a search follows.
    """
    if budget.seconds is None:
        return None
    backbone, examples, keys, _ = passing(backbone, read.examples, read.keys)
    rows = np.array([row for row, key in enumerate(keys) if key is not None], np.int64)
    key, by_use = pass_key(backbone, spec), choice.by_use
    space = space_of_pass(key, backbone.name, choice.runner, store, reporter, by_use=by_use)
    missing = rows[not_stored(space, [keys[row] for row in rows], np.arange(len(rows)))[0]]
    if not len(missing):
        return None
    fed = some_inputs(examples, backbone, missing)
    factor = 1.0 if choice.runner.plain else FASTER
    running = choice.seconds_each or _plain_seconds(backbone, spec, fed) / factor
    reading = _each(sum(batch.seconds for batch in fed), fed)
    seconds, left = len(missing) * max(reading, running), budget.left()
    if seconds <= left:
        return None
    outcome = "the model will be the probe" if searched else "nothing will be left to train in"
    reason = (
        f"the frozen pass over {len(missing)} inputs alone takes at least {seconds:.0f} s, and {left:.0f} s of the "
        f"budget are left: {outcome}. Allow more time, or choose a smaller backbone"
    )
    return Decision(what="budget", value="exceeded by the frozen pass", reason=reason)


def seconds_after(context: FitContext, model: Model, views: int, now: Callable[[], float] = time.monotonic) -> float:
    """About how long the predictions of the validation part take that follow a training of `model`.

    They calibrate it where examples are cut into windows, and compare averages over `views` views where there are some.
    """
    times = (context.windows is not None) + (views + 2 if views else 0)
    if not times:
        return 0.0
    rows, predictor = context.data.split.val, Predictor(model)
    predictor(context.data.examples.take(rows[:1]))
    began = now()
    predictor(context.data.examples.take(rows[:TIMED]))
    return times * (now() - began) * len(rows) / min(TIMED, len(rows))


def operations_each(backbone: Backbone, examples: Examples, rows: np.ndarray) -> float:
    """Floating-point operations of a forward pass through the whole backbone, for one input; 0 where none is read."""
    fed = some_inputs(examples, backbone, rows)
    states = [batch.state for batch in fed if batch.state is not None]
    if not states:
        return 0.0
    execute = plain_runner().start(FrozenSegment(backbone, FeatureSpec()), states[0], pick_device())
    with FlopCounterMode(display=False) as counter:
        for state in states:
            run_halving(execute, state)
    return float(counter.get_total_flops()) / sum(len(batch.rows) for batch in fed)


def some_inputs(examples: Examples, backbone: Backbone, rows: np.ndarray) -> list[Fed]:
    """A few of the rows from all over the examples, read as the pass reads them: the batches that could be."""
    some = rows[np.unique(np.linspace(0, len(rows) - 1, MEASURED).astype(np.int64))]
    return [batch for batch in feed(backbone, examples, some, MEASURED) if batch.state is not None]


def _each(seconds: float, fed: Sequence[Fed]) -> float:
    """For one input of the batches; 0 where there are none."""
    return seconds / max(1, sum(len(batch.rows) for batch in fed))


def _plain_seconds(backbone: Backbone, spec: FeatureSpec, fed: Sequence[Fed]) -> float:
    """Seconds that one of these inputs takes in plain PyTorch; 0 where there are none."""
    states = [batch.state for batch in fed if batch.state is not None]
    if not states:
        return 0.0
    execute = plain_runner().start(FrozenSegment(backbone, spec), states[0], pick_device())
    run_halving(execute, states[0])  # warms up
    began = time.monotonic()
    for state in states:
        run_halving(execute, state)
    return _each(time.monotonic() - began, fed)
