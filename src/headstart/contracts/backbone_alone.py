"""A backbone that was saved alone, where a model is asked for."""

from __future__ import annotations

from pathlib import Path

from headstart.kernel.errors import RunError


def predicts_nothing(run: Path) -> RunError:
    """The error for a run folder that holds such a backbone: what to do with it."""
    return RunError(
        f"{run} is a backbone pretrained without labels, so it predicts nothing. Train a model on "
        f"it with: headstart fit LABELLED --backbone {run}"
    )
