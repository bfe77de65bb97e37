"""Which runner a frozen pass takes: the fastest, by a short measurement on its own inputs, of those that are right.

A runner is tried where setting it up costs little beside the pass as it would be without it, and taken where it is
faster by a margin. The answer is kept by weights, preprocessing, machine and versions, and in the work folder of a run
that is not finished: the same pass finds its runner and its stored features again, however busy the machine is.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

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
from headstart.kernel.files import hash_json, write_atomic
from headstart.kernel.regular import read_regular
from headstart.kernel.user_settings import build

J = TypeVar("J", list[Any], dict[str, Any])

WORTH = 0.5
"""A runner is tried when setting it up takes less than this share of the pass with the best one so far: it pays at once
where it is twice as fast, and later passes find it set up."""

MARGIN = 1.2
"""A runner takes the place of another one where it is so many times as fast: times on a busy machine differ by less."""

LONG_ENOUGH, REPEATS = 0.2, 5
"""Of several measurements the shortest counts: so many, or as many as take so many seconds."""

SHARE, FEWEST = 32, 8
"""At most so great a part of the inputs is measured with, but never fewer than so many of them."""

MEMO = "runners-3"

RUNNERS = "runners.json"
"""The file of the choices of a run, in its work folder."""

NUMBERS = ("most_inputs", "seconds_each", "plain_each")
"""Of a choice, beside its runner and reason."""


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
    key: str = ""
    """Names the pass; empty where the runner was named."""

    def keep(self, work: Path | None) -> None:
        """Keep it for a run that goes on from this work folder."""
        if work is not None and self.key:
            work.mkdir(parents=True, exist_ok=True)
            write_atomic(work / RUNNERS, json.dumps({**_kept_in(work), self.key: self.document()}).encode())

    def document(self) -> dict[str, Any]:
        """It as JSON values."""
        numbers = {name: getattr(self, name) for name in NUMBERS}
        return {**described(self.runner), "reason": self.reason, **numbers}


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
    work: Path | None = None,
) -> Choice:
    """The runner for a pass over `examples` whose inputs have the given content keys (None: unreadable).

    A run goes on as it began: with the choice in the folder `work`, where it was stopped before its end.
    """
    rows = np.array([row for row, key in enumerate(keys) if key is not None], np.int64)
    name = hash_json(pass_key(backbone, spec))
    disk_cache, entry = DiskCache(MEMO), hash_json([name, here(device)]).encode()

    def known() -> tuple[list[Choice], Choice | None]:
        kept = _read(disk_cache.get([entry]).get(entry), list)
        choices = [choice for one in kept if (choice := _choice(one, name, device)) is not None]
        return choices, next((choice for choice in choices if len(rows) <= choice.most_inputs), None)

    found = _choice(_kept_in(work).get(name), name, device) or known()[1]
    if found is not None:
        return found
    with work_lock(MEMO):  # measurements would slow each other down
        earlier, found = known()
        if found is not None:
            return found
        keep_blocks()
        state = _sample(backbone, examples, rows, usual_batch_size(device))
        if state is None:
            return Choice(plain_runner(), "no input could be read to measure others with")
        before = earlier[-1].runner if earlier else None
        choice = _Trial(FrozenSegment(backbone, spec), name, state, device, len(rows), before).choose()
        # passes over fewer inputs keep the choice that they had
        disk_cache.put({entry: json.dumps([one.document() for one in (*earlier, choice)]).encode()})
        return choice


def _kept_in(work: Path | None) -> dict[str, Any]:
    """The choices of a run by the names of their passes."""
    try:
        return {} if work is None else _read(read_regular(work / RUNNERS), dict)
    except OSError:
        return {}


def _read(kept: bytes | None, kind: type[J]) -> J:
    """The JSON value of a kind; an empty one where it is damaged or of another version."""
    try:
        found = kind() if kept is None else json.loads(kept)
    except (ValueError, RecursionError):
        return kind()
    return found if isinstance(found, kind) else kind()


def _choice(document: Any, key: str, device: torch.device) -> Choice | None:
    """An earlier choice; None where it is damaged, of another version, or this machine has no such runner."""
    try:
        kind = registry.plugin("runners", document["plugin"])
        runner = build(kind, document["settings"], where="runner")
        if not kind.plain and runner not in kind.variants(device):
            return None
        numbers = {name: float(document[name]) for name in NUMBERS}
        return Choice(runner, str(document["reason"]), **numbers, key=key)
    except (ValueError, TypeError, KeyError, HeadstartError):
        return None


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

    def __init__(
        self, segment: FrozenSegment, key: str, state: State, device: torch.device, inputs: int, before: Runner | None
    ) -> None:
        """`before` is the runner of passes over fewer inputs."""
        self.segment, self.key = segment, key
        self.state, self.device = state, device
        self.inputs, self.before = inputs, before

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
                if setup > WORTH * best.seconds and runner != self.before:
                    left_out.append(setup)
                    break
                try:
                    found = self._seconds(started(runner, self.segment, self.state, self.device, self.key, reference))
                except (CannotRun, RuntimeError) as error:  # what was right once may fail on this machine today
                    refused.append(f"{_named(runner)}: {first_line(error)}")
                    if isinstance(error, Differs) and error.far > TOO_COARSE and runner.precision != plain.precision:
                        coarse.add(runner.precision)
                    continue
                if found * MARGIN < best.seconds:
                    best = _Best(runner, found)
                break
        holds = self.inputs * min(left_out, default=math.inf) / max(WORTH * best.seconds, 1e-9)
        reason = "; ".join([self._reason(best, slowest), *refused])
        return Choice(best.runner, reason, holds, best.seconds / self.inputs, slowest.seconds / self.inputs, self.key)

    def _others(self) -> list[Sequence[Runner]]:
        """The variants of every runner that is not plain PyTorch: those of the one before, then as they are set up."""
        kinds = [registry.plugin("runners", name) for name in registry.names("runners")]
        found: list[Sequence[Runner]] = [kind.variants(self.device) for kind in kinds if not kind.plain]
        return sorted(
            filter(None, found), key=lambda some: (self.before not in some, some[0].setup_seconds(self.device))
        )

    def _seconds(self, execute: Execute, reference: ReferenceResult | None = None) -> float:
        """For the whole pass, from as many batches as keep the device busy, after the same once that does not count."""
        with ThreadPoolExecutor(execute.at_once) as pool:
            times: list[float] = []
            while len(times) < 2 or (len(times) <= REPEATS and sum(times[1:]) < LONG_ENOUGH):
                began = time.perf_counter()
                found = [*pool.map(lambda _: run_halving(execute, self.state), range(execute.at_once))]
                times.append(time.perf_counter() - began)
        if reference is not None:
            reference.saw(found[0])
        return min(times[1:]) / execute.at_once / len(self.state.hidden) * self.inputs

    def _reason(self, best: _Best, plain: _Best) -> str:
        if best is plain:
            seconds = f"about {plain.seconds:.0f} s" if plain.seconds >= 1 else "less than a second"
            return f"the pass takes {seconds} in plain PyTorch, and nothing tried was faster"
        times = plain.seconds / best.seconds
        return f"{times:.1f} times as fast as plain PyTorch on {len(self.state.hidden)} of the inputs"


def _named(runner: Runner) -> str:
    return f"{registry.name_of(cast(Any, runner))} in {runner.precision}"
