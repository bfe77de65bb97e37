"""Predictions that are files, such as masks, in a folder beside their table: all of them or none.

The folder is written under another name and takes its place when all is done. A hidden list in it says what was
written, with hashes: a folder that holds anything else, or a file that was changed since, is never replaced.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from headstart.contracts.carriers import Prediction
from headstart.contracts.examples import Examples
from headstart.contracts.task_capabilities import WritesFiles
from headstart.kernel.errors import HeadstartError, SettingsError
from headstart.kernel.files import atomic_folder, hash_bytes, read_json, write_json
from headstart.pipeline.destination import GIVE_ANOTHER
from headstart.pipeline.file_names import FileNames, names_of

WRITTEN = ".headstart-predictions.json"
"""The list: path below the folder -> hash."""

LEFT_BY_VIEWERS = frozenset((".DS_Store", "Thumbs.db", "desktop.ini"))
"""Files that a system puts into folders which it shows."""


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
        written = shown.files(prediction, examples.raws(), self._names.of(names_of(examples)), self.folder)
        self.of |= {origin: self.folder / file for origin, file in zip(examples.origins(), written)}
        return [f"{self.final.name}/{file}" for file in written]


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
    if not folder.is_dir():
        raise SettingsError(f"masks cannot be written to {folder}/: it is a file. {GIVE_ANOTHER}")
    written = _listed(folder)
    for path in _files(folder):
        name = path.relative_to(folder).as_posix()
        if name == WRITTEN or path.name in LEFT_BY_VIEWERS:
            continue
        if name not in written:
            raise SettingsError(
                f"masks cannot be written to {folder}/: it holds {name}, which no prediction wrote. {GIVE_ANOTHER}"
            )
        if path.is_symlink() or _hash(path) != written[name]:
            raise SettingsError(
                f"masks cannot be written to {folder}/: {name} was changed since it was predicted. {GIVE_ANOTHER}"
            )


def _files(folder: Path) -> Iterator[Path]:
    """All below a folder that is no folder itself; links are not followed."""
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
