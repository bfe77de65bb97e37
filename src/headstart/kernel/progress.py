"""Progress of long work: counters with a rate, and sentences. Showing them is the caller's part."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Advance(Protocol):
    """Moves a counter on."""

    def __call__(self, items: int, note: str = "") -> None:
        """By so many items; `note` says in a few words what the work is busy with, until the next one does."""
        ...


class Reporter(Protocol):
    """Shows progress. The command line has one for terminals; tests and libraries use `Quiet`."""

    def counter(self, label: str, total: int | None, unit: str) -> AbstractContextManager[Advance]:
        """A counter towards `total` items; the yielded function advances it. Shows items/s and time left."""
        ...

    def say(self, text: str) -> None:
        """One sentence for the user."""
        ...


class Quiet:
    """A reporter that shows nothing."""

    @contextmanager
    def counter(self, label: str, total: int | None, unit: str) -> Iterator[Advance]:  # noqa: ARG002
        """Count silently."""
        yield lambda items, note="": None  # noqa: ARG005

    def say(self, text: str) -> None:
        """Say nothing."""
