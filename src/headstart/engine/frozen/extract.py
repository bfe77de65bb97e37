"""The frozen pass: every example once through the frozen stages, and never again.

A frozen backbone is a pure function, so its output is kept by the content of the input. What the store has is read;
only the rest is prepared, run and stored, a shard every few seconds.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch

from headstart.contracts.backbone import Backbone, require_width
from headstart.contracts.carriers import State, Tap
from headstart.contracts.examples import Examples
from headstart.contracts.modality import modality_named, raws_of
from headstart.contracts.runner import CannotRun, Execute, Runner
from headstart.engine.device import pick_device, usual_batch_size
from headstart.engine.frozen.batches_in_flight import BatchesInFlight, Ran
from headstart.engine.frozen.bottleneck import shares
from headstart.engine.frozen.content_keys import changes
from headstart.engine.frozen.execution import described, started
from headstart.engine.frozen.feature_spec import FeatureSpec, FrozenSegment, put_together, take_apart
from headstart.engine.frozen.feeding import feed_batches, in_batches, lengths_of, why_unreadable
from headstart.engine.frozen.pass_key import pass_key, with_view
from headstart.engine.frozen.pass_space import not_stored, space_of_pass
from headstart.engine.frozen.slow_pass import Promise
from headstart.engine.frozen.views import View
from headstart.engine.store.feature_store import FeatureStore
from headstart.engine.store.key_index import Located
from headstart.engine.store.sharing import SharedWork
from headstart.engine.store.space import Space
from headstart.kernel.errors import DataError, StoreError
from headstart.kernel.files import hash_json
from headstart.kernel.progress import Quiet, Reporter


@dataclass(frozen=True)
class Extracted:
    """Result of a frozen pass, one entry per example; it lies in the store and is read when asked for."""

    failures: Mapping[int, str]
    """Row -> why its input could not be read."""
    rows: np.ndarray
    """(readable examples,) int64, ascending: the rows that have an entry."""
    computed: int
    """Distinct inputs that went through the backbone in this process."""
    elsewhere: int
    """Distinct inputs that other processes computed meanwhile."""
    reused: int
    """Examples whose entry was in the store before."""
    seconds: Mapping[str, float]
    """For how long each part was at work: 'prepare' (the mean of its threads), 'runner' and 'store'."""
    spec: FeatureSpec
    runner: Runner
    """What the pass ran on."""
    width: int
    """Of the pooled features."""
    _space: Space
    _located: Located
    by_use: bool = False
    """True where they only do for probes and evidence."""

    def pooled(self, rows: Sequence[int] | np.ndarray | None = None) -> np.ndarray:
        """Pooled features (rows, width) float32 of the given rows, in their order; of `self.rows` without any.

        Raises:
            DataError: the input of one of the rows could not be read.
        """
        if self.spec.keep == "state":
            raise StoreError("this pass kept the state at a boundary and no pooled features; use keep='pooled'")
        found = self._column("hidden", rows)
        return found if len(found) else np.empty((0, self.width), np.float32)

    def tap(self, boundary: str, rows: Sequence[int] | np.ndarray | None = None) -> np.ndarray:
        """Pooled features (rows, width) float32 at an earlier boundary. Raises as `pooled` does."""
        if Tap(boundary) not in self.spec.taps:
            raise StoreError(f"this pass has no pooled tap at '{boundary}' (taps: {list(self.spec.taps)})")
        return self._column(f"taps.{Tap(boundary).key}", rows)

    def batch_state(self, rows: Sequence[int] | np.ndarray) -> State:
        """The kept state of some rows as a batch on the CPU, padded on the right. Raises as `pooled` does."""
        located = self._of(rows)
        return put_together({name: self._space.gather(located, name) for name in self._space.names(located)})

    def _column(self, name: str, rows: Sequence[int] | np.ndarray | None) -> np.ndarray:
        return cast(np.ndarray, self._space.gather(self._of(self.rows if rows is None else rows), name))

    def _of(self, rows: Sequence[int] | np.ndarray) -> Located:
        chosen = np.asarray(rows, dtype=np.int64)
        failed = chosen[np.isin(chosen, list(self.failures))]
        if len(failed):
            row = int(failed[0])
            raise DataError(f"row {row} has no features: its input {self.failures[row]}")
        return self._located.take(chosen)


def nothing_extracted(runner: Runner) -> Extracted:
    """Return the result of no pass, of a backbone that keeps no features."""
    none = np.empty(0, np.int64)
    return Extracted({}, none, 0, 0, 0, {}, FeatureSpec(), runner, 0, cast(Space, None), Located(none))


def extract(
    backbone: Backbone,
    examples: Examples,
    keys: Sequence[str | None],
    spec: FeatureSpec | None = None,
    *,
    runner: Runner,
    store: FeatureStore | None = None,
    device: torch.device | None = None,
    reporter: Reporter | None = None,
    batch_size: int | None = None,
    view: View | None = None,
    promised: float = 0.0,
    by_use: bool = False,
) -> Extracted:
    """Get what `spec` asks for (pooled features without one) of every example, from the store or by running.

    Args:
        keys: what `content_keys` has found; a file that has changed since is a failure, and nothing of it is stored.
        store: where entries are kept; in memory, for this run only, without one.
        batch_size: how many inputs of median length are run at once.
        view: what is seen in place of the inputs as they are.
        promised: the seconds that a position should take on the runner; 0 where nothing was measured.
        by_use: whether the features only feed probes and evidence; see `execution.started`.

    Raises:
        SlowPass: it takes much longer than was promised.
        BackboneError: the backbone has no such features, or the runner does not do for it.
        StoreError: entries were evicted by another process during the pass.
    """
    spec, reporter, device = spec or FeatureSpec(), reporter or Quiet(), device or pick_device()
    backbone.tell(reporter)
    kept = FrozenSegment(backbone, spec, None if view is None else 0)
    store = store or FeatureStore(limit=0)
    name = pass_key(backbone, spec)
    space = space_of_pass(with_view(name, view), backbone.name, runner, store, reporter, by_use=by_use)
    readable = np.array([row for row, key in enumerate(keys) if key is not None], np.int64)
    known = [key for key in keys if key is not None]
    missing, reused = not_stored(space, known, readable)
    segment = hash_json(name if view is None else [name, 0])  # all views go through one compiled segment
    frozen_pass = _Pass(backbone, examples, keys, kept, segment, runner, device, space, view, Promise(promised), by_use)
    while len(missing):
        frozen_pass.run(missing, batch_size or usual_batch_size(device), reporter)
        missing = frozen_pass.substitutes()
    failures = _failures(backbone, examples, keys, frozen_pass)
    rows = np.array([row for row in range(len(keys)) if row not in failures], np.int64)
    located = _located(space, [cast(str, keys[row]) for row in rows], rows, len(keys))
    counts = frozen_pass.computed, frozen_pass.elsewhere, reused
    return Extracted(failures, rows, *counts, frozen_pass.seconds, spec, runner, backbone.width, space, located, by_use)


def _failures(backbone: Backbone, examples: Examples, keys: Sequence[str | None], frozen_pass: _Pass) -> dict[int, str]:
    """Every row without features: those that failed, the same inputs elsewhere, and those without a key."""
    failed, reasons = frozen_pass.failures, frozen_pass.reasons()
    found = {}
    for row, key in enumerate(keys):
        if key is None:
            reason = why_unreadable(backbone, raws_of(examples, [row])[0])
            found[row] = reason or "could not be read at first, and has changed since"
        elif row in failed or key in reasons:
            found[row] = failed.get(row) or reasons[key]
    return found


def _located(space: Space, keys: Sequence[str], rows: np.ndarray, size: int) -> Located:
    """Where each row's entry lies; -1 for rows without one."""
    found = space.lookup(keys)
    lost = int((~found.found).sum())
    if lost:
        raise StoreError(
            f"{lost} entries of the feature store were evicted during the pass. Raise HEADSTART_CACHE_LIMIT (for "
            "example 50GB)."
        )
    position = np.full(size, -1, np.int64)
    position[rows] = found.position
    return Located(position)


class _Pass:
    """Runs inputs through the kept segment into a space."""

    def __init__(
        self,
        backbone: Backbone,
        examples: Examples,
        keys: Sequence[str | None],
        kept: FrozenSegment,
        name: str,
        runner: Runner,
        device: torch.device,
        space: Space,
        view: View | None,
        promise: Promise,
        by_use: bool,
    ) -> None:
        self.promise, self.by_use = promise, by_use
        self.backbone, self.examples, self.keys, self.kept, self.view = backbone, examples, keys, kept, view
        self.name, self.runner, self.device, self.space = name, runner, device, space
        self.pipeline = BatchesInFlight(self._start)
        self.computed = self.elsewhere = 0
        self.failures: dict[int, str] = {}
        self.changed: dict[int, str] = {}
        self.seconds = {"prepare": 0.0, "runner": 0.0, "store": 0.0}

    def run(self, rows: np.ndarray, batch_size: int, reporter: Reporter) -> None:
        """Compute and store the given rows, but for those that others compute meanwhile.

        What is done is stored whatever ends the pass.
        """
        longest_first, sizes = self._longest_first(rows)
        unit = modality_named(self.backbone.modality).unit
        with reporter.counter(f"features from {self.backbone.name}", len(rows), unit) as advance:

            def found_elsewhere(count: int) -> None:
                self.elsewhere += count
                advance(count)

            wanted, left = self._keys_of(longest_first), len(rows)
            with SharedWork(self.space, wanted, batch_size, found_elsewhere, reporter) as work:
                for blocks in work.sweeps():
                    batches = (longest_first[batch] for batch in in_batches(blocks, sizes, batch_size))
                    fed = feed_batches(
                        self.backbone,
                        self.examples,
                        batches,
                        batch_size=batch_size,
                        total=len(rows),
                        changes=self._changes,
                        finish=self._viewed,
                        reporter=reporter,
                    )
                    with closing(fed), closing(self.pipeline.run(fed)) as results:
                        for ran in results:
                            self._store(ran)
                            done = (*ran.fed.rows, *ran.fed.failures)
                            work.done(self._keys_of(done))
                            advance(len(done), shares(self.seconds))
                            left -= len(done)
                            if ran.result is not None and ran.fed.state is not None:
                                self.promise.check(ran.fed.state, ran.seconds, left)

    def substitutes(self) -> np.ndarray:
        """A row for each input that changed before it was computed, and that another file has as well."""
        wanted = {self.keys[row] for row in self.changed} - self.reasons().keys()
        equal = [row for row, key in enumerate(self.keys) if key in wanted and row not in self.failures]
        return not_stored(self.space, self._keys_of(equal), np.array(equal, np.int64))[0]

    def reasons(self) -> dict[str | None, str]:
        """Key -> why the input cannot be read, in whatever file it lies."""
        return {self.keys[row]: reason for row, reason in self.failures.items() if row not in self.changed}

    def _longest_first(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The rows and their lengths; a batch that is too large for memory shows at once."""
        found = lengths_of(self.backbone, self.examples, rows)
        order = np.argsort(-found, kind="stable")
        return rows[order], found[order]

    def _start(self, state: State) -> Execute:
        try:
            return started(self.runner, self.kept, state, self.device, self.name, by_use=self.by_use)
        except CannotRun as error:
            raise CannotRun(
                f"runner '{described(self.runner)['plugin']}' cannot run {self.backbone.name}: {error}. Name "
                'another one: --runner auto takes the fastest that is right (in a plan file runner = "auto", without '
                "[settings.runner])."
            ) from error

    def _viewed(self, state: State, rows: np.ndarray) -> State:
        """Return what goes through the segment, made by the threads that prepare."""
        if self.view is None:
            return state
        return self.view(self.backbone.entry(state), self._keys_of(rows))

    def _changes(self, rows: np.ndarray) -> Mapping[int, str]:
        """Asked by the threads that prepare."""
        found = changes(self.examples, self.keys, rows)
        self.changed.update(found)
        return found

    def _keys_of(self, rows: Iterable[int]) -> list[str]:
        return [cast(str, self.keys[row]) for row in rows]

    def _store(self, ran: Ran) -> None:
        self.seconds["prepare"] += ran.fed.seconds
        self.seconds["runner"] += ran.seconds
        self.failures.update(ran.fed.failures)
        if ran.result is None:
            return
        began = time.perf_counter()
        self.computed += len(ran.fed.rows)
        if self.kept.keep != "state":
            require_width(ran.result.hidden, len(ran.fed.rows), self.backbone)
        self.space.append(self._keys_of(ran.fed.rows), take_apart(ran.result, self.kept.keep))
        self.seconds["store"] += time.perf_counter() - began
