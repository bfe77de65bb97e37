"""Texts in files: class folders of .txt files, with or without train, val and test folders above them, as of IMDb.

The class is the first folder below the root or below the part folder. Folders of texts without a label ('unsup'), and
files outside class folders where there are some, are left out and counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from headstart.contracts.examples import Examples, Schema
from headstart.contracts.format import Columns
from headstart.contracts.left_out import LeftOut, left_out
from headstart.formats._conll_files import find_files
from headstart.formats._encodings import decoded, is_unusual
from headstart.formats._given_paths import is_folder
from headstart.formats._image_groups import groups_of
from headstart.formats._image_layout import Layout, Placed, understand
from headstart.formats._image_scan import Leftovers, is_image_path, walk_files
from headstart.formats._parts import is_unlabelled
from headstart.formats._table_sources import find_tables
from headstart.kernel.errors import DataError
from headstart.kernel.regular import read_regular
from headstart.kernel.settings import Settings
from headstart.kernel.spelling import one_spelling
from headstart.media.images import SUFFIXES

_SUFFIXES = frozenset((".txt",))
_TEXT, _PATH = "text", "path"


class TextFolder(Settings):
    """Folders of .txt files, each of which is a text."""

    @classmethod
    def recognises(cls, source: Any) -> str | None:
        """Return how many texts in how many class folders, where most files are such."""
        if not is_folder(source):
            return None
        others, paths = Leftovers(suffixes=_SUFFIXES | SUFFIXES), list[str]()
        for path in walk_files(Path(source), others):
            if is_image_path(path):
                return None
            paths.append(path)
        few = 2 * sum(others.other.values()) > len(paths)
        if few or not paths or _is_another(Path(source)):
            return None
        return understand([path for path in paths if not _unlabelled_folder(path)] or paths).in_words("text")

    def read(self, source: Any, columns: Columns, *, labelled: bool = True) -> Examples:
        """One row per file: text, path, and label, part and group where there are any.

        Raises:
            DataError: there are no texts, or no classes when labels are wanted.
        """
        leftovers = Leftovers(suffixes=_SUFFIXES, what="texts")
        layout = understand(_paths(source, leftovers))
        notes, told = list[str](leftovers.notes()), _Told()
        if labelled:
            layout = _labelled(source, layout, notes)
        table, kept = _read(Path(source), [text.path for text in layout.images], told)
        notes += told.notes()
        texts, schema = [layout.images[row] for row in kept], _schema(source)
        if labelled:
            called = one_spelling(text.label for text in texts if text.label is not None)
            labels = pa.array([called.get(text.label or "", text.label) for text in texts], pa.string())
            table, schema = table.append_column("label", labels), schema.model_copy(update={"targets": _TARGETS})
        if labelled and layout.part_names:
            table = table.append_column("part", pa.array([text.part for text in texts], pa.string()))
            schema = schema.model_copy(update={"part": "part"})
        if labelled and columns.group is not None:
            groups, more = groups_of(columns.group, [text.path for text in texts])
            table, schema = table.append_column("group", groups), schema.model_copy(update={"group": "group"})
            notes += more
        return Examples(table, schema, tuple(notes))

    def stream(self, source: Any, columns: Columns, rows: int) -> Iterator[Examples]:  # noqa: ARG002
        """All texts, in the same order, some `rows` at a time."""
        leftovers = Leftovers(suffixes=_SUFFIXES, what="texts")
        paths, told = _paths(source, leftovers), _Told()
        for start in range(0, len(paths), rows):
            table, _ = _read(Path(source), paths[start : start + rows], told)
            yield Examples(table, _schema(source), (*leftovers.notes(), *told.notes()))


_TARGETS = {"label": "label"}


@dataclass
class _Told:
    """Files of which a user should know."""

    unread: list[str] = field(default_factory=list)
    assumed: list[str] = field(default_factory=list)
    """Files in an encoding that nothing in them says."""

    def notes(self) -> list[str]:
        """A sentence for each kind."""
        western = f"files that are not UTF-8, read as a Western encoding: {len(self.assumed)}, such as "
        out = left_out(self.unread, "files that hold no text or cannot be read")
        return [*out, *([western + self.assumed[0]] if self.assumed else [])]


def _schema(source: Any) -> Schema:
    return Schema(modality="text", inputs=(_TEXT,), origin=_PATH, root=str(source))


def _is_another(folder: Path) -> bool:
    """Return whether tables or words with tags are there, beside which .txt files only describe them."""
    try:
        return bool(find_tables(folder) or find_files(folder))
    except DataError:
        return True


def _paths(source: Any, leftovers: Leftovers) -> list[str]:
    paths = list(walk_files(Path(source), leftovers)) if Path(source).is_dir() else []
    if not paths:
        raise DataError(f"{source} holds no .txt files. Expected texts, best in one folder per class.")
    return paths


def _labelled(source: Any, layout: Layout, notes: list[str]) -> Layout:
    """The texts that have a class. Raises DataError where there are none, or a folder has two readings."""
    misplaced = [name for name in layout.misplaced_parts if not is_unlabelled(name)]
    if misplaced:
        raise DataError(
            f"{source} has the part folders {', '.join(layout.part_names)} and beside them {', '.join(misplaced[:5])}. "
            "Give one part's folder, or move the others elsewhere."
        )
    if not any(text.label is not None and not _unlabelled_folder(text.path) for text in layout.images):
        raise DataError(
            f"{source} has {layout.in_words('text')}. Labels are wanted: put the texts of each class into a folder of "
            "its own, or give a table with a column of texts and one of labels."
        )

    def folder(text: Placed) -> str | None:
        """The folder for which a text is left out, '' for one outside class folders; None where it has a class."""
        return _unlabelled_folder(text.path) or (None if text.label is not None else "")

    out = Counter(found for found in map(folder, layout.images) if found is not None)
    for name, number in out.items():
        where = f"in {name} left out, as their folder says that they have no label"
        notes.append(LeftOut(number, f"{number} texts {where if name else 'outside class folders left out'}"))
    return Layout(tuple(text for text in layout.images if folder(text) is None), layout.part_names)


def _unlabelled_folder(path: str) -> str | None:
    return next((folder for folder in path.split("/")[:-1] if is_unlabelled(folder)), None)


def _read(root: Path, paths: Sequence[str], told: _Told) -> tuple[pa.Table, list[int]]:
    """The texts with their paths, and which of the paths could be read."""
    texts, kept = list[str](), list[int]()
    for row, path in enumerate(paths):
        try:
            text, encoding = decoded(read_regular(root / path))
        except (OSError, ValueError):
            told.unread.append(path)
            continue
        texts.append(text)
        kept.append(row)
        if is_unusual(encoding):
            told.assumed.append(path)
    found = pa.array([paths[row] for row in kept], pa.string())
    return pa.table({_TEXT: pa.array(texts, pa.string()), _PATH: found}), kept
