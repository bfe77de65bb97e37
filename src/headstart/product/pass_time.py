"""What the frozen pass says of time: whether it alone would exceed the budget, and what an input takes in training.

Both come from the short measurement by which its runner was chosen.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from headstart.contracts.backbone import Backbone
from headstart.engine.choose_runner import choose_runner
from headstart.engine.device import pick_device
from headstart.engine.feature_store import FeatureStore
from headstart.engine.kept import Wish
from headstart.engine.pass_key import pass_key
from headstart.engine.pass_space import not_stored, space_of_pass
from headstart.kernel.progress import Reporter
from headstart.product.allowance import Allowance
from headstart.product.bench import Bench
from headstart.product.plan import AUTO, Plan
from headstart.product.prepare import Prepared
from headstart.product.record import Decision

SLOWER = 4.0
"""Plain PyTorch is taken to be so much slower than a runner beside which it was not measured."""


class Speed(NamedTuple):
    """Seconds that an input takes forwards through the whole backbone; 0 where that is not known."""

    plain: float = 0.0
    """In plain PyTorch, in which training goes."""
    runner: float = 0.0
    """On the runner of the frozen pass."""


def speed(bench: Bench) -> Speed:
    """How fast the backbone is; to be asked before anything trains on it."""
    if bench.plan.runner == AUTO:
        read = bench.read
        choice = choose_runner(bench.backbone, read.examples, read.keys, bench.features.wish, pick_device())
        if choice.plain_each:
            return Speed(choice.plain_each, choice.seconds_each)
    features = bench.features
    runner = features.seconds["runner"] / features.computed if features.computed else 0.0
    return Speed(SLOWER * runner, runner)


def too_long_a_pass(
    read: Prepared,
    backbone: Backbone,
    wish: Wish,
    plan: Plan,
    store: FeatureStore,
    allowance: Allowance,
    reporter: Reporter,
) -> Decision | None:
    """What is to be known where the pass takes longer than what is left; it is said at once.

    The estimate is the speed at which the runner was chosen times the inputs that are not stored yet; reading them
    comes on top. None where the pass fits, or where the runner was named and not measured.
    """
    if allowance.seconds is None or plan.runner != AUTO:
        return None
    choice = choose_runner(backbone, read.examples, read.keys, wish, pick_device())
    known = [key for key in read.keys if key is not None]
    space = space_of_pass(pass_key(backbone, wish), backbone.name, choice.runner, store)
    inputs = len(not_stored(space, known, np.arange(len(known)))[0])
    seconds, left = inputs * choice.seconds_each, allowance.left()
    if seconds <= left:
        return None
    reason = (
        f"the frozen pass over {inputs} inputs alone takes at least {seconds:.0f} s, and {left:.0f} s of the budget "
        "are left: the model will be the probe. Allow more time, or choose a smaller backbone"
    )
    reporter.say(f"Warning: {reason}.")
    return Decision(what="budget", value="exceeded by the frozen pass", reason=reason)
