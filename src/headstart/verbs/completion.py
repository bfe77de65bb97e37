"""Completing a run whose record is there: its report, and the end of what only an unfinished run needs."""

from __future__ import annotations

import shutil
from pathlib import Path

from headstart.engine.launch import world_size
from headstart.kernel.files import delete_parts
from headstart.kernel.progress import Reporter
from headstart.pipeline.claim import WORK, Request, claimed, is_done, lacks_report
from headstart.present.report.write import report


def complete(folder: Path) -> None:
    """Write the report, and delete checkpoints and what a killed process had begun to write. Raises HeadstartError."""
    report(folder)
    delete_parts(folder)
    shutil.rmtree(folder / WORK, ignore_errors=True)


def completed(out: Path | None, plan: Request, reporter: Reporter, *, overwrite: bool) -> Path | None:
    """Complete the run of this very request that was stopped when its record was there; its folder, or None.

    Of several processes that a launcher started only rank 0 calls this; where the others could not tell by
    `is_over` that it did something, the run is made as if it had been stopped earlier.

    Raises:
        RunError: another process is at work on it.
    """
    if (world_size() > 1 and (out is None or overwrite)) or not lacks_report(out, plan, overwrite=overwrite):
        return None
    with claimed(out, plan, overwrite=overwrite) as (folder, _):
        complete(folder)
    whole = out or folder
    reporter.say(f"{whole} lacked only its report: it is whole now")
    return whole


def is_over(out: Path | None, plan: Request, *, overwrite: bool) -> bool:
    """Whether a process beside that of rank 0 has nothing to do, as that one completes or refuses a finished run."""
    if out is None or overwrite:
        return False
    return is_done(out, plan) or lacks_report(out, plan, overwrite=False)
