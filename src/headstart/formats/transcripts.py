"""Sounds with transcripts in files of their own, as of LibriSpeech: `SPEAKER/CHAPTER/SPEAKER-CHAPTER.trans.txt`.

Each line of such a file has the name of a clip beside it, without its ending, and then its words. The speaker, the
first part of a clip's name, is its group, so that no voice stands on both sides of a split; folders such as
train-clean-100 and dev-other are parts. Tables with paths and transcripts, as of Common Voice, are read by `table`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa

from headstart.contracts.examples import Examples, Schema
from headstart.contracts.format import Columns, in_pieces
from headstart.contracts.left_out import left_out
from headstart.formats._image_scan import Leftovers, walk_files
from headstart.formats._parts import part_of
from headstart.formats._sound_columns import TRANSCRIPT
from headstart.formats._trans_files import ENDING, trans_files
from headstart.kernel.errors import DataError
from headstart.kernel.regular import read_regular
from headstart.kernel.settings import Settings
from headstart.media.audio import SUFFIXES


class Transcripts(Settings):
    """Folders of sounds with `.trans.txt` files beside them."""

    @classmethod
    def recognises(cls, source: Any) -> str | None:
        """Return how many files of transcripts there are."""
        found = trans_files(source)
        return f"{len(found)} {'file' if len(found) == 1 else 'files'} of transcripts ({ENDING})" if found else None

    def read(self, source: Any, columns: Columns, *, labelled: bool = True) -> Examples:
        """One row per clip: path, speaker, part where parts are given, and transcript.

        Raises:
            DataError: there are no clips; or, when labels are wanted, none with a transcript.
        """
        leftovers = Leftovers(suffixes=SUFFIXES, what="sounds")
        files = {path.name.lower() for path in trans_files(source)}
        leftovers.known = frozenset(files)
        paths = list(walk_files(Path(source), leftovers)) if Path(source).is_dir() else []
        if not paths:
            raise DataError(f"{source} holds no sounds: {'; '.join(leftovers.notes()) or 'nothing'}")
        notes = list[str](leftovers.notes())
        words = _words(Path(source)) if labelled else {}
        if labelled:
            bare = [path for path in paths if _stem(path) not in words]
            notes += left_out(bare, "clips without a transcript")
            notes += left_out(sorted({*words} - {_stem(path) for path in paths}), "transcripts without a clip")
            paths = [path for path in paths if _stem(path) in words]
            if not paths:
                raise DataError(f"{source} has no labels: none of its clips has a transcript in a {ENDING} file")
        table = pa.table({"path": pa.array(paths, pa.string())})
        roles: dict[str, Any] = {}
        if labelled:
            table = table.append_column(TRANSCRIPT, pa.array([words[_stem(path)] for path in paths], pa.string()))
            speakers = [PurePosixPath(path).name.split("-")[0] for path in paths]
            table = table.append_column("speaker", pa.array(speakers, pa.string()))
            roles = {"targets": {TRANSCRIPT: TRANSCRIPT}, "group": "speaker", "slices": columns.slices}
            parts = [_part(path) for path in paths]
            if all(parts):
                table, roles["part"] = table.append_column("part", pa.array(parts, pa.string())), "part"
        schema = Schema(modality="audio", inputs=("path",), origin="path", root=str(source), **roles)
        return Examples(table, schema, tuple(notes))

    def stream(self, source: Any, columns: Columns, rows: int) -> Iterator[Examples]:  # noqa: ARG002
        """The clips without transcripts, in the same order, some `rows` at a time."""
        yield from in_pieces(self.read(source, Columns(), labelled=False), rows)


def _words(root: Path) -> dict[str, str]:
    """Path of a clip below the root, without its ending -> what is said."""
    found = {}
    for file in trans_files(root):
        try:
            lines = read_regular(file).decode("utf-8", errors="replace").splitlines()
        except OSError as error:
            raise DataError(f"{file} cannot be read: {error.strerror or error}") from error
        folder = file.parent.relative_to(root).as_posix()
        for line in filter(str.strip, lines):
            name, _, said = line.strip().partition(" ")
            found[name if folder == "." else f"{folder}/{name}"] = said.strip()
    return found


def _stem(path: str) -> str:
    return path.removesuffix(PurePosixPath(path).suffix)


def _part(path: str) -> str | None:
    """The part that the first folder names, as 'train-clean-100' does."""
    return part_of(path.split("/")[0].split("-")[0])
