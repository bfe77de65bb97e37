"""Streams: where batches come from. The order of an epoch is a pure function of (seed, stream, epoch)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from headstart.contracts.augmentation import Augmentation, augmented
from headstart.contracts.backbone import Backbone
from headstart.contracts.carriers import Batch, State
from headstart.contracts.examples import Examples
from headstart.contracts.modality import raws_of
from headstart.contracts.objective import DOMAIN, EACH_DOMAIN, SOURCE, TARGET, TARGET_AGAIN
from headstart.contracts.targets import TargetKinds, collated
from headstart.engine.tile_order import Tiled
from headstart.kernel.errors import SettingsError
from headstart.kernel.randomness import draw_seed

StateSource = Callable[[np.ndarray], State]
"""Rows -> their state, at boundary 0 or at a stored one."""

Screen = Callable[[np.ndarray], np.ndarray]
"""Rows -> those of them whose inputs can be read. Raises DataError where none can."""

Origins = Callable[[np.ndarray], Sequence[str]]
"""Rows -> where each came from, as a person would name it."""

KEPT_BYTES = 1 << 30
"""Prepared inputs kept in memory between epochs, per source."""

DRAWN_AS = {SOURCE: "labelled", TARGET: "unlabelled", TARGET_AGAIN: "unlabelled_again"}
"""Stream -> its name in random draws, which stays as it was so that old runs repeat to the bit."""

NAMED = 8
"""Examples of a batch that are named at most."""

POOLED_BATCHES = 50
"""Batches' worth of rows, drawn at random, within which rows of like length are put together."""


class StoredView(Protocol):
    """One augmented view of every example that is trained on, its states kept by a frozen pass."""

    def __call__(self, rows: np.ndarray) -> State:
        """The states (batch, ...) of some rows."""
        ...

    def moved(self, targets: Mapping[str, Tensor], rows: np.ndarray, kinds: TargetKinds) -> dict[str, Tensor]:
        """Return the rows' targets (batch, ...), moved as their inputs are."""
        ...


class PreparedInputs:
    """A source at boundary 0: prepares inputs, and keeps the prepared ones while they fit in memory."""

    def __init__(self, backbone: Backbone, examples: Examples) -> None:
        """Read from `examples` with the backbone's own preprocessing."""
        self.backbone = backbone
        self.examples = examples
        self._kept: dict[int, Tensor] = {}
        self._bytes = 0

    def __call__(self, rows: np.ndarray) -> State:
        """The prepared state of the rows, on the CPU. Raises DataError when an input cannot be read."""
        if all(int(row) in self._kept for row in rows):
            return State(torch.stack([self._kept[int(row)] for row in rows]))
        state = self.backbone.prepare(raws_of(self.examples, rows))
        if not state.context:
            self._keep(rows, state.hidden)
        return state

    def _keep(self, rows: np.ndarray, hidden: Tensor) -> None:
        for row, value in zip(rows, hidden):
            size = value.numel() * value.element_size()
            if int(row) not in self._kept and self._bytes + size <= KEPT_BYTES:
                self._kept[int(row)] = value.clone()
                self._bytes += size


@dataclass(frozen=True)
class Stream:
    """A named flow of batches over some rows."""

    name: str
    """Decides what is drawn at random, by `DRAWN_AS`."""
    rows: np.ndarray
    """(examples,) int64: rows of the source that take part."""
    targets: Mapping[str, np.ndarray]
    """Target name -> array over all rows of the source; empty for an unlabelled stream."""
    source: StateSource
    batch_size: int
    seed: int
    augmentation: Augmentation | None = None
    """What is done anew to each epoch's batches; None for validation. On states past the input it can mix only."""
    head_inputs: Mapping[str, np.ndarray] = field(default_factory=dict)
    """What is asked of each row of the source, by name; see `Batch.queries`."""
    lengths: np.ndarray | None = None
    """(all rows of the source,) how long each input is: a batch then holds inputs of like length, with little padding.
    None: batches are drawn whatever the lengths."""
    views: Sequence[StoredView] = ()
    """Kept views of the inputs, in place of `source` in training: epoch e draws from view e modulo their number."""
    follows: str = ""
    """The stream whose order this one has, so that both have the same rows in every step; '' for one of its own."""
    screen: Screen | None = None
    """What leaves out of a batch the rows whose inputs cannot be read; None where all can."""
    rounds: int = 1
    """Into how many epochs a pass over the rows is divided, where they are many."""
    origins: Origins | None = None
    """Where rows came from, as a person would name them; None: they go by their numbers."""
    tiled: Tiled | None = None
    """Which rows are of one picture, and drawn near each other; None where rows are read whole."""
    target_kinds: TargetKinds = field(default_factory=dict)
    """Target name -> its kind; one without can be neither moved nor mixed."""

    def order(self, epoch: int) -> list[np.ndarray]:
        """The batches of an epoch as rows; near-equal sizes, so that no batch is left with a single example."""
        whole, part = divmod(epoch, self.rounds)
        draws = np.random.default_rng(draw_seed(self.seed, f"order of {_drawn_as(self.follows or self.name)}", whole))
        rows = np.array_split(draws.permutation(self.rows), self.rounds)[part]
        if self.tiled is not None:
            return self._split(self.tiled.near(rows))
        if self.lengths is None:
            return self._split(rows)
        pool = POOLED_BATCHES * self.batch_size
        pools = [by_length(rows[at : at + pool], self.lengths) for at in range(0, len(rows), pool)]
        batches = self._split(np.concatenate(pools))
        return [batches[number] for number in draws.permutation(len(batches))]

    def steps(self) -> int:
        """Batches in an epoch."""
        return _batches(len(self.rows) // self.rounds, self.batch_size)

    def work(self, rows: np.ndarray) -> float:
        """Return the relative cost of a batch: its inputs (batch,), each as long as the longest of them."""
        return float(len(rows) * (1 if self.lengths is None else self.lengths[rows].max(initial=1)))

    def in_sequence(self) -> list[np.ndarray]:
        """All rows once, in their own order."""
        return self._split(self.rows)

    def batch(self, rows: np.ndarray, epoch: int | None = None) -> Batch:
        """Make a batch; with an epoch, of that epoch's random views."""
        view = self.views[epoch % len(self.views)] if epoch is not None and self.views else None
        rows = rows if self.screen is None else self.screen(rows)
        state = self.source(rows) if view is None else view(rows)
        whole = {name: self._collated(name, values[rows]) for name, values in self.targets.items()}
        targets = whole if view is None else view.moved(whole, rows, self.target_kinds)
        head_inputs = {name: collated(values[rows]) for name, values in self.head_inputs.items()}
        batch = Batch(state, targets, torch.from_numpy(np.asarray(rows)), head_inputs)
        if epoch is not None and self.augmentation is not None:
            seeds = [draw_seed(self.seed, f"view of {_drawn_as(self.name)}", epoch, int(row)) for row in rows]
            batch = augmented(self.augmentation, batch, seeds, self.target_kinds)
        return batch

    def named(self, rows: np.ndarray) -> str:
        """Some rows (batch,) in words, the first of them by name."""
        first = rows[:NAMED]
        names = [f"row {row}" for row in first.tolist()] if self.origins is None else self.origins(first)
        more = f" and {len(rows) - len(first)} more" if len(rows) > len(first) else ""
        return ", ".join(names) + more

    def _collated(self, name: str, values: np.ndarray) -> Tensor:
        kind = self.target_kinds.get(name)
        return collated(values) if kind is None else kind.collated(values)

    def _split(self, rows: np.ndarray) -> list[np.ndarray]:
        return np.array_split(rows, _batches(len(rows), self.batch_size))


def _drawn_as(name: str) -> str:
    return DRAWN_AS.get(name, name)


def selected(wanted: Sequence[str], rows: Mapping[str, np.ndarray]) -> tuple[str, ...]:
    """Return the names of the streams that an objective draws from.

    Args:
        wanted: `Objective.streams`.
        rows: those (examples,) of each stream that there is.

    Raises:
        SettingsError: a stream is missing or empty.
    """
    domains = tuple(name for name in rows if name.startswith(DOMAIN))
    names = [name for one in wanted for name in (domains if one == EACH_DOMAIN and domains else (one,))]
    for name in names:
        if name not in rows:
            hint = " Name the column of the domain with --domain." if name.startswith(DOMAIN) and not domains else ""
            hint = " Give the target with --target." if name == TARGET else hint
            raise SettingsError(
                f"the objective draws from the stream '{name}', which the data do not have. Streams: "
                f"{', '.join(rows)}.{hint}"
            )
        if not len(rows[name]):
            raise SettingsError(f"the objective draws from the stream '{name}', which has no training rows")
    return tuple(dict.fromkeys(names))


def _batches(rows: int, size: int) -> int:
    return max(1, round(rows / size))


def by_length(rows: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The rows, the shortest first; `lengths`, (all rows of the source,), says how long they are."""
    return rows[np.argsort(lengths[rows], kind="stable")]
