"""The words by which data on disk name the parts of a given split."""

from __future__ import annotations

_WORDS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}

PART_COLUMN = "__part__"
"""Column of the given split in our own words, beside the user's."""


def part_of(word: object) -> str | None:
    """'train', 'val' or 'test' if the word means one of them, in any case; else None."""
    return _WORDS.get(str(word).strip().lower())
