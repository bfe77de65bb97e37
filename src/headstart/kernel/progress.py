"""What long work tells its caller: counters with a rate, and sentences. Who shows them is decided elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Reporter(Protocol):
    """Shows progress. The command line has one for terminals; tests and libraries use `Quiet`."""

    def counter(self, label: str, total: int | None, unit: str) -> AbstractContextManager[Callable[[int], None]]:
        """A counter towards `total` items; the yielded function advances it. Shows items/s and time left."""
        ...

    def say(self, text: str) -> None:
        """One sentence for the user."""
        ...


class Quiet:
    """A reporter that shows nothing."""

    @contextmanager
    def counter(self, label: str, total: int | None, unit: str) -> Iterator[Callable[[int], None]]:  # noqa: ARG002
        """Count silently."""
        yield lambda _: None

    def say(self, text: str) -> None:
        """Say nothing."""
