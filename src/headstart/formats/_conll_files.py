"""From what the user gave to CoNLL files: one file, or a folder with a file per part."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

from headstart.formats._conll_lines import ConllLines
from headstart.formats._given_paths import is_path
from headstart.formats._parts import part_of
from headstart.formats._tag_spelling import marks_spans
from headstart.kernel.errors import DataError

SUFFIXES = frozenset((".conll", ".conll03", ".conll2003", ".conllu", ".bio", ".iob", ".iob2", ".bioes", ".bilou"))
_SNIFFED = 50
"""Lines with words by which a .txt file is told from prose."""


class ConllFile(NamedTuple):
    """A file and the part of the split that it is."""

    part: str
    """'train', 'val', 'test', or '' where none is given."""
    lines: ConllLines


def find_files(source: Any) -> list[ConllFile]:
    """The CoNLL files in `source`, in the order train, val, test; empty where there are none.

    Raises:
        DataError: there are some, but which one is meant is not clear.
    """
    if not is_path(source):
        return []
    path = Path(source)
    if path.is_file():
        return [ConllFile("", ConllLines(path))] if _is_conll(path) else []
    if not path.is_dir():
        return []
    with os.scandir(path) as entries:
        names = sorted(entry.name for entry in entries if not entry.is_dir() and not entry.name.startswith("."))
    files = [path / name for name in names if _is_conll(path / name)]
    parts = [part_of(file.stem) for file in files]
    if len(files) == 1 and parts[0] is None:
        return [ConllFile("", ConllLines(files[0]))]
    if None in parts or len(set(parts)) < len(parts):
        listed = ", ".join(file.name for file in files[:8])
        raise DataError(
            f"{path} holds {len(files)} CoNLL files ({listed}), and they are not named one for each part, as "
            "train.conll, dev.conll and test.conll are. Give the file that is meant."
        )
    found = [ConllFile(part or "", ConllLines(file)) for part, file in zip(parts, files)]
    return sorted(found, key=lambda file: ("train", "val", "test").index(file.part))


def _is_conll(path: Path) -> bool:
    suffix = path.suffix.lower()
    return suffix in SUFFIXES or (suffix == ".txt" and _reads_like_tags(path))


def _reads_like_tags(path: Path) -> bool:
    try:
        rows = ConllLines(path).columns(_SNIFFED)
    except DataError:
        return False
    return all(len(columns) > 1 for columns in rows) and marks_spans([columns[-1] for columns in rows])
