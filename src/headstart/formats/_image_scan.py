"""Walking a folder of images or texts: every file once, in the order of its path, without asking for its status."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from headstart.contracts.left_out import LeftOut, left_out
from headstart.kernel.errors import DataError
from headstart.media.images import SUFFIXES, looks_like_image

_IGNORED = frozenset({"__macosx", "thumbs.db", "desktop.ini", "$recycle.bin", ".ds_store"})


@dataclass
class Leftovers:
    """Files that a walk passed by, to be told to the user."""

    known: frozenset[str] = frozenset()
    """Names of files that serve the data otherwise."""
    suffixes: frozenset[str] = SUFFIXES
    """Endings of the files that are looked for."""
    what: str = "images"
    """These files in words."""
    other: dict[str, int] = field(default_factory=dict)
    """Suffix -> number of files that are not images; '' for files without a suffix."""
    unnameable: int = 0
    """Files whose names are not valid UTF-8."""
    first_unnameable: str = ""
    """One of them, with the bytes that are not text spelt out."""
    hidden: list[str] = field(default_factory=list)
    """Files and folders whose names begin with a dot; those of folders are not looked for."""
    repeated_links: int = 0
    """Links to folders that the walk has entered already."""
    vanished: int = 0
    """Folders that were there when the folder above them was listed, and are no longer."""

    def notes(self) -> tuple[str, ...]:
        """A sentence for each kind."""
        notes: list[str] = []
        if self.other:
            kinds = sorted(self.other.items(), key=lambda kind: (-kind[1], kind[0]))
            listed = ", ".join(f"{count} {suffix or 'without suffix'}" for suffix, count in kinds[:5])
            number = sum(self.other.values())
            files = "file" if number == 1 else "files"
            notes.append(LeftOut(number, f"{number} {files} other than {self.what} left out ({listed})"))
        if self.unnameable:
            names = f"names are not valid UTF-8: {self.unnameable}, such as {self.first_unnameable}; rename them"
            notes.append(LeftOut(self.unnameable, f"files left out because their {names}"))
        notes += left_out(self.hidden, "hidden files and folders")
        if self.repeated_links:
            notes.append(f"links to folders that are there anyway, not followed: {self.repeated_links}")
        if self.vanished:
            notes.append(f"folders that were deleted or renamed while the data were being read: {self.vanished}")
        return tuple(notes)


def walk_files(root: Path, leftovers: Leftovers) -> Iterator[str]:
    """Paths of the files below `root`, relative and with '/', sorted by their components; links are followed once."""
    identity = _identity(root)
    yield from _walk(str(root), "", {identity} if identity else set(), leftovers)


def _walk(folder: str, relative: str, entered: set[tuple[int, int]], leftovers: Leftovers) -> Iterator[str]:
    entries = _entries(folder, leftovers)
    # Real folders come before links to them, whatever the names, so that a link never hides the real one beside it.
    real = {_identity(Path(entry.path)) for entry in entries if entry.is_dir(follow_symlinks=False)}
    for entry in entries:
        path = f"{relative}{entry.name}"
        if entry.name.lower() in _IGNORED | leftovers.known:
            continue
        if entry.name.startswith("."):
            leftovers.hidden.append(path)
            continue
        if not _is_folder(entry):
            if _is_wanted(entry, path, leftovers):
                yield path
            continue
        identity = _identity(Path(entry.path))
        if identity is None:
            leftovers.vanished += 1
            continue
        if identity in entered or (entry.is_symlink() and identity in real):
            leftovers.repeated_links += 1
            continue
        entered.add(identity)
        yield from _walk(entry.path, f"{path}/", entered, leftovers)


def _entries(folder: str, leftovers: Leftovers) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda entry: entry.name)
    except FileNotFoundError:
        leftovers.vanished += 1
        return []
    except OSError as error:
        raise DataError(f"the folder {folder} cannot be read: {error.strerror or error}") from error


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads in a circle
        return False


def _is_wanted(entry: os.DirEntry[str], path: str, leftovers: Leftovers) -> bool:
    suffix = os.path.splitext(entry.name)[1].lower()
    nameless_image = suffix == "" and leftovers.suffixes is SUFFIXES and looks_like_image(Path(entry.path))
    if suffix not in leftovers.suffixes and not nameless_image:
        leftovers.other[suffix] = leftovers.other.get(suffix, 0) + 1
        return False
    try:
        path.encode()
    except UnicodeEncodeError:
        leftovers.unnameable += 1
        leftovers.first_unnameable = leftovers.first_unnameable or os.fsencode(path).decode(errors="backslashreplace")
        return False
    return True


def _identity(folder: Path) -> tuple[int, int] | None:
    """None for a folder that is gone. Raises DataError where it is out of reach."""
    try:
        status = folder.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataError(f"the folder {folder} cannot be read: {error.strerror or error}") from error
    return status.st_dev, status.st_ino


def files_below(root: Path) -> list[str]:
    """Paths of all files below a folder, hidden ones too, but what systems leave there; relative, with '/', sorted."""
    if not root.is_dir():
        return []
    paths = (path.relative_to(root) for path in root.rglob("*") if not path.is_dir())
    return [path.as_posix() for path in sorted(paths) if not {part.lower() for part in path.parts} & _IGNORED]


def is_hidden(path: str) -> bool:
    """Return whether a file or a folder above it has a name that begins with a dot."""
    return any(part.startswith(".") for part in path.split("/"))


def is_image_path(path: str) -> bool:
    """Return whether a path ends as a picture's name does."""
    return PurePosixPath(path).suffix.lower() in SUFFIXES
