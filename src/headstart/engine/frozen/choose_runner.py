"""The runner of a frozen pass: the fastest, by a short measurement on its own inputs, of those that are right.

A runner is tried where setting it up costs little beside the pass as it would be without it, each with several numbers
of threads where the pass is long, and taken where it is faster by a margin. The answer is kept by weights,
preprocessing, length of the inputs, machine and versions, and in the work folder of a run that is not finished: the
same pass finds its runner and its stored features again, however busy the machine is.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from headstart.contracts.backbone import Backbone
from headstart.contracts.carriers import State
from headstart.contracts.examples import Examples
from headstart.contracts.runner import CannotRun, Execute, Runner
from headstart.engine.device import run_halving, usual_batch_size
from headstart.engine.frozen.disk_cache import DiskCache
from headstart.engine.frozen.execution import TOO_COARSE, Differs, here, plain_runner, started
from headstart.engine.frozen.feature_spec import FeatureSpec, FrozenSegment
from headstart.engine.frozen.feeding import feed, lengths_of
from headstart.engine.frozen.pass_key import pass_key
from headstart.engine.frozen.reference_result import ReferenceResult
from headstart.engine.frozen.runner_choice import Choice, choice_from, kept_in, read_json
from headstart.engine.frozen.slow_pass import SlowPass, positions
from headstart.engine.frozen.work_locks import work_lock
from headstart.engine.pieces import in_pieces, joined
from headstart.kernel import registry
from headstart.kernel.errors import first_line
from headstart.kernel.files import hash_json

WORTH = 0.5
"""A runner is tried when setting it up takes less than this share of the pass with the best one so far: it pays at once
where it is twice as fast, and later passes find it set up."""

MARGIN = 1.2
"""A runner takes the place of another one where it is so many times as fast: times on a busy machine differ by less."""

LONG_ENOUGH, REPEATS = 0.2, 5
"""Of several measurements the shortest counts: so many, or as many as take so many seconds."""

LONG_PASS = 1.0
"""Seconds of a pass from which a runner's other numbers of threads are measured too."""

SLOW = 3
"""A second variant that first takes so many times what the best one takes is not measured further."""

SHARE, FEWEST = 32, 8
"""At most so great a part of the inputs is measured with, but never fewer than so many of them, several times over
where they take less than `LONG_ENOUGH`: few inputs at once tell little of a whole batch."""

MEMO = "runners-5"


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
    name = hash_json(pass_key(backbone, spec))
    found = choice_from(kept_in(work).get(name), name, device)
    return found or Choosing(backbone, examples, keys, spec, device, name).choose()


def choose_again(
    backbone: Backbone,
    examples: Examples,
    keys: Sequence[str | None],
    spec: FeatureSpec,
    device: torch.device,
    choice: Choice,
    slow: SlowPass,
) -> Choice:
    """The runner of a pass that has become slow, by another measurement, which later passes take as well.

    Another runner than that of `choice` has all inputs to compute, those too that are stored: all features of a pass
    come from one runner. It is taken where it is done sooner, by the margin.
    """
    with work_lock(MEMO):
        found = Choosing(backbone, examples, keys, spec, device, choice.key).measured([], choice.runner)
    going_on = slow.left * slow.seconds_each * choice.length
    if found.runner != choice.runner and sum(map(bool, keys)) * found.seconds_each * MARGIN < going_on:
        return found
    return replace(choice, seconds_each=slow.seconds_each * choice.length)


@dataclass
class Choosing:
    """The choice for some inputs, out of what is known or by measuring."""

    backbone: Backbone
    examples: Examples
    keys: Sequence[str | None]
    spec: FeatureSpec
    device: torch.device
    name: str

    def __post_init__(self) -> None:
        self.rows = np.array([row for row, key in enumerate(self.keys) if key is not None], np.int64)
        size = min(len(self.rows), usual_batch_size(self.device), max(FEWEST, len(self.rows) // SHARE))
        self.seen = self.rows[np.linspace(0, len(self.rows) - 1, min(len(self.rows), 2 * size)).astype(np.int64)]
        self.lengths = lengths_of(self.backbone, self.examples, self.seen)
        self.usual = self.seen[_middle(self.lengths, size)]
        self.inputs = hash_json([len(self.rows), [self.keys[row] for row in self.seen]])
        bucket = int(np.median(self.lengths)).bit_length() if len(self.seen) else 0
        setting = [self.name, here(self.device), torch.get_num_threads(), bucket]
        self.disk_cache, self.entry = DiskCache(MEMO), hash_json(setting).encode()

    def choose(self) -> Choice:
        """The known choice, or a measured one where there is none."""
        if (found := self._known()[1]) is not None:
            return found
        with work_lock(MEMO):  # measurements would slow each other down
            earlier, found = self._known()
            return found or self.measured(earlier, earlier[-1].runner if earlier else None)

    def measured(self, earlier: Sequence[Choice], before: Runner | None) -> Choice:
        """The choice by measuring, kept beside the earlier ones; `before` is the runner that passes have."""
        trial = self.trial(before)
        if trial is None:
            return Choice(plain_runner(), "no input could be read to measure others with")
        choice = replace(trial.choose(), measured_on=self.inputs)
        # passes over fewer inputs keep the choice that they had
        self.disk_cache.put({self.entry: json.dumps([one.document() for one in (*earlier, choice)]).encode()})
        return choice

    def trial(self, before: Runner | None) -> Trial | None:
        """A measurement on some of the inputs; None where none can be read."""
        fed = feed(self.backbone, self.examples, self.usual, usual_batch_size(self.device))
        state = next((batch.state for batch in fed if batch.state is not None), None)
        if state is None:
            return None
        segment = FrozenSegment(self.backbone, self.spec)
        return Trial(segment, self.name, state, self.device, len(self.rows), before)

    def _known(self) -> tuple[list[Choice], Choice | None]:
        """All that are kept for inputs of this length, and the one for so many of them."""
        kept = read_json(self.disk_cache.get([self.entry]).get(self.entry), list)
        choices = [choice for one in kept if (choice := choice_from(one, self.name, self.device)) is not None]
        fitting = next((choice for choice in choices if len(self.rows) <= choice.most_inputs), None)
        return choices, None if fitting is None else fitting.on(self.inputs)


def _middle(lengths: np.ndarray, size: int) -> np.ndarray:
    """The places of so many that are neither short nor long, ascending."""
    first = (len(lengths) - size) // 2
    return np.sort(np.argsort(lengths, kind="stable")[first : first + size])


class Trial:
    """One short measurement."""

    def __init__(
        self, segment: FrozenSegment, key: str, state: State, device: torch.device, inputs: int, before: Runner | None
    ) -> None:
        """`before` is the runner of passes over fewer inputs."""
        self.segment, self.key = segment, key
        self.state, self.device = state, device
        self.inputs, self.before = inputs, before
        self.seen = len(state.hidden)

    def choose(self) -> Choice:
        """The fastest of those that are worth trying and right."""
        plain, reference = self.plain, self.reference()
        seconds = self.seconds(reference.plain, reference)
        enough = min(usual_batch_size(self.device), self.inputs, LONG_ENOUGH * self.inputs / max(seconds, 1e-9))
        if (times := int(enough / self.seen)) > 1:
            self.state = joined([self.state] * times)
            reference = self.reference()
            seconds = self.seconds(reference.plain, reference)
        best = slowest = _Best(plain, seconds)
        refused: list[str] = []
        coarse: set[str] = set()
        left_out: list[float] = []
        for variants in self.others():
            right = plain.precision if variants[0].plain else ""
            for runner in variants:
                if runner == plain or runner.precision in coarse or (right and runner.precision != right):
                    continue
                if right and best.seconds < LONG_PASS:
                    break
                setup = runner.setup_seconds(self.device)
                if setup > WORTH * best.seconds and runner != self.before:
                    left_out.append(setup)
                    break
                try:
                    execute = started(runner, self.segment, self.state, self.device, self.key, reference)
                    found = self.seconds(execute, most=SLOW * best.seconds if right else math.inf)
                except (CannotRun, RuntimeError) as error:  # what was right once may fail on this machine today
                    refused.append(f"{_named(runner)}: {first_line(error)}")
                    if isinstance(error, Differs) and error.far > TOO_COARSE and runner.precision != plain.precision:
                        coarse.add(runner.precision)
                    continue
                right = runner.precision
                if found * MARGIN < best.seconds:
                    best = _Best(runner, found)
        holds = self.inputs * min(left_out, default=math.inf) / max(WORTH * best.seconds, 1e-9)
        reason = "; ".join([self._reason(best, slowest), *refused])
        each = best.seconds / self.inputs, slowest.seconds / self.inputs
        return Choice(best.runner, reason, holds, *each, positions(self.state) / len(self.state.hidden), self.key)

    @property
    def plain(self) -> Runner:
        """Plain PyTorch with the threads that are usually fastest."""
        return type(plain_runner()).variants(self.device)[0]

    def reference(self) -> ReferenceResult:
        """Plain PyTorch's result."""
        return ReferenceResult(self.plain.start(self.segment, self.state, self.device), self.state, self.device)

    def others(self) -> list[Sequence[Runner]]:
        """The variants of every runner: those of the one before, then as they are set up."""
        kinds = [registry.plugin("runners", name) for name in registry.names("runners")]
        found: list[Sequence[Runner]] = [kind.variants(self.device) for kind in kinds]
        return sorted(
            filter(None, found), key=lambda some: (self.before not in some, some[0].setup_seconds(self.device))
        )

    def seconds(self, execute: Execute, reference: ReferenceResult | None = None, most: float = math.inf) -> float:
        """For the whole pass, from one batch in as many pieces as run at once, after the same once that does not count.

        Where that one alone comes to more than `most` it is taken for the answer.
        """
        share, pieces = self.inputs / len(self.state.hidden), in_pieces(self.state, execute.at_once)
        with ThreadPoolExecutor(execute.at_once) as pool:
            times: list[float] = []
            while len(times) < 2 or (len(times) <= REPEATS and sum(times[1:]) < LONG_ENOUGH):
                began = time.perf_counter()
                found = [*pool.map(partial(run_halving, execute), pieces)]
                times.append(time.perf_counter() - began)
                if times[0] * share > most:
                    return times[0] * share
        if reference is not None:
            reference.saw(joined(found))
        return min(times[1:]) * share

    def _reason(self, best: _Best, plain: _Best) -> str:
        if best.runner.plain:
            seconds = f"about {best.seconds:.0f} s" if best.seconds >= 1 else "less than a second"
            return f"the pass takes {seconds} in plain PyTorch, and nothing tried was faster"
        times = plain.seconds / best.seconds
        return f"{times:.1f} times as fast as plain PyTorch on {self.seen} of the inputs"


def _named(runner: Runner) -> str:
    return f"{registry.name_of(cast(Any, runner))} in {runner.precision}"
