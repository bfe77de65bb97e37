"""Plug-ins by file or folder name: `objectives/dann.py` is `dann`, `tasks/tagging/task.py` is `tagging`.

The main module of a plug-in's folder is called after the family, in the singular; the other files of the folder are
its private parts. A file whose name starts with an underscore is shared by its family's plug-ins. Packages outside join
through the entry-point group `headstart.FAMILY`. Nothing is imported until it is asked for.
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
    "modalities": "modality",
    "formats": "format",
    "backbones": "backbone family",
    "runners": "runner",
    "tasks": "task",
    "tuning": "tuning",
    "objectives": "objective",
    "augmentations": "augmentation",
    "baselines": "baseline",
}


def names(family: str) -> list[str]:
    """The plug-ins of a family, sorted by name."""
    files = {path.stem for path in (PACKAGE / family).glob("*.py") if not path.stem.startswith("_")}
    folders = {path.parent.name for path in (PACKAGE / family).glob(f"*/{main_module(family)}.py")}
    return sorted(files | folders | set(_outside(family)))


def main_module(family: str) -> str:
    """Return the name of the main module of a plug-in that is a folder: 'task' for the family 'tasks'."""
    return FAMILY_NOUN.get(family, family).split()[0]


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
    if outside is not None:
        return outside.module
    inside = f"{name}.{main_module(family)}" if (PACKAGE / family / name).is_dir() else name
    return f"headstart.{family}.{inside}"


def name_of(part: object) -> str:
    """Return the plug-in name of settings, or of another object whose class the plug-in's main module defines."""
    module = type(part).__module__
    for family in FAMILY_NOUN:
        for name, point in _outside(family).items():
            if point.module == module:
                return name
    *_, folder, last = module.split(".")
    return folder if last in map(main_module, FAMILY_NOUN) and folder not in FAMILY_NOUN else last


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
