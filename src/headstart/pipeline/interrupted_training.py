"""A training that could not go on: a command fails by it, and what was reached before is a run like any other."""

from __future__ import annotations

from pathlib import Path

from headstart.engine.training.checkpoint import Progress
from headstart.kernel.errors import TrainingError


def what_was_kept(progress: Progress | None) -> str:
    """The course of a training that was broken off, in words for its report; empty for any other, and for none."""
    if progress is None or not progress.broken_off:
        return ""
    return f"BROKEN OFF: {progress.stopped} The weights are the best until then, of epoch {progress.best_epoch + 1}."


def require_whole(progress: Progress | None, folder: Path | None = None) -> None:
    """Raises TrainingError where a training was broken off; `folder` is the run that is there all the same."""
    if progress is None or not progress.broken_off:
        return
    best = f"The best weights until then, of epoch {progress.best_epoch + 1}, are kept"
    raise TrainingError(progress.stopped if folder is None else f"{progress.stopped} {best}: {folder} is a run.")
