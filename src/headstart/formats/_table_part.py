"""A table, wherever it lies, and the part of a given split that it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

import pyarrow as pa

from headstart.kernel.errors import DataError


class TableSource(Protocol):
    """One table, wherever it lies."""

    root: str
    """Folder that relative image paths start from."""
    words: str
    """What it is, for people."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for the user, such as one on a fallback encoding."""
        ...

    def names(self) -> list[str]:
        """The columns."""
        ...

    def read(self, as_text: frozenset[str] = frozenset()) -> pa.Table:
        """The whole table with an origin column; columns `as_text` are not parsed as numbers where that is a choice."""
        ...

    def head(self, rows: int) -> pa.Table:
        """The first rows, at most that many."""
        ...

    def chunks(self, types: Mapping[str, pa.DataType], rows: int) -> Iterator[pa.Table]:
        """The named columns and the origins, about `rows` at a time; where a file has no types they are these."""
        ...


def refuse_twins(names: Sequence[str], words: str) -> None:
    """Refuse columns of one name. Raises DataError."""
    twins = sorted(name for name, number in Counter(names).items() if number > 1)
    if twins:
        raise DataError(f"{words} has more than one column called {twins[0]!r}. Column names must differ.")


class TablePart(NamedTuple):
    """A table and the part of the split that it is."""

    part: str
    """'train', 'val', 'test', or '' where none is given."""
    name: str
    """As the user knows it; '' for a lone table."""
    source: TableSource
