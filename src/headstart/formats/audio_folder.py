"""Sounds in folders: class folders, with or without train, val and test folders above them; or sounds without classes.

The class is the first folder below the root or below the part folder, as of images. Folders with transcripts are read
by `transcripts`, tables that name sounds by `table`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from headstart.contracts.examples import Examples, Schema
from headstart.contracts.format import Columns, in_pieces
from headstart.contracts.left_out import LeftOut
from headstart.formats._given_paths import is_path
from headstart.formats._image_groups import groups_of
from headstart.formats._image_layout import Layout, understand
from headstart.formats._image_scan import Leftovers, walk_files
from headstart.formats._table_sources import find_tables
from headstart.formats._trans_files import trans_files
from headstart.kernel.errors import DataError
from headstart.kernel.settings import Settings
from headstart.kernel.spelling import one_spelling
from headstart.media.audio import SUFFIXES, is_audio_path


class AudioFolder(Settings):
    """Folders of sounds, a single sound, or a list of paths of sounds."""

    @classmethod
    def recognises(cls, source: Any) -> str | None:
        """Return how many sounds in how many class folders, where most files are such."""
        if _is_path_list(source):
            return f"a list of {len(source)} paths of sounds"
        if not is_path(source):
            return None
        path = Path(source)
        if path.is_file():
            return "one sound" if is_audio_path(path.name) else None
        others = _leftovers()
        paths = list(walk_files(path, others)) if path.is_dir() else []
        few = 2 * sum(others.other.values()) > len(paths)
        if few or not paths or trans_files(path) or _has_tables(path):
            return None
        return understand(paths).in_words("clip")

    def read(self, source: Any, columns: Columns, *, labelled: bool = True) -> Examples:
        """One row per sound: path, label, part where parts are given, group where `columns.group` is.

        Raises:
            DataError: there are no sounds, or no classes when labels are wanted.
        """
        root, paths, notes = _sounds(source)
        layout = understand(paths)
        if labelled:
            layout, left_out = _labelled(source, layout)
            notes = (*notes, *left_out)
        clips = layout.images if labelled else [clip._replace(label=None) for clip in layout.images]
        table = {"path": pa.array([clip.path for clip in clips], pa.string())}
        roles: dict[str, Any] = {}
        if labelled:
            called = one_spelling(clip.label for clip in clips if clip.label is not None)
            table["label"] = pa.array([called.get(clip.label or "", clip.label) for clip in clips], pa.string())
            roles["targets"] = {"label": "label"}
        if labelled and layout.part_names:
            table["part"], roles["part"] = pa.array([clip.part for clip in clips], pa.string()), "part"
        if labelled and columns.group is not None:
            table["group"], more = groups_of(columns.group, [clip.path for clip in clips])
            roles["group"], notes = "group", (*notes, *more)
        schema = Schema(modality="audio", inputs=("path",), origin="path", root=str(root), **roles)
        return Examples(pa.table(table), schema, notes)

    def stream(self, source: Any, columns: Columns, rows: int) -> Iterator[Examples]:  # noqa: ARG002
        """The sounds without labels, in the same order, some `rows` at a time."""
        yield from in_pieces(self.read(source, Columns(), labelled=False), rows)


def _leftovers() -> Leftovers:
    return Leftovers(suffixes=SUFFIXES, what="sounds")


def _is_path_list(source: Any) -> bool:
    if not isinstance(source, (list, tuple)) or not source:
        return False
    return all(isinstance(path, (str, Path)) and is_audio_path(str(path)) for path in source)


def _has_tables(folder: Path) -> bool:
    try:
        return bool(find_tables(folder))
    except DataError:
        return True


def _sounds(source: Any) -> tuple[Path | str, list[str], tuple[str, ...]]:
    """Where relative paths start, the paths, and what is to be told."""
    if isinstance(source, (list, tuple)):
        return "", [str(path) for path in source], ()
    path = Path(source)
    if path.is_file():
        return path.parent, [path.name], ()
    leftovers = _leftovers()
    found = list(walk_files(path, leftovers)) if path.is_dir() else []
    if not found:
        held = "; ".join(leftovers.notes()) or "nothing"
        raise DataError(f"{source} holds no sounds: {held}. Expected {', '.join(sorted(SUFFIXES))} files.")
    return path, found, leftovers.notes()


def _labelled(source: Any, layout: Layout) -> tuple[Layout, tuple[LeftOut, ...]]:
    """The sounds that have a class. Raises DataError where there are none, or a folder has two readings."""
    if layout.misplaced_parts:
        raise DataError(
            f"{source} has the part folders {', '.join(layout.part_names)} and beside them "
            f"{', '.join(layout.misplaced_parts[:5])}. Give one part's folder, or move the others elsewhere."
        )
    kept = tuple(clip for clip in layout.images if clip.label is not None)
    if not kept:
        raise DataError(
            f"{source} has {layout.in_words('clip')}. Labels are wanted: put the clips of each class into a folder of "
            "its own, or write a table with a column of their paths and one of labels or transcripts."
        )
    number = len(layout.images) - len(kept)
    notes = (LeftOut(number, f"clips outside class folders, left out: {number}"),) if number else ()
    return Layout(kept, layout.part_names), notes
