"""Notes on inputs that a reader left out, with their number."""

from __future__ import annotations

from collections.abc import Sequence


class LeftOut(str):
    """A note on inputs that the reader of the data left out: a sentence that says how many, why, and names one."""

    number: int
    """How many."""

    def __new__(cls, number: int, sentence: str) -> LeftOut:
        """Take the sentence as it is to be read."""
        note = super().__new__(cls, sentence)
        note.number = number
        return note


def left_out(names: Sequence[str], what: str) -> list[LeftOut]:
    """Say 'empty files, left out: 3, such as a.csv' for `what` 'empty files'; nothing where there are no names."""
    return [LeftOut(len(names), f"{what}, left out: {len(names)}, such as {names[0]}")] if names else []
