"""Repeating a run: where the data should be, its plan is given."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from headstart.kernel.errors import SettingsError
from headstart.pipeline.claim import Request

P = TypeVar("P", bound=Request)


def is_plan(data: Any) -> bool:
    """Whether what was given as data is the file of a plan."""
    return isinstance(data, (str, Path)) and Path(data).suffix == ".toml"


def repeated(plan: P, bare: P, read: Callable[[Path], P], verb: str) -> P:
    """The plan in the file that `plan` names as its data.

    Args:
        plan: what was said. bare: a plan that names the file and nothing else.
        read: reads the file. verb: what carries it out.

    Raises:
        SettingsError: more than the file was named, it cannot be read, or its data were handed over in memory.
    """
    if plan != bare:
        raise SettingsError(
            f"{plan.data} is a plan and says everything itself: edit it, or leave the other settings out"
        )
    found = read(Path(plan.data))
    if found.data.startswith("<"):
        raise SettingsError(f"{plan.data} is of data handed over in memory ({found.data}): give them to {verb} again")
    return found
