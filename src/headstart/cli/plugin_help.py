"""Contents of `headstart help`: the families of plug-ins, the plug-ins of a family, the settings of a plug-in."""

from __future__ import annotations

import ast
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from headstart.kernel import registry
from headstart.kernel.errors import SettingsError, unknown
from headstart.kernel.user_settings import FieldHelp, field_help

TRAINING, HEAD, BLEND = "training", "head", "blend"
"""What `help` knows beside the families: the settings of a pretraining, and of a fit's head."""


class Entry(NamedTuple):
    """A family or a plug-in as help lists it."""

    name: str
    idea: str


def family_names() -> dict[str, str]:
    """Return what a user calls a family -> its folder: 'objective' -> 'objectives'."""
    return {re.sub("ies$", "y", folder).removesuffix("s"): folder for folder in registry.FAMILY_NOUN}


def families() -> list[Entry]:
    """Every family with the names of its plug-ins."""
    return [Entry(name, ", ".join(registry.names(folder))) for name, folder in family_names().items()]


def plugins(family: str) -> list[Entry]:
    """Every plug-in of a family with its idea: the first sentence of its file. None of them is imported.

    Raises:
        SettingsError: there is no such family.
    """
    folder = _folder(family)
    return [Entry(name, _idea(registry.module_name(folder, name))) for name in registry.names(folder)]


def settings(family: str, name: str) -> list[FieldHelp]:
    """Every setting of a plug-in, and those that all plug-ins of its family have together.

    Raises:
        SettingsError: there is no such family or plug-in.
    """
    folder = _folder(family)
    kind: Any = registry.plugin(folder, name)
    return [*field_help(kind), *_of_all(folder)]


def training() -> tuple[str, list[FieldHelp]]:
    """Return what `--set training...` sets in a pretraining: its idea, and every setting that means something there."""
    from headstart.pipeline.pretraining.plan import IDLE, TrainingSettings  # here, as it brings torch

    rows = [row for row in field_help(TrainingSettings) if row.name not in IDLE]
    return (TrainingSettings.__doc__ or "").partition("\n")[0], rows


def head() -> tuple[str, list[FieldHelp]]:
    """Return what `--set head...` sets in a fit: its idea, and every setting."""
    from headstart.contracts.head_shape import HeadShape  # here, as it brings torch

    return (HeadShape.__doc__ or "").partition("\n")[0], field_help(HeadShape)


def blend() -> tuple[str, list[FieldHelp]]:
    """Return what `--set blend...` sets in a fit: its idea, and every setting."""
    from headstart.pipeline.blend_settings import BlendSettings

    return (BlendSettings.__doc__ or "").partition("\n")[0], field_help(BlendSettings)


def idea(family: str, name: str) -> str:
    """The first sentence of a plug-in's file. Raises SettingsError as `settings` does."""
    return dict(plugins(family)).get(name, "")


def _of_all(folder: str) -> list[FieldHelp]:
    if folder != "augmentations":
        return []
    from headstart.contracts.composed_augmentation import ViewSettings  # here, as it brings torch

    return field_help(ViewSettings)


def _folder(family: str) -> str:
    known = family_names()
    if family not in known:
        raise SettingsError(unknown("family", family, known))
    return known[family]


def _idea(module: str) -> str:
    """The first paragraph of a module's docstring in one line, read without running the module."""
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        return ""
    docstring = ast.get_docstring(ast.parse(Path(spec.origin).read_text(encoding="utf-8"))) or ""
    return " ".join(docstring.partition("\n\n")[0].split())
