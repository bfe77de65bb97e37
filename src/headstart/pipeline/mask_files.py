"""Predictions that are files, such as masks, in a folder beside their table: all of them or none.

The folder is written under another name and takes its place when all is done. A hidden list in it says what was
written, with hashes: a folder that holds anything else, or a file that was changed since, is never replaced.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from headstart.contracts.examples import Examples
from headstart.contracts.modality import files_of, raws_of
from headstart.contracts.prediction import Prediction
from headstart.contracts.task_capabilities import FinishesFiles, WritesFiles
from headstart.kernel.errors import HeadstartError, SettingsError
from headstart.kernel.files import atomic_folder, fitting, hash_bytes, read_json, write_json
from headstart.media.images import SUFFIXES
from headstart.pipeline.destination import GIVE_ANOTHER

WRITTEN = ".headstart-predictions.json"
"""The list: path below the folder -> hash."""

LEFT_BY_VIEWERS = frozenset((".DS_Store", "Thumbs.db", "desktop.ini"))
"""Files that a system puts into folders which it shows."""


ENDINGS = SUFFIXES | {".dcm", ".dicom", ".ima"}
"""File endings that are left out of a name; another point may mean something, as in 1.2.840.113619."""

MOST_BYTES = 1000
"""Of a path below the folder; a longer one has its last name alone."""

_ROW = re.compile(r"(?:\.\w+)?:(\d+)$")
"""Ends the origin of a row: 'table.csv:12'."""
_FOREIGN = re.compile('[<>:"|?*\x00-\x1f\x7f]')
"""Characters that some file system has not in names."""
_LIKE_A_FILE = re.compile(r"\.(png|gz|json)$", re.IGNORECASE)
"""A folder with such a name could stand where a file is to be written."""


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
        """Take a name; False where it is taken already, also in upper or lower case."""
        key = unicodedata.normalize("NFC", name).casefold()
        free = key not in self._taken
        self._taken.add(key)
        return free


class MaskFiles:
    """Files of predictions as they are written."""

    def __init__(self, folder: Path, final: Path) -> None:
        """`folder` is where they lie while there are more to come, `final` where they will."""
        self.folder, self.final = folder, final
        self.of: dict[str, Path] = {}
        """Origin -> file."""
        self._names = FileNames()

    def write(self, shown: WritesFiles, prediction: Prediction, examples: Examples) -> list[str]:
        """Those of some examples, as the table names them."""
        written = shown.files(prediction, raws_of(examples), self._names.of(names_of(examples)), self.folder)
        self.of |= {origin: self.folder / file for origin, file in zip(examples.origins(), written)}
        return [f"{self.final.name}/{file}" for file in written]

    def finish(self, shown: WritesFiles) -> None:
        """All examples were written."""
        if isinstance(shown, FinishesFiles):
            shown.finish(self.folder)


@contextmanager
def mask_files(final: Path) -> Iterator[MaskFiles]:
    """Files that appear in the folder `final` when the block succeeds.

    Raises:
        SettingsError: the folder holds something else. HeadstartError: it cannot be written.
    """
    target = final.resolve()
    require_own(target)
    with atomic_folder(target, lambda: require_own(target)) as folder:
        found = MaskFiles(folder, final)
        yield found
        written = {path.relative_to(folder).as_posix(): _hash(path) for path in _files(folder)}
        if written:
            write_json(folder / WRITTEN, written)


def require_own(folder: Path) -> None:
    """Refuse a folder that holds anything that an earlier prediction did not write. Raises SettingsError."""
    if not os.path.lexists(folder):
        return
    refused = f"predicted files cannot be written to {folder}/"
    if not folder.is_dir():
        raise SettingsError(f"{refused}: it is a file. {GIVE_ANOTHER}")
    written = _listed(folder)
    for path in _files(folder):
        name = path.relative_to(folder).as_posix()
        if name == WRITTEN or path.name in LEFT_BY_VIEWERS:
            continue
        if name not in written:
            raise SettingsError(f"{refused}: it holds {name}, which no prediction wrote. {GIVE_ANOTHER}")
        if path.is_symlink() or _hash(path) != written[name]:
            raise SettingsError(f"{refused}: {name} was changed since it was predicted. {GIVE_ANOTHER}")


def _files(folder: Path) -> Iterator[Path]:
    """All below a folder that is not a folder itself; links are not followed."""
    for place, folders, names in os.walk(folder):
        links = [name for name in folders if os.path.islink(os.path.join(place, name))]
        yield from (Path(place, name) for name in (*links, *names))


def _listed(folder: Path) -> Mapping[str, str]:
    try:
        found = read_json(folder / WRITTEN)
    except (HeadstartError, OSError):
        return {}
    return found if isinstance(found, dict) else {}


def _hash(path: Path) -> str:
    return hash_bytes(path.read_bytes())


def names_of(examples: Examples) -> list[str]:
    """Name each example: the path of its picture from the folder of the data, else its origin."""
    names = examples.origins()
    for row, file in enumerate(files_of(examples)):
        if file is not None:
            names[row] = _from(file, examples.schema.root)
    return [_ROW.sub(r"-\1", name) for name in names]


def _from(path: Path, root: str) -> str:
    return str(path.relative_to(root)) if root and path.is_relative_to(root) else str(path)


def _short(parts: Sequence[str]) -> str:
    whole = "/".join(map(fitting, parts))
    if len(whole.encode(errors="surrogateescape")) <= MOST_BYTES:
        return whole
    return fitting(f"{parts[-1][:100]}-{hash_bytes('/'.join(parts).encode(errors='surrogateescape'), size=8)}")
