"""Plug-ins by file name: `objectives/dann.py` is `dann`. Nothing is imported until it is asked for.

A file whose name starts with an underscore is a part of its family's files and no plug-in. Packages outside join
through the entry-point group `headstart.FAMILY`.
"""

from __future__ import annotations

import importlib
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from headstart.kernel.errors import SettingsError, unknown
from headstart.kernel.settings import Settings

PACKAGE = Path(__file__).resolve().parent.parent
FAMILY_NOUN = {
    "formats": "format",
    "backbones": "backbone family",
    "runners": "runner",
    "tasks": "task",
    "tuning": "tuning",
    "objectives": "objective",
    "augmentations": "augmentation",
}


def names(family: str) -> list[str]:
    """The plug-ins of a family, sorted by name."""
    own = {p.stem for p in (PACKAGE / family).glob("*.py") if not p.stem.startswith("_")}
    return sorted(own | set(_outside(family)))


@cache
def plugin(family: str, name: str) -> Any:
    """The one settings class that the plug-in file defines (typed Any: each family has its own protocol).

    Raises:
        SettingsError: no plug-in has that name; the nearest names are given.
    """
    noun = FAMILY_NOUN.get(family, family)
    if name not in names(family):
        raise SettingsError(unknown(noun, name, names(family)))
    outside = _outside(family).get(name)
    if outside is not None:
        return outside.load()
    return _only_settings(importlib.import_module(module_name(family, name)))


def module_name(family: str, name: str) -> str:
    """The module that defines a plug-in; it is not imported."""
    outside = _outside(family).get(name)
    return outside.module if outside is not None else f"headstart.{family}.{name}"


def name_of(settings: Settings) -> str:
    """The plug-in name of a settings object: the name of its file."""
    return type(settings).__module__.rsplit(".", 1)[-1]


def _only_settings(module: ModuleType) -> type[Settings]:
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Settings) and value.__module__ == module.__name__
    ]
    if len(found) != 1:
        raise SettingsError(f"{module.__name__} must define exactly one settings class, it has {len(found)}")
    return found[0]


@cache
def _outside(family: str) -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=f"headstart.{family}")}
