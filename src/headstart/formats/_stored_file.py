"""A file of a table as it lies on disk: as it is, compressed, or in a zip archive."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from headstart.formats._image_scan import is_hidden, is_image_path
from headstart.kernel.errors import DataError, some
from headstart.kernel.regular import open_regular

ZIP = ".zip"
PACKINGS: dict[str, tuple[bytes, Callable[[Any], Any]]] = {
    ".gz": (b"\x1f\x8b", lambda raw: gzip.GzipFile(fileobj=raw)),
    ".bz2": (b"BZh", bz2.BZ2File),
    ".xz": (b"\xfd7zXZ\x00", lzma.LZMAFile),
}
"""Ending -> how such files begin, and what reads them."""
_FAULTS = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, NotImplementedError)
_ENCRYPTED = 1
"""Bit of a member's flags."""
_LISTED = 8
_SYSTEMS = frozenset(("__macosx", ".ds_store"))


@dataclass(frozen=True)
class StoredFile:
    """One table's file."""

    path: Path
    member: str = ""
    """Name within the zip archive that `path` is; '' where the file is the table's own."""

    @property
    def name(self) -> str:
        """As errors and origins have it: 'a.csv.gz', 'data.zip/a.csv'."""
        return f"{self.path.name}/{self.member}" if self.member else self.path.name

    def __str__(self) -> str:
        return f"{self.path}/{self.member}" if self.member else str(self.path)

    @property
    def root(self) -> str:
        """The folder that relative paths start from."""
        return str(self.path.parent)

    @property
    def stem(self) -> str:
        """The name without its endings: 'a' of a.csv.gz."""
        return self._content.stem

    @property
    def suffix(self) -> str:
        """The ending of what is packed, in lower case: '.csv' of a.csv.gz."""
        return self._content.suffix.lower()

    @property
    def _content(self) -> PurePosixPath:
        name = PurePosixPath(self.member or self.path.name)
        return PurePosixPath(name.stem) if name.suffix.lower() in PACKINGS else name

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """The bytes of the table, to be read and sought in. Raises DataError, also for faults found while reading."""
        try:
            with open_regular(self.path) as raw:
                if not self.member:
                    yield self._unpacked(raw, self.path.suffix.lower())
                else:
                    with zipfile.ZipFile(raw) as archive, archive.open(self.member) as packed:
                        yield self._unpacked(packed, PurePosixPath(self.member).suffix.lower())
        except _FAULTS as error:
            raise DataError(f"{self} cannot be read: {getattr(error, 'strerror', None) or error}") from error

    def _unpacked(self, raw: Any, suffix: str) -> Any:
        begins = raw.read(8)
        raw.seek(0)
        if not begins:
            raise DataError(f"{self} is empty (0 bytes)")
        unpack = next((unpack for magic, unpack in PACKINGS.values() if begins.startswith(magic)), None)
        if unpack is None and suffix in PACKINGS:
            raise DataError(f"{self} is not a {suffix} file, whatever its name says: it begins with {begins!r}")
        return unpack(raw) if unpack else raw


def members(path: Path, is_table: Callable[[StoredFile], bool]) -> list[StoredFile]:
    """The tables in a zip archive, by name.

    Raises:
        DataError: it is damaged or needs a password, or holds no table.
    """
    try:
        with open_regular(path) as raw, zipfile.ZipFile(raw) as archive:
            every = [info for info in archive.infolist() if not info.is_dir() and _is_own(info.filename)]
    except _FAULTS as error:
        raise DataError(
            f"{path} cannot be read as a zip archive: {getattr(error, 'strerror', None) or error}"
        ) from error
    if any(info.flag_bits & _ENCRYPTED for info in every):
        raise DataError(f"{path} is protected by a password. Unpack it, and give what was in it.")
    found = sorted((StoredFile(path, info.filename) for info in every), key=lambda file: file.member)
    tables = [file for file in found if is_table(file)]
    if tables and not any(is_image_path(file.member) for file in found):
        return tables
    if not found:
        raise DataError(f"{path} holds no files")
    held = f"{len(found)} files, such as {found[0].member}, and no table to read"
    if any(is_image_path(file.member) for file in found):
        held = f"{sum(is_image_path(file.member) for file in found)} pictures, which are read from folders"
    raise DataError(f"{path} holds {held}. Unpack it and give the folder: unzip {path.name} -d {path.stem}")


class SeveralTables(DataError):
    """One of several tables must be named."""

    def __init__(self, message: str, held: str) -> None:
        """`held` lists them: '2 sheets: May, June'."""
        super().__init__(message)
        self.held = held


def chosen(file: object, kind: str, names: Sequence[str], wanted: str | None) -> str:
    """The lone name, or the wanted one of several. Raises DataError where that is not clear."""
    if len(names) == 1 or wanted in names:
        return wanted if wanted in names and wanted is not None else names[0]
    listed = some(names, _LISTED)
    missing = "" if wanted is None else f"no '{wanted}' among "
    held = f"{missing}{len(names)} {kind}: {listed}"
    raise SeveralTables(
        f"{file} holds {held}. Say which with --set format.table=NAME", f"{len(names)} {kind}: {listed}"
    )


def _is_own(member: str) -> bool:
    """False for what systems leave in archives."""
    return not is_hidden(member) and not _SYSTEMS & {part.lower() for part in member.split("/")}
