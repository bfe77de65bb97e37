"""Claiming a run folder: a new one, or the unfinished one of the very same request; never somebody else's.

A folder is claimed once data and backbone are there, so that a wrong path or name leaves nothing behind, and it is
given back when the run ends before there is anything to go on from. While it is claimed its request is locked, so that
two processes never write one run. What replaces a run is made beside it and takes its place when it is whole.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Protocol

from headstart.engine.frozen.runner_choice import RUNNERS
from headstart.kernel.errors import HeadstartError, RunError, TrainingError
from headstart.kernel.files import delete, hash_json, read_json
from headstart.kernel.locks import flock
from headstart.kernel.replacement import recover, replace, successor
from headstart.kernel.terminal_text import is_text
from headstart.pipeline.record import FILE_NAME, REPORT

REQUEST = "request.json"
"""The file that marks a folder as a run from its first second on; who works on the run holds its lock."""

RUNS = Path("runs")
"""Folder of runs without `out`."""

WORK = "work"
"""Folder of the checkpoints, in the folder of a run that is not finished."""

_IN_USE = "is being written by another process. Wait for it to end, or give another --out."

_IN_THE_WAY = {
    "foreign": "holds something that is not a run. Give another --out.",
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
    if out is None:
        return
    if not is_text(str(out)):
        raise RunError(f"the name {out} is not valid UTF-8: give the run another one")
    refuse_start(out, plan)
    recover(out)
    trial = _standing(out, _hash(plan))
    _refuse(out, trial, overwrite)
    if _in_use(out):
        raise RunError(f"{out} {_IN_USE}")
    if trial in ("finished", "unfinished"):
        _require_replaceable(out, plan)


def refuse_start(out: Path, plan: Request) -> None:
    """Refuse to replace the run that this one goes on from. Raises RunError."""
    if plan.from_run is not None and out.resolve() == Path(plan.from_run).resolve():
        raise RunError(f"{out} is the run that this one goes on from, and would be replaced. Give another --out.")


@contextmanager
def claimed(out: Path | None, plan: Request, *, overwrite: bool) -> Iterator[tuple[Path, bool]]:
    """The folder to write the run to, and whether it resumes one that was stopped.

    Without `out` the name comes from the data, and a number is added until it is free. What overwrites a run is written
    to a hidden folder beside it, which takes its place when the block ends well. When it ends in an error the folder
    goes, unless it was there before, is finished, or holds checkpoints or runs that the same request can go on from.

    Raises:
        RunError: the folder is a finished or another run, holds something foreign, or another process is at work on it.
    """
    with ExitStack() as stack:
        run = _claim(out, plan, stack, overwrite=overwrite)
        folder, resumes = _work_place(run, _hash(plan))
        try:
            yield folder, resumes
        except BaseException as error:
            # after a training error the same request would come to the same end
            useful = any(path.name != RUNNERS for path in (folder / WORK).glob("*"))
            useful = useful and not isinstance(error, TrainingError)
            useful = useful or any(folder.glob(f"*/{REQUEST}"))
            if not (resumes or useful or (folder / FILE_NAME).exists()):
                shutil.rmtree(folder, ignore_errors=True)
            raise
        if folder != run:
            _put_in_place(folder, run)


def default_folder(plan: Request) -> Path:
    """The folder of a new run without `out`."""
    return next(folder for folder in _candidates(plan) if not os.path.lexists(folder))


def is_done(folder: Path, plan: Request) -> bool:
    """True where a folder holds the finished run of this very request, its report included."""
    return _standing(folder, _hash(plan)) == "finished" and _request_in(folder) == _hash(plan)


def lacks_report(out: Path | None, plan: Request, *, overwrite: bool) -> bool:
    """True where the run of this very request has its record, and only the report or less is left to be done."""
    request = _hash(plan)
    if out is None:
        return _standing(_free_name(plan), request) == "incomplete"
    recover(out)
    if _standing(out, request) == "incomplete":
        return True
    new = successor(out)
    return overwrite and (new / FILE_NAME).exists() and _request_in(new) == request


def unfinished(out: Path | None, plan: Request) -> Path | None:
    """The work folder of the run of this very request that was stopped before its end; None where there is none."""
    run, request = out or _free_name(plan), _hash(plan)
    folders = (run, successor(run))
    return next((one / WORK for one in folders if _request_in(one) == request and not is_whole(one)), None)


def _claim(out: Path | None, plan: Request, stack: ExitStack, *, overwrite: bool) -> Path:
    """The folder of the run, its request locked until `stack` closes: marked by `plan`, or to be replaced."""
    request = _hash(plan)
    while True:
        folder = out or _free_name(plan)
        trial = _standing(folder, request)
        _refuse(folder, trial, overwrite)
        lock = _locked(folder)
        if lock is None:
            if out is None:
                continue
            raise RunError(f"{folder} {_IN_USE}")
        with ExitStack() as held:
            held.enter_context(lock)
            if _standing(folder, request) == trial:  # else another process changed it before the lock was there
                if trial == "free":
                    _mark(folder, request)
                elif trial in ("finished", "unfinished"):
                    _require_replaceable(folder, plan)
                stack.push(held.pop_all())
                return folder


def _work_place(run: Path, request: str) -> tuple[Path, bool]:
    """The folder that a claimed run is written to, and True where something of it is there already."""
    if _request_in(run) == request and not is_whole(run):
        return run, any(path.name != REQUEST for path in run.iterdir())
    new = successor(run)
    if _request_in(new) == request:
        return new, True
    delete(new)
    try:
        new.mkdir()
    except OSError as error:
        raise _cannot_write(new, error) from error
    _mark(new, request)
    return new, False


def _put_in_place(new: Path, run: Path) -> None:
    try:
        replace(run)
    except OSError as error:
        raise RunError(
            f"cannot replace {run}: {error.strerror or error}. The new run is whole and lies in {new}."
        ) from error


def is_whole(folder: Path) -> bool:
    """True where a run has its record and its report, and nothing that only an unfinished one needs."""
    return (folder / FILE_NAME).exists() and (folder / REPORT).exists() and not (folder / WORK).exists()


def _locked(folder: Path) -> IO[bytes] | None:
    """The request of a run, locked until it is closed and made if need be; None when another process holds it.

    The system lets go of the lock whatever ends a process. Where it has no locks nobody is kept apart.
    """
    path = folder / REQUEST
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file = open(path, "ab")  # noqa: SIM115
        except OSError as error:
            raise _cannot_write(folder, error) from error
        free = True
        with suppress(OSError):
            free = flock(file)
        if not free:
            file.close()
            return None
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        file.close()  # whoever had it gave the folder back at this moment


def _in_use(folder: Path) -> bool:
    """True where another process holds the lock of a run; False also where that cannot be told."""
    with suppress(OSError), open(folder / REQUEST, "rb") as file:
        return not flock(file)
    return False


def _mark(folder: Path, request: str) -> None:
    """Make the folder a run. Raises RunError when it cannot be written."""
    path = folder / REQUEST
    try:
        path.write_text(f'{{"request": "{request}"}}\n', encoding="utf-8")
    except OSError as error:
        with suppress(OSError):
            path.unlink()
        raise _cannot_write(folder, error) from error


def _cannot_write(folder: Path, error: OSError) -> RunError:
    return RunError(f"cannot write {folder}: {error.strerror or error}. Give another --out.")


def _refuse(folder: Path, trial: str, overwrite: bool) -> None:
    if trial in _IN_THE_WAY and not (overwrite and trial != "foreign"):
        raise RunError(f"{folder} {_IN_THE_WAY[trial]}")


def _require_replaceable(out: Path, plan: Request) -> None:
    """Raises RunError where to replace the run would take an input of the new one, or cannot succeed."""
    run = out.resolve()
    if run.is_mount():
        raise RunError(f"{out} is a mount point and cannot be replaced. Give a folder in it as --out.")
    for given in plan.model_dump(mode="json").values():
        if isinstance(given, str) and _lies_in(given, run):
            raise RunError(f"{given} lies in {out}, is needed for this run, and would be replaced. Give another --out.")


def _lies_in(given: str, folder: Path) -> bool:
    """True for the name of a file or folder at or below `folder`."""
    path = os.path.expanduser(given)
    return os.path.exists(path) and Path(path).resolve().is_relative_to(folder)


def _standing(folder: Path, request: str) -> str:
    """The state of a folder for a request.

    'free', 'resumes' (same request, unfinished), 'incomplete' (same request, but for the report finished), 'finished',
    'unfinished' (of another request) or 'foreign'.
    """
    if not folder.exists() or (folder.is_dir() and _is_empty(folder)):
        return "free"
    mark = _request_in(folder)
    if mark is None:
        return "foreign"
    if (folder / FILE_NAME).exists():
        return "finished" if mark != request or is_whole(folder) else "incomplete"
    return "resumes" if mark == request else "unfinished"


def _is_empty(folder: Path) -> bool:
    """True where a folder is empty, or holds a request alone that was not written yet."""
    return all(path.name == REQUEST and path.is_file() and not path.stat().st_size for path in folder.iterdir())


def _request_in(folder: Path) -> Any:
    """The hash of the request that a folder is the run of; None where it is not a run."""
    try:
        mark = read_json(folder / REQUEST)
    except (HeadstartError, OSError):
        return None
    return mark.get("request") if isinstance(mark, dict) else None


def _hash(plan: Request) -> str:
    return hash_json(plan.model_dump(mode="json"))


def _free_name(plan: Request) -> Path:
    """The first name after the data that this request can have."""
    request, open_to_it = _hash(plan), ("free", "resumes", "incomplete")
    return next(f for f in _candidates(plan) if _standing(f, request) in open_to_it and not _in_use(f))


def _candidates(plan: Request) -> list[Path]:
    data = Path(plan.data).expanduser().resolve()
    stem = Path(data.stem).stem if data.suffix.lower() in (".gz", ".bz2", ".xz") else data.stem
    name = "frame" if plan.data.startswith("<") else data.name if data.is_dir() else stem
    first = RUNS / (name or "run")
    return [first, *(first.with_name(f"{first.name}-{number}") for number in range(2, 10_000))]
