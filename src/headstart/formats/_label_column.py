"""A label column as it is handed to what reads its cells, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import pyarrow as pa

from headstart.formats._numerals import DecimalSign
from headstart.kernel.errors import DataError

LabelForm = Literal["auto", "names", "numbers", "sets", "vectors"]


class Labels(NamedTuple):
    """A label column as it was read."""

    values: pa.Array | pa.ChunkedArray
    """Names, numbers or lists of names; lists of records as they are for spans."""
    written: pa.Array | None = None
    """The cells as they are written, where numbers were read from text and would be written otherwise."""
    separator: str = ""
    """What stands between the names of a cell; '' where each is one name, or a list."""
    form: LabelForm | None = None
    """What the cells were taken for; None where their type says it."""
    decimal: DecimalSign | None = None
    """The decimal sign of numbers in another notation."""


@dataclass(frozen=True)
class LabelColumn:
    """A label column, and what its user says of it."""

    name: str
    cells: Sequence[Any]
    """Texts or lists; None where there is no label."""
    origins: Sequence[object]
    typed: bool
    """Whether its source tells text from numbers, so that text is not a number."""
    form: LabelForm
    decimal: DecimalSign
    notes: list[str]

    def known(self) -> list[Any]:
        """The cells that are there."""
        return [cell for cell in self.cells if cell is not None]

    def first(self, wanted: Callable[[Any], bool] = lambda _: True) -> str:
        """The first such cell and its place: "'abc' (t.csv:5)"."""
        row = next(row for row, cell in enumerate(self.cells) if cell is not None and wanted(cell))
        return self.shown(row)

    def shown(self, row: int) -> str:
        """A cell and its place."""
        text = repr(self.cells[row])
        return f"{text if len(text) <= 60 else text[:57] + '...'} ({self.origins[row]})"

    def say(self, sentence: str) -> None:
        """Note what was decided."""
        self.notes.append(f"column '{self.name}': {sentence}")

    def refusal(self, sentence: str) -> DataError:
        """An error about the column."""
        return DataError(f"column '{self.name}': {sentence}")


def name_of(item: Any) -> str:
    """The name of a class: '3' for 3 and 3.0."""
    return str(int(item)) if isinstance(item, float) and item.is_integer() else str(item)
