"""Run folders in every process of a launcher: one of them leads and writes, the others compute with it.

A run whose record is there is whole once its report is written and what only an unfinished run needs is gone.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from headstart.engine.launch import rank, world_size
from headstart.kernel.errors import TrainingError
from headstart.kernel.files import delete_parts, read_json
from headstart.kernel.progress import Reporter
from headstart.kernel.replacement import destination
from headstart.pipeline.claim import WORK, Request, claimed, is_done, lacks_report
from headstart.pipeline.record import FILE_NAME

Present = Callable[[Path], Any]
"""Writes the report of a run folder."""


def complete(folder: Path, present: Present) -> None:
    """Write the report, and delete checkpoints and what a killed process had begun to write. Raises HeadstartError."""
    present(folder)
    delete_parts(folder)
    shutil.rmtree(folder / WORK, ignore_errors=True)


def require_no_fault(whole: Path) -> None:
    """Raises TrainingError where the training of a run that is there all the same was broken off."""
    fault = read_json(whole / FILE_NAME).get("fault")
    if fault:
        raise TrainingError(f"{fault}: {whole} is a run.")


def completed(out: Path | None, plan: Request, reporter: Reporter, present: Present, *, overwrite: bool) -> Path | None:
    """Complete the run of this very request that was stopped when its record was there; its folder, or None.

    Of several processes that a launcher started only rank 0 completes it; the others end where they can tell that
    there is nothing else to do, and otherwise the run is made as if it had been stopped earlier.

    Raises:
        RunError: another process is at work on it. TrainingError: as `require_no_fault`.
    """
    if rank() > 0:
        if out is not None and not overwrite and (is_done(out, plan) or lacks_report(out, plan, overwrite=False)):
            raise SystemExit(0)
        return None
    if (world_size() > 1 and (out is None or overwrite)) or not lacks_report(out, plan, overwrite=overwrite):
        return None
    with claimed(out, plan, overwrite=overwrite) as (folder, _):
        complete(folder, present)
    whole = out or folder
    reporter.say(f"{whole} lacked only its report: it is whole now")
    require_no_fault(whole)
    return whole


@contextmanager
def led(out: Path | None, plan: Request, reporter: Reporter, *, overwrite: bool) -> Iterator[Path | None]:
    """The claimed folder of a run; None in the processes that write nothing."""
    if rank() > 0:
        yield None
        return
    with claimed(out, plan, overwrite=overwrite) as (folder, resumes):
        if resumes:
            reporter.say(f"{destination(folder)} was stopped before its end: going on from there")
        yield folder
