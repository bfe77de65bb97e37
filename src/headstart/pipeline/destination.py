"""The places that commands write to: never an input, a folder of inputs, or a run that is not the command's own.

Places are compared as the file system knows them, so that links, `..` and upper or lower case hide nothing. A folder
given as data counts with all that lies in it; a file counts alone, so that results may lie beside it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from headstart.contracts.examples import Examples
from headstart.contracts.modality import files_of
from headstart.kernel.errors import HeadstartError, RunError, SettingsError
from headstart.kernel.files import read_json
from headstart.kernel.folders import cache_folder
from headstart.pipeline.claim import REQUEST, RUNS, Request, default_folder, refuse_start
from headstart.pipeline.record import FILE_NAME

GIVE_ANOTHER = "Nothing was written. Give another --out."


def require_apart(place: Path, inputs: Iterable[Any], what: str = "the result") -> None:
    """Refuse a place that is an input, lies in a folder of inputs, or holds an input.

    Args:
        place: the file or folder that will be written; it need not exist.
        inputs: what the command reads; anything but paths that exist is passed over.
        what: will be written there.

    Raises:
        SettingsError: naming the place and the input; RunError where that is a run.
    """
    for given in _paths(inputs):
        fault = next(filter(None, (_fault(one, given) for one in _locations(place))), None)
        if fault is not None:
            kind = RunError if is_run(given) else SettingsError
            raise kind(f"{what} cannot be written to {place}, which {fault} {given}, an input. {GIVE_ANOTHER}")


def require_outside_runs(place: Path, own: Path | None = None, what: str = "the result") -> None:
    """Refuse a place that is or lies in a run folder other than `own`. Raises RunError."""
    for one in _locations(place):
        for folder in (one, *one.parents):
            if own is not None and _same(folder, own):
                break
            if is_run(folder):
                raise RunError(f"{what} cannot be written to {place}: {folder} is a run. {GIVE_ANOTHER}")


def require_replaceable(file: Path, is_ours: Callable[[Path], bool], what: str) -> None:
    """Refuse to replace a file that Headstart did not write, unless it is empty. Raises SettingsError."""
    if not os.path.lexists(file) or (file.is_symlink() and not os.path.exists(file)):
        return
    if not file.is_file():
        raise SettingsError(f"{what} cannot be written to {file}: it is not a file. {GIVE_ANOTHER}")
    if file.stat().st_size and not is_ours(file):
        raise SettingsError(f"{file} is there already and is not {what}: it will not be replaced. {GIVE_ANOTHER}")


def require_new_run(out: Path | None, plan: Request, *inputs: Any) -> None:
    """Refuse a run folder in, at or above what the run reads, or in another run.

    Below a folder of data there may be a folder `runs` that holds runs alone: no format finds examples in these.

    Raises:
        SettingsError: it is an input, lies in one or holds one. RunError: that is a run, or it lies in a run.
    """
    require_cache_apart(*inputs)
    place = out or default_folder(plan)
    refuse_start(place, plan)
    others = [given for given in _paths(inputs) if not _among_runs(place, given)]
    require_apart(place, others, "the run")
    require_outside_runs(place.parent, what="a new run")


def require_cache_apart(*inputs: Any) -> None:
    """Refuse a cache that is or lies in a folder of inputs, unless it is hidden there. Raises SettingsError."""
    place = cache_folder()
    for given in _paths(inputs):
        for one in _locations(place):
            above = [one, *one.parents]
            depth = next((depth for depth, folder in enumerate(above) if _same(folder, given)), None)
            if depth is not None and not any(folder.name.startswith(".") for folder in above[:depth]):
                raise SettingsError(
                    f"the cache {place} is among the inputs in {given}. Nothing was written. Let HEADSTART_CACHE name "
                    "another folder."
                )


def require_apart_from_pictures(place: Path, examples: Examples, what: str = "the result") -> None:
    """Refuse a folder that holds pictures which a table or list names. Raises SettingsError."""
    if not os.path.isdir(place):
        return
    one_of_each = {file.parent: file for file in files_of(examples) if file is not None}
    require_apart(place, one_of_each.values(), what)


def _locations(place: Path) -> list[Path]:
    """The place that a path leads to, and its own: a link is replaced, a folder that a link leads to is written to."""
    try:
        return list(dict.fromkeys((place.resolve(), place.parent.resolve() / place.name)))
    except (OSError, RuntimeError, ValueError) as error:
        raise SettingsError(f"{place} cannot be written: {error}. {GIVE_ANOTHER}") from error


def _fault(place: Path, given: Path) -> str | None:
    """A word for a place that is, holds or lies in an input; None for any other."""
    if _same(place, given):
        return "is"
    if given.is_dir() and any(_same(folder, given) for folder in place.parents):
        return "lies in"
    return "holds" if any(_same(place, folder) for folder in given.resolve().parents) else None


def _among_runs(place: Path, given: Path) -> bool:
    """True for a place in a folder `runs`, right below the given one, in which nothing else is."""
    above = [place.resolve(), *place.resolve().parents]
    found = next((child for child, folder in pairwise(above) if _same(folder, given)), None)
    if found is None or found == above[0] or found.name != RUNS.name:
        return False
    return not found.exists() or all(is_run(path) for path in found.iterdir() if not path.name.startswith("."))


def _paths(inputs: Iterable[Any]) -> Iterator[Path]:
    for given in inputs:
        if isinstance(given, (list, tuple)):
            yield from _paths(given)
        elif isinstance(given, (str, Path)) and str(given) and os.path.exists(path := Path(given).expanduser()):
            yield path


def _same(one: Path, other: Path) -> bool:
    try:
        return os.path.samefile(one, other)
    except (OSError, ValueError):
        return False


def is_run(folder: Path) -> bool:
    """True for a run of whichever verb, finished or not; the result of a recipe is one too."""
    for names in ((FILE_NAME, "plan.toml"), ("recipe.toml", "training.json")):
        if all(os.path.isfile(folder / name) for name in names):
            return True
    try:
        mark = read_json(folder / REQUEST)
    except (HeadstartError, OSError):
        return False
    return isinstance(mark, dict) and "request" in mark
