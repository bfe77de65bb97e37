"""Claiming a run folder: a new one, or the unfinished one of the very same request; never somebody else's.

A folder is claimed once data and backbone are there, so that a wrong path or name leaves nothing behind, and it is
given back when the run ends before there is anything to go on from.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from headstart.kernel.errors import HeadstartError, RunError, TrainingError
from headstart.kernel.files import hash_json, read_json
from headstart.kernel.terminal_text import is_text
from headstart.pipeline.record import FILE_NAME

REQUEST = "request.json"
"""The file that marks a folder as a run from its first second on."""

RUNS = Path("runs")
"""Where runs go without `out`."""

WORK = "work"
"""Folder of the checkpoints, in the folder of a run that is not finished."""

_IN_THE_WAY = {
    "foreign": "holds something that is no run. Give another --out.",
    "finished": "holds a run already. Give another --out, or --overwrite to replace it.",
    "unfinished": "holds an unfinished run of another request. Give another --out, or --overwrite to replace it.",
}


class Request(Protocol):
    """The plan of a run, of whichever verb."""

    @property
    def data(self) -> str:
        """Path of the data, or a description in angle brackets."""
        ...

    @property
    def from_run(self) -> str | None:
        """The run that it goes on from."""
        ...

    def model_dump(self, *, mode: str) -> dict[str, Any]:
        """All of it as plain values."""
        ...


def refuse_taken(out: Path | None, plan: Request, *, overwrite: bool) -> None:
    """Say so at once when `out` cannot be claimed. Raises RunError."""
    if out is not None:
        if not is_text(str(out)):
            raise RunError(f"the name {out} is not valid UTF-8: give the run another one")
        refuse_start(out, plan)
        _refuse(out, _standing(out, _hash(plan)), overwrite)


def refuse_start(out: Path, plan: Request) -> None:
    """Refuse to replace the run that this one goes on from. Raises RunError."""
    if plan.from_run is not None and out.resolve() == Path(plan.from_run).resolve():
        raise RunError(f"{out} is the run that this one goes on from, and would be replaced. Give another --out.")


@contextmanager
def claimed(out: Path | None, plan: Request, *, overwrite: bool) -> Iterator[tuple[Path, bool]]:
    """The folder of the run, and whether it resumes one that was stopped.

    Without `out` the name comes from the data, and a number is added until it is free. When the block ends in an error
    the folder goes, unless it was there before, is finished, or holds checkpoints or runs that the same request can go
    on from.

    Raises:
        RunError: the folder is a finished or another run, or holds something foreign.
    """
    folder, resumes = _claim(out, plan, overwrite=overwrite)
    try:
        yield folder, resumes
    except BaseException as error:
        # after a training error the same request would come to the same end
        useful = any((folder / WORK).glob("*")) and not isinstance(error, TrainingError)
        useful = useful or any(folder.glob(f"*/{REQUEST}"))
        if not (resumes or useful or (folder / FILE_NAME).exists()):
            shutil.rmtree(folder, ignore_errors=True)
        raise


def is_run(folder: Path) -> bool:
    """Whether a folder is a run of whichever verb, finished or not; the result of a recipe is one too."""
    for names in ((FILE_NAME, "plan.toml"), ("recipe.toml", "training.json")):
        if all(os.path.isfile(folder / name) for name in names):
            return True
    try:
        mark = read_json(folder / REQUEST)
    except (HeadstartError, OSError):
        return False
    return isinstance(mark, dict) and "request" in mark


def default_folder(plan: Request) -> Path:
    """Where a new run goes without `out`."""
    return next(folder for folder in _candidates(plan) if not os.path.lexists(folder))


def is_done(folder: Path, plan: Request) -> bool:
    """Whether a folder holds the finished run of this very request."""
    try:
        mark = read_json(folder / REQUEST)
    except (HeadstartError, OSError):
        return False
    return isinstance(mark, dict) and mark.get("request") == _hash(plan) and (folder / FILE_NAME).exists()


def _claim(out: Path | None, plan: Request, *, overwrite: bool) -> tuple[Path, bool]:
    request = _hash(plan)
    while True:
        folder = out or next(f for f in _candidates(plan) if _standing(f, request) in ("free", "resumes"))
        trial = _standing(folder, request)
        if trial == "resumes":
            return folder, True
        _refuse(folder, trial, overwrite)
        if trial != "free":
            shutil.rmtree(folder)
        if _mark(folder, request):
            return folder, False


def _mark(folder: Path, request: str) -> bool:
    """Make the folder a run; False when another process was faster. Raises RunError when it cannot be written."""
    path = folder / REQUEST
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with open(path, "x", encoding="utf-8") as file:
            file.write(f'{{"request": "{request}"}}\n')
    except OSError as error:
        if isinstance(error, FileExistsError) and path.exists():
            return False
        with suppress(OSError):
            path.unlink()
        raise RunError(f"cannot write {folder}: {error.strerror or error}. Give another --out.") from error
    return True


def _refuse(folder: Path, trial: str, overwrite: bool) -> None:
    if trial in _IN_THE_WAY and not (overwrite and trial != "foreign"):
        raise RunError(f"{folder} {_IN_THE_WAY[trial]}")


def _standing(folder: Path, request: str) -> str:
    """'free', 'resumes' (same request, unfinished), 'finished', 'unfinished' (of another request) or 'foreign'."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return "free"
    try:
        mark = read_json(folder / REQUEST)
    except (HeadstartError, OSError):
        mark = None
    if not (isinstance(mark, dict) and "request" in mark):
        return "foreign"
    if (folder / FILE_NAME).exists():
        return "finished"
    return "resumes" if mark["request"] == request else "unfinished"


def _hash(plan: Request) -> str:
    return hash_json(plan.model_dump(mode="json"))


def _candidates(plan: Request) -> list[Path]:
    data = Path(plan.data).expanduser().resolve()
    name = "frame" if plan.data.startswith("<") else data.name if data.is_dir() else data.stem
    stem = RUNS / (name or "run")
    return [stem, *(stem.with_name(f"{stem.name}-{number}") for number in range(2, 10_000))]
