"""Which runner a frozen pass takes: the fastest, by a short measurement on its own inputs, of those that are right.

A runner is tried where setting it up costs little beside the pass as it would be without it. The answer is kept by
weights, preprocessing, machine and versions, so that the same pass is not measured twice and finds its stored features.
"""

from __future__ import annotations

import json
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
from headstart.engine.execution import described, here, plain_runner, started
from headstart.engine.feeding import feed
from headstart.engine.kept import KeptSegment, Wish
from headstart.engine.memo import Memo
from headstart.engine.pass_key import pass_key
from headstart.engine.turns import in_turn
from headstart.kernel import registry
from headstart.kernel.errors import HeadstartError
from headstart.kernel.files import hash_json
from headstart.kernel.settings import build

WORTH = 0.3
"""A runner is tried when setting it up takes less than this share of the pass with the best one so far."""

GROWN = 2.0
"""A choice made because there was little to run holds until there is so many times as much."""

MEMO = "runners-1"


@dataclass(frozen=True)
class Choice:
    """A runner and why it was taken."""

    runner: Runner
    reason: str


@dataclass(frozen=True)
class _Best:
    runner: Runner
    seconds: float
    """For the whole pass."""


def choose_runner(
    backbone: Backbone,
    examples: Examples,
    keys: Sequence[str | None],
    wish: Wish,
    device: torch.device,
) -> Choice:
    """The runner for a pass over `examples` whose inputs have the given content keys (None: unreadable)."""
    rows = np.array([row for row, key in enumerate(keys) if key is not None], np.int64)
    name = pass_key(backbone, wish)
    memo, entry = Memo(MEMO), hash_json([name, here(device)]).encode()
    with in_turn(MEMO):
        known = _known(memo.get([entry]).get(entry), len(rows))
        if known is not None:
            return known
        keep_blocks()
        state = _sample(backbone, examples, rows, usual_batch_size(device))
        if state is None:
            return Choice(plain_runner(), "no input could be read to measure others with")
        choice = _Trial(KeptSegment(backbone, wish), hash_json(name), state, device, len(rows)).choose()
        kept = {**described(choice.runner), "reason": choice.reason, "inputs": len(rows)}
        memo.put({entry: json.dumps(kept).encode()})
        return choice


def _known(kept: bytes | None, inputs: int) -> Choice | None:
    if kept is None:
        return None
    try:
        found: dict[str, Any] = json.loads(kept)
        runner = build(registry.plugin("runners", found["plugin"]), found["settings"], where="runner")
    except (ValueError, KeyError, HeadstartError):  # of another version
        return None
    if runner.plain and inputs > GROWN * found["inputs"]:
        return None
    return Choice(runner, found["reason"])


def _sample(backbone: Backbone, examples: Examples, rows: np.ndarray, size: int) -> State | None:
    """A batch of inputs from all over the data."""
    chosen = rows[np.linspace(0, len(rows) - 1, min(size, len(rows))).astype(np.int64)] if len(rows) else rows
    return next((fed.state for fed in feed(backbone, examples, np.unique(chosen), size) if fed.state is not None), None)


class _Trial:
    """One short measurement."""

    def __init__(self, segment: KeptSegment, key: str, state: State, device: torch.device, inputs: int) -> None:
        self.segment, self.key = segment, key
        self.state, self.device = state, device
        self.batches = inputs / len(state.hidden)

    def choose(self) -> Choice:
        """The fastest of those that are worth trying and right."""
        plain = plain_runner()
        best = slowest = _Best(plain, self._seconds(plain.start(self.segment, self.state, self.device)))
        refused: list[str] = []
        for kind in self._kinds():
            for runner in kind.variants(self.device):
                if runner.setup_seconds(self.device) > WORTH * best.seconds:
                    break
                try:
                    found = self._seconds(started(runner, self.segment, self.state, self.device, self.key))
                except CannotRun as error:
                    refused.append(f"{_named(runner)}: {error}")
                    continue
                if found < best.seconds:
                    best = _Best(runner, found)
                break
        return Choice(best.runner, "; ".join([self._reason(best, slowest), *refused]))

    def _kinds(self) -> list[Any]:
        """Every other runner, what is set up soonest first."""
        kinds = [registry.plugin("runners", name) for name in registry.names("runners")]
        others = [kind for kind in kinds if not kind.plain and kind.variants(self.device)]
        return sorted(others, key=lambda kind: cast(float, kind().setup_seconds(self.device)))

    def _seconds(self, execute: Execute) -> float:
        """For the whole pass, from as many batches as keep the device busy, after the same once unmeasured."""
        with ThreadPoolExecutor(execute.at_once) as pool:
            for _ in range(2):
                began = time.perf_counter()
                for _ in pool.map(lambda _: run_halving(execute, self.state), range(execute.at_once)):
                    pass
                took = time.perf_counter() - began
        return took / execute.at_once * self.batches

    def _reason(self, best: _Best, plain: _Best) -> str:
        if best is plain:
            return (
                f"the pass takes about {max(1.0, plain.seconds):.0f} s in plain PyTorch, and nothing tried was faster"
            )
        times = plain.seconds / best.seconds
        return f"{times:.1f} times as fast as plain PyTorch on {len(self.state.hidden)} of the inputs"


def _named(runner: Runner) -> str:
    return f"{registry.name_of(cast(Any, runner))} in {runner.precision}"
