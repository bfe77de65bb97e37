"""Names for files that predictions write beside their table: those of the examples, each once."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from headstart.contracts.examples import Examples
from headstart.contracts.modality import files_of
from headstart.kernel.files import fitting, hash_bytes
from headstart.media.images import SUFFIXES

ENDINGS = SUFFIXES | {".dcm", ".dicom", ".ima"}
"""What is left out of a name; in others a point may stand for something, as in 1.2.840.113619."""

MOST_BYTES = 1000
"""Of a path below the folder; a longer one has its last name alone."""

_ROW = re.compile(r"(?:\.\w+)?:(\d+)$")
"""Ends the origin of a row: 'table.csv:12'."""
_FOREIGN = re.compile('[<>:"|?*\x00-\x1f\x7f]')
"""Characters that some file system has not in names."""
_LIKE_A_FILE = re.compile(r"\.(png|gz|json)$", re.IGNORECASE)
"""A folder with such a name could stand where a file is to be written."""


def names_of(examples: Examples) -> list[str]:
    """What each example is called: the path of its picture from the folder of the data, else its origin."""
    names = examples.origins()
    for row, file in enumerate(files_of(examples)):
        if file is not None:
            names[row] = _from(file, examples.schema.root)
    return [_ROW.sub(r"-\1", name) for name in names]


class FileNames:
    """Paths without suffix, below a folder, that no two examples share."""

    def __init__(self) -> None:
        """None is taken yet."""
        self._taken: set[str] = set()
        self._numbers: dict[str, int] = {}

    def of(self, names: Sequence[str]) -> list[str]:
        """'scans/17' for 'scans/17.jpg'; with the suffix, then with a number, where that is taken.

        What is too long for a file system is cut and has a hash of the whole at its end.
        """
        return [self._free(name) for name in names]

    def _free(self, name: str) -> str:
        path = PurePosixPath(name.replace("\\", "/"))
        parts = [_FOREIGN.sub("-", part) for part in path.parts if part not in ("/", "..", ".")] or ["input"]
        *folders, last = parts
        folders = [_LIKE_A_FILE.sub(r"-\1", folder) for folder in folders]
        stem, ending = PurePosixPath(last).stem, PurePosixPath(last).suffix
        if ending.lower() not in ENDINGS:
            stem, ending = last, ""
        for candidate in (stem, f"{stem}-{ending[1:]}" if ending else stem):
            found = _short([*folders, candidate])
            if self._take(found):
                return found
        whole = f"{stem}-{ending[1:]}" if ending else stem
        while True:
            number = self._numbers[name] = self._numbers.get(name, 1) + 1
            found = _short([*folders, f"{whole}-{number}"])
            if self._take(found):
                return found

    def _take(self, name: str) -> bool:
        """Whether a name was free, also where upper and lower case are one."""
        key = unicodedata.normalize("NFC", name).casefold()
        free = key not in self._taken
        self._taken.add(key)
        return free


def _from(path: Path, root: str) -> str:
    return str(path.relative_to(root)) if root and path.is_relative_to(root) else str(path)


def _short(parts: Sequence[str]) -> str:
    whole = "/".join(map(fitting, parts))
    if len(whole.encode(errors="surrogateescape")) <= MOST_BYTES:
        return whole
    return fitting(f"{parts[-1][:100]}-{hash_bytes('/'.join(parts).encode(errors='surrogateescape'), size=8)}")
