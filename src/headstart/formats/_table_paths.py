"""From a path to tables: a file, an archive, a folder with a file or a folder for each part, or shards of one table."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from headstart.formats._arrow_files import arrow_file
from headstart.formats._csv import CsvFile
from headstart.formats._databases import DatabaseTable
from headstart.formats._image_scan import is_image_path
from headstart.formats._parts import part_of
from headstart.formats._record_tables import Json, JsonLines, Lines
from headstart.formats._stored_file import PACKINGS, ZIP, StoredFile, chosen, members
from headstart.formats._table_files import ParquetFile
from headstart.formats._table_part import TablePart, TableSource
from headstart.formats._workbooks import Sheet
from headstart.kernel.errors import DataError

_OPEN: dict[str, Callable[[StoredFile], TableSource]] = {
    ".csv": CsvFile,
    ".tsv": CsvFile,
    ".tab": CsvFile,
    ".parquet": ParquetFile,
    ".pq": ParquetFile,
    ".arrow": arrow_file,
    ".feather": arrow_file,
    ".jsonl": JsonLines,
    ".ndjson": JsonLines,
    ".json": Json,
    ".txt": Lines,
}
_OPEN_ONE_OF_SEVERAL: dict[str, Callable[[StoredFile, str | None], TableSource]] = {
    **dict.fromkeys((".xlsx", ".xlsm", ".xls"), Sheet),
    **dict.fromkeys((".db", ".sqlite", ".sqlite3", ".db3"), DatabaseTable),
}
_PLAIN = frozenset((".csv", ".tsv", ".tab", ".parquet", ".pq", ".jsonl", ".ndjson"))
_NOT_IN_FOLDERS = frozenset((".json", ".txt", ".db", ".db3"))
"""In a folder these are more often about the data than the data."""
_ENDINGS = frozenset((*_OPEN, *_OPEN_ONE_OF_SEVERAL, *PACKINGS))
_OF_COMMON_VOICE = frozenset(
    ("validated", "invalidated", "other", "reported", "clip_durations", "validated_sentences", "unvalidated_sentences")
)
"""Tables of Common Voice beside those of its parts: clips that are in a part already, or in none."""
_SHARD = re.compile(r"(?:^|[-_.])\d+(?:-of-(\d+))?(?:-[0-9a-f-]{36})?(?:[-.]c\d+)?(?:\.snappy|\.gz)?$")
"""The end of a shard's name without its ending: train-00000-of-00003, part-00000-UUID-c000.snappy, 0000."""
_LISTED = 8


def tables_on_disk(path: Path, wanted: str | None) -> list[TablePart] | None:
    """The tables of a path, in the order train, val, test; None when there are none.

    Raises:
        DataError: there are tables, but which one is meant is not clear, or one cannot be opened.
    """
    if path.is_file():
        if path.suffix.lower() == ZIP:
            return _of_archive(path, wanted)
        file = StoredFile(path)
        return [TablePart("", "", _opened(file, wanted))] if _is_table(file) else None
    if not path.is_dir():
        return None
    return _of_files(path, _tables_in(path), wanted) or _of_folders(path, wanted)


def _of_archive(path: Path, wanted: str | None) -> list[TablePart]:
    found = members(path, lambda file: _is_table(file) and file.suffix != ".txt")
    if not _are_one(found):
        name = chosen(path, "tables", [file.member for file in found], wanted)
        found = [file for file in found if file.member == name]
    return _together(path, found, wanted)


def _of_files(folder: Path, files: Sequence[StoredFile], wanted: str | None) -> list[TablePart]:
    """The tables right in a folder."""
    if _are_one(files):
        return _together(folder, files, wanted)
    listed = ", ".join(file.name for file in files[:_LISTED])
    raise DataError(
        f"{folder} holds {len(files)} tables ({listed}), and not all are named after parts, as train.csv, "
        "val.csv and test.csv are. Give the file that is meant."
    )


def _part(file: StoredFile) -> str | None:
    return part_of(_SHARD.sub("", file.stem))


def _are_one(files: Sequence[StoredFile]) -> bool:
    """Return whether all are named after parts, or are shards: their names differ by a running number alone."""
    names = {(_SHARD.sub("", file.stem), file.suffix) for file in files if _SHARD.search(file.stem)}
    are_shards = len(names) == 1 and all(_SHARD.search(file.stem) for file in files)
    return len(files) < 2 or are_shards or None not in map(_part, files)


def _together(where: Path, files: Sequence[StoredFile], wanted: str | None) -> list[TablePart]:
    _require_whole(where, files)
    tables = [TablePart(_part(file) or "", "", _opened(file, wanted)) for file in files]
    _require_same_columns(where, [table.source for table in tables if not table.part])
    return by_part(tables)


def _of_folders(path: Path, wanted: str | None) -> list[TablePart] | None:
    """The tables in folders for the parts, or in the only folder there is."""
    every = _folders_in(path)
    if len(every) == 1 and not part_of(every[0].name):
        files = [] if _folders_in(every[0]) else _tables_in(every[0])
        return _of_files(every[0], files, wanted) if files else None
    found = []
    for folder in every:
        part = part_of(folder.name)
        if part and not _folders_in(folder):
            files = _tables_in(folder)
            _require_whole(folder, files)
            found += [TablePart(part, folder.name, _opened(file, wanted)) for file in files]
    return by_part(found) or None


def by_part(tables: list[TablePart]) -> list[TablePart]:
    """In the order train, val, test."""
    return sorted(tables, key=lambda table: ("", "train", "val", "test").index(table.part))


def _is_table(file: StoredFile) -> bool:
    return file.suffix in _OPEN or file.suffix in _OPEN_ONE_OF_SEVERAL


def _opened(file: StoredFile, wanted: str | None) -> TableSource:
    kind = _OPEN.get(file.suffix)
    return kind(file) if kind else _OPEN_ONE_OF_SEVERAL[file.suffix](file, wanted)


def _tables_in(folder: Path) -> list[StoredFile]:
    """By name; what is not a regular file is refused when it is opened, as it may be the part that is meant."""
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if not entry.name.startswith(".") and not entry.is_dir())
    files = [StoredFile(folder / name) for name in names if os.path.splitext(name)[1].lower() in _ENDINGS]
    tables = [file for file in files if _is_table(file) and file.suffix not in _NOT_IN_FOLDERS]
    plain = {file.stem for file in tables if file.path.suffix.lower() in _PLAIN}
    if plain:  # a packed copy or a workbook beside them is left out, and counted
        tables = [f for f in tables if f.path.suffix.lower() in _PLAIN or (_part(f) and f.stem not in plain)]
    if (folder / "clips").is_dir() and any(_part(file) == "train" for file in tables):
        tables = [file for file in tables if file.stem not in _OF_COMMON_VOICE]
    if tables or any(map(is_image_path, names)) or _folders_in(folder):
        return tables
    return [file for file in files if file.suffix == ".json" and part_of(file.stem)]


def _folders_in(folder: Path) -> list[Path]:
    with os.scandir(folder) as entries:
        return sorted(
            Path(entry.path) for entry in entries if entry.is_dir() and not entry.name.startswith((".", "__"))
        )


def _require_whole(folder: Path, files: Sequence[StoredFile]) -> None:
    """Refuse shards of which some are missing, as far as their names tell. Raises DataError."""
    numbers: dict[tuple[str, str], int] = {}
    for file in files:
        shard = _SHARD.search(file.stem)
        if shard and shard[1]:
            key = _SHARD.sub("", file.stem), shard[1]
            numbers[key] = numbers.get(key, 0) + 1
    for (name, whole), there in numbers.items():
        if there < int(whole):
            raise DataError(f"{folder}: {there} of {int(whole)} files {name}-*-of-{whole} are there. Add the others.")


def _require_same_columns(folder: Path, tables: Sequence[TableSource]) -> None:
    """Refuse tables that are not shards of one. Raises DataError."""
    other = next((table for table in tables[1:] if set(table.names()) != set(tables[0].names())), None)
    if other is not None:
        raise DataError(
            f"{folder}: {tables[0].words} and {other.words} have different columns ({', '.join(tables[0].names())}; "
            f"{', '.join(other.names())}). Give the file that is meant."
        )
