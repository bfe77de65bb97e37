"""Plug-ins stand alone: one settings class per file, every field explained, and named nowhere else."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator

import pytest

from headstart.kernel import registry
from headstart.kernel.settings import Settings
from headstart.kernel.user_settings import field_help
from package_source import PLUGIN_FOLDERS, Source, sources

PLUGINS = [source.plugin for source in sources() if source.plugin is not None]
NAMES = {name for _, name in PLUGINS}
BLIND = ("contracts", "engine", "evidence", "pipeline", "search", "present", "verbs", "cli")
"""Folders that must work for a plug-in nobody has written yet."""

AMBIGUOUS = {
    "image": "also a column, and what is shown",
    "text": "also a column, and what is said",
    "table": "also a format and a panel",
    "none": "also an ordinary word",
}

ABOVE = ("pipeline/", "search/", "present/", "verbs/")

ALLOWED = {
    **{(floor, "probe"): "the default tuning, and an arm of every comparison" for floor in ABOVE},
    **{(floor, "scratch"): "an arm of every comparison, and the tuning that trains it" for floor in (*ABOVE, "cli/")},
    **{(floor, "supervised"): "the default objective" for floor in ("pipeline/", "verbs/")},
    ("pipeline/pretraining/unlabelled.py", "image_folder"): "folders of so many pictures that no other format is asked",
    ("search/candidates.py", "standard"): "the augmentation whose strength follows from the size of the data",
    ("engine/device.py", "openvino"): "the library of that name",
    ("pipeline/continued_run.py", "full"): "how a run goes on whose head was solved for",
    ("verbs/estimators.py", "classification"): "what a classifier does",
    ("verbs/estimators.py", "regression"): "what a regressor does",
}
"""(beginning of a file's path, plug-in) -> why it may be named there."""


@pytest.mark.parametrize(("family", "name"), PLUGINS, ids=lambda value: value)
def test_a_plugin_file_defines_one_settings_class_with_explained_fields(family: str, name: str) -> None:
    settings = registry.plugin(family, name)
    assert issubclass(settings, Settings)
    path = inspect.getsourcefile(settings)
    unexplained = [row.name for row in field_help(settings) if not row.meaning.strip()]
    assert not unexplained, f"{path}: {settings.__name__} has fields without a docstring: {', '.join(unexplained)}"


def test_no_plugin_is_named_outside_its_folder() -> None:
    faults = [
        f"{source.at(node)} names the plug-in '{node.value}'"
        for source, node in names_outside()
        if not any(source.relative.startswith(where) and node.value == name for where, name in ALLOWED)
    ]
    assert not faults, "\n" + "\n".join(faults)


def test_no_plugin_is_imported_outside_its_folder() -> None:
    plugin_modules = {source.module for source in sources() if source.is_plugin}
    faults = [
        f"{source.at(node)} imports {module}; ask the registry for it"
        for source in sources()
        for node, module in source.imports()
        if module in plugin_modules
    ]
    assert not faults, "\n" + "\n".join(faults)


@pytest.mark.parametrize(("where", "name"), ALLOWED)
def test_every_exception_is_still_needed(where: str, name: str) -> None:
    assert any(source.relative.startswith(where) and node.value == name for source, node in names_outside())


def test_the_registry_and_the_folders_agree() -> None:
    assert set(registry.FAMILY_NOUN) == set(PLUGIN_FOLDERS)
    assert {family for family, _ in PLUGINS} <= set(PLUGIN_FOLDERS)


def names_outside() -> Iterator[tuple[Source, ast.Constant]]:
    """Every string in a blind folder that is the name of a plug-in, docstrings aside."""
    for source in sources():
        if source.folder.partition("/")[0] in BLIND:
            inner = (node for node in ast.walk(source.tree) if not isinstance(node, ast.Expr))
            strings = (
                child for node in inner for child in ast.iter_child_nodes(node) if isinstance(child, ast.Constant)
            )
            yield from ((source, node) for node in strings if node.value in NAMES - AMBIGUOUS.keys())
