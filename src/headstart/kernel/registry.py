"""Plug-ins by file or folder name: `objectives/dann.py` is `dann`, `tasks/tagging/task.py` is `tagging`.

The main module of a plug-in's folder is called after the family, in the singular; the other files of the folder are
its private parts. A file whose name starts with an underscore is shared by its family's plug-ins. Packages outside join
through the entry-point group `headstart.FAMILY`. Nothing is imported until it is asked for, and a plug-in that breaks
the contract of its family is refused by name.
"""

from __future__ import annotations

import importlib
import inspect
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from headstart.kernel.contract import CONTRACTS
from headstart.kernel.errors import SettingsError, first_line, unknown
from headstart.kernel.settings import Settings

PACKAGE = Path(__file__).resolve().parent.parent
FAMILY_NOUN = {
    "modalities": "modality",
    "formats": "format",
    "backbones": "backbone family",
    "runners": "runner",
    "exporters": "exporter",
    "tasks": "task",
    "tuning": "tuning",
    "objectives": "objective",
    "augmentations": "augmentation",
    "baselines": "baseline",
    "scores": "score",
    "alignment": "alignment",
    "recommenders": "recommender",
    "weighting": "weighting",
    "test_time": "test_time adaptation",
    "validators": "validator",
}


def names(family: str) -> list[str]:
    """The plug-ins of a family, sorted by name."""
    files = {path.stem for path in (PACKAGE / family).glob("*.py") if not path.stem.startswith("_")}
    folders = {path.parent.name for path in (PACKAGE / family).glob(f"*/{main_module(family)}.py")}
    return sorted(files | folders | outside(family).keys())


def main_module(family: str) -> str:
    """Return the name of the main module of a plug-in that is a folder: 'task' for the family 'tasks'."""
    return FAMILY_NOUN.get(family, family).split()[0]


@cache
def plugin(family: str, name: str) -> Any:
    """The one settings class that the plug-in file defines (typed Any: each family has its own protocol).

    Raises:
        SettingsError: no plug-in has that name; the nearest names are given. Or the one of a package outside breaks
            the contract of its family.
    """
    noun = FAMILY_NOUN.get(family, family)
    if name not in names(family):
        raise SettingsError(unknown(noun, name, names(family)))
    points = outside(family).get(name, ())
    if not points:
        return _only_settings(importlib.import_module(module_name(family, name)))
    owners = ["Headstart"] * _is_ours(family, name) + [_owner(point) for point in points]
    if len(owners) > 1:
        raise SettingsError(f"{' and '.join(owners)} each have a {noun} '{name}'. Uninstall or rename one of them.")
    try:
        found = points[0].load()
        kind = _only_settings(found) if isinstance(found, ModuleType) else found
        _check(family, kind)
    except Exception as error:  # whatever the package's own code raises
        reason = f"{type(error).__name__}: {first_line(error)}"
        reason = first_line(error) if isinstance(error, SettingsError) else reason
        raise SettingsError(f"{noun} '{name}' of {_owner(points[0])} cannot be loaded: {reason}") from error
    return kind


def module_name(family: str, name: str) -> str:
    """The module that defines a plug-in; it is not imported."""
    if name in outside(family):
        return outside(family)[name][0].module
    inside = f"{name}.{main_module(family)}" if (PACKAGE / family / name).is_dir() else name
    return f"headstart.{family}.{inside}"


def name_of(part: object) -> str:
    """Return the plug-in name of settings, or of another object whose class a plug-in's file or folder defines."""
    module = type(part).__module__
    for family in FAMILY_NOUN:
        for name, points in outside(family).items():
            if module in [point.module for point in points]:
                return name
    above, folder, last = ("", *module.split("."))[-3:]
    inside = above in FAMILY_NOUN or last in map(main_module, FAMILY_NOUN)
    return folder if inside and folder not in FAMILY_NOUN else last


def _only_settings(module: ModuleType) -> type[Settings]:
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Settings) and value.__module__ == module.__name__
    ]
    if len(found) != 1:
        classes = f" ({', '.join(kind.__name__ for kind in found)})" if found else ""
        raise SettingsError(f"{module.__name__} must define exactly one Settings class, not {len(found)}{classes}")
    return found[0]


@cache
def outside(family: str) -> dict[str, list[EntryPoint]]:
    """Plug-in name -> its entry points in packages outside; more than one is a clash."""
    found: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=f"headstart.{family}"):
        found.setdefault(point.name, []).append(point)
    return found


def _is_ours(family: str, name: str) -> bool:
    return (PACKAGE / family / f"{name}.py").exists() or (PACKAGE / family / name).is_dir()


def _owner(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else point.value


def _check(family: str, kind: Any) -> None:
    """Refuse what is not a settings class, or lacks a part of its contract. Raises SettingsError."""
    if not (isinstance(kind, type) and issubclass(kind, Settings)):
        raise SettingsError(f"{getattr(kind, '__qualname__', kind)} is not a Settings class")
    promised = CONTRACTS.get(family, Settings)
    members = {*vars(promised), *inspect.get_annotations(promised)}
    has = {*dir(kind), *kind.model_fields}
    missing = sorted(member for member in members if not member.startswith("_") and member not in has)
    if missing:
        raise SettingsError(
            f"{kind.__name__} lacks {', '.join(missing)}; see {promised.__module__}.{promised.__name__}"
        )
