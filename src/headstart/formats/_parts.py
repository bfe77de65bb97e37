"""The words by which data on disk name the parts of a given split."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

from headstart.contracts.left_out import LeftOut, left_out

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

_UNLABELLED = frozenset(("unsup", "unsupervised", "unlabelled", "unlabeled"))

PART_COLUMN = "__part__"
"""Column of the given split in our own words, beside the user's."""


def part_of(word: object) -> str | None:
    """'train', 'val' or 'test' if the word means one of them, in any case; else None."""
    return _WORDS.get(str(word).strip().lower())


def is_unlabelled(word: str) -> bool:
    """Return whether a folder or a part of that name holds examples without labels, as 'unsup' of IMDb does."""
    return word.strip().lower() in _UNLABELLED


def others_in(source: Any, read: Collection[str]) -> list[LeftOut]:
    """A note on the files of a folder with a file for each part, that are none of those which were read."""
    if not isinstance(source, (str, Path)) or not Path(source).is_dir():
        return []
    with os.scandir(source) as entries:
        names = sorted(entry.name for entry in entries if not entry.is_dir() and entry.name not in read)
    return left_out(names, "files beside those of the parts")
