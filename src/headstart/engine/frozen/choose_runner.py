"""Which runner a frozen pass takes: the fastest, by a short measurement on its own inputs, of those that are right.

A runner is tried where setting it up costs little beside the pass as it would be without it. The answer is kept by
weights, preprocessing, machine and versions, so that the same pass is not measured twice and finds its stored features.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch

from headstart.contracts.backbone import Backbone
from headstart.contracts.carriers import State
from headstart.contracts.examples import Examples
from headstart.contracts.runner import CannotRun, Execute, Runner
from headstart.engine.allocator import keep_blocks
from headstart.engine.device import run_halving, usual_batch_size
from headstart.engine.frozen.disk_cache import DiskCache
from headstart.engine.frozen.execution import TOO_COARSE, Differs, described, here, plain_runner, started
from headstart.engine.frozen.feature_spec import FeatureSpec, FrozenSegment
from headstart.engine.frozen.feeding import feed, lengths_of
from headstart.engine.frozen.pass_key import pass_key
from headstart.engine.frozen.reference_result import ReferenceResult
from headstart.engine.frozen.work_locks import work_lock
from headstart.kernel import registry
from headstart.kernel.errors import HeadstartError, first_line
from headstart.kernel.files import hash_json
from headstart.kernel.user_settings import build

WORTH = 0.5
"""A runner is tried when setting it up takes less than this share of the pass with the best one so far: it pays at once
where it is twice as fast, and later passes find it set up."""

SHARE, FEWEST = 32, 8
"""At most so great a part of the inputs is measured with, but never fewer than so many of them."""

MEMO = "runners-2"

KEPT = ("reason", "most_inputs", "seconds_each", "plain_each")
"""Of a choice, beside its runner."""


@dataclass(frozen=True)
class Choice:
    """A runner and why it was taken."""

    runner: Runner
    reason: str
    most_inputs: float = math.inf
    """It holds up to so many: for more, setting up a runner that was not tried would be worth it."""
    seconds_each: float = 0.0
    """What an input takes on it, its preparation apart; 0 where that is not known."""
    plain_each: float = 0.0
    """The same in plain PyTorch, in which training goes."""


@dataclass(frozen=True)
class _Best:
    runner: Runner
    seconds: float
    """For the whole pass."""


def choose_runner(
    backbone: Backbone,
    examples: Examples,
    keys: Sequence[str | None],
    spec: FeatureSpec,
    device: torch.device,
) -> Choice:
    """The runner for a pass over `examples` whose inputs have the given content keys (None: unreadable)."""
    rows = np.array([row for row, key in enumerate(keys) if key is not None], np.int64)
    name = hash_json(pass_key(backbone, spec))
    disk_cache, entry = DiskCache(MEMO), hash_json([name, here(device)]).encode()
    known = _known(disk_cache.get([entry]).get(entry), len(rows))
    if known is not None:
        return known
    with work_lock(MEMO):  # measurements would slow each other down
        known = _known(disk_cache.get([entry]).get(entry), len(rows))
        if known is not None:
            return known
        keep_blocks()
        state = _sample(backbone, examples, rows, usual_batch_size(device))
        if state is None:
            return Choice(plain_runner(), "no input could be read to measure others with")
        choice = _Trial(FrozenSegment(backbone, spec), name, state, device, len(rows)).choose()
        kept = {name: getattr(choice, name) for name in KEPT}
        disk_cache.put({entry: json.dumps({**described(choice.runner), **kept}).encode()})
        return choice


def _known(kept: bytes | None, inputs: int) -> Choice | None:
    """An earlier choice that still holds."""
    if kept is None:
        return None
    try:
        found: dict[str, Any] = json.loads(kept)
        runner = build(registry.plugin("runners", found["plugin"]), found["settings"], where="runner")
        choice = Choice(runner, **{name: found[name] for name in KEPT})
    except (ValueError, KeyError, HeadstartError):  # of another version
        return None
    return choice if inputs <= choice.most_inputs else None


def _sample(backbone: Backbone, examples: Examples, rows: np.ndarray, most: int) -> State | None:
    """A batch of inputs of usual length from all over the data; a small one where it would cost much beside them."""
    size = min(len(rows), most, max(FEWEST, len(rows) // SHARE))
    seen = rows[np.linspace(0, len(rows) - 1, min(len(rows), 2 * size)).astype(np.int64)]
    middle = (len(seen) - size) // 2
    usual = np.argsort(lengths_of(backbone, examples, seen), kind="stable")[middle : middle + size]
    fed = feed(backbone, examples, seen[np.sort(usual)], most)
    return next((batch.state for batch in fed if batch.state is not None), None)


class _Trial:
    """One short measurement."""

    def __init__(self, segment: FrozenSegment, key: str, state: State, device: torch.device, inputs: int) -> None:
        self.segment, self.key = segment, key
        self.state, self.device = state, device
        self.inputs = inputs

    def choose(self) -> Choice:
        """The fastest of those that are worth trying and right."""
        plain = plain_runner()
        running = plain.start(self.segment, self.state, self.device)
        reference = ReferenceResult(running, self.state)
        best = slowest = _Best(plain, self._seconds(running, reference))
        refused: list[str] = []
        coarse: set[str] = set()
        left_out: list[float] = []
        for variants in self._others():
            for runner in variants:
                if runner.precision in coarse:
                    continue
                setup = runner.setup_seconds(self.device)
                if setup > WORTH * best.seconds:
                    left_out.append(setup)
                    break
                try:
                    found = self._seconds(started(runner, self.segment, self.state, self.device, self.key, reference))
                except (CannotRun, RuntimeError) as error:  # what was right once may fail on this machine today
                    refused.append(f"{_named(runner)}: {first_line(error)}")
                    if isinstance(error, Differs) and error.far > TOO_COARSE and runner.precision != plain.precision:
                        coarse.add(runner.precision)
                    continue
                if found < best.seconds:
                    best = _Best(runner, found)
                break
        holds = self.inputs * min(left_out, default=math.inf) / max(WORTH * best.seconds, 1e-9)
        reason = "; ".join([self._reason(best, slowest), *refused])
        return Choice(best.runner, reason, holds, best.seconds / self.inputs, slowest.seconds / self.inputs)

    def _others(self) -> list[Sequence[Runner]]:
        """The variants of every runner that is not plain PyTorch; what is set up soonest first."""
        kinds = [registry.plugin("runners", name) for name in registry.names("runners")]
        found: list[Sequence[Runner]] = [kind.variants(self.device) for kind in kinds if not kind.plain]
        return sorted(filter(None, found), key=lambda variants: variants[0].setup_seconds(self.device))

    def _seconds(self, execute: Execute, reference: ReferenceResult | None = None) -> float:
        """For the whole pass, from as many batches as keep the device busy, after the same once unmeasured."""
        with ThreadPoolExecutor(execute.at_once) as pool:
            for _ in range(2):
                began = time.perf_counter()
                found = [*pool.map(lambda _: run_halving(execute, self.state), range(execute.at_once))]
                took = time.perf_counter() - began
        if reference is not None:
            reference.saw(found[0])
        return took / execute.at_once / len(self.state.hidden) * self.inputs

    def _reason(self, best: _Best, plain: _Best) -> str:
        if best is plain:
            seconds = f"about {plain.seconds:.0f} s" if plain.seconds >= 1 else "less than a second"
            return f"the pass takes {seconds} in plain PyTorch, and nothing tried was faster"
        times = plain.seconds / best.seconds
        return f"{times:.1f} times as fast as plain PyTorch on {len(self.state.hidden)} of the inputs"


def _named(runner: Runner) -> str:
    return f"{registry.name_of(cast(Any, runner))} in {runner.precision}"
