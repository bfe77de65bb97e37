"""Plug-ins stand alone: one settings class per file, every field explained, and named nowhere else."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator

import pytest

from headstart.kernel import registry
from headstart.kernel.settings import Settings, field_help
from package_source import PLUGIN_FOLDERS, Source, sources

PLUGINS = [(source.folder, source.path.stem) for source in sources() if source.is_plugin]
NAMES = {name for _, name in PLUGINS}
BLIND = ("contracts", "engine", "evidence", "product")
"""Folders that must work for a plug-in nobody has written yet."""

AMBIGUOUS = {"table": "also the name of a modality and of an exhibit", "none": "also an ordinary word"}
ALLOWED: dict[tuple[str, str], str] = {}
"""(file, name) -> why it may name the plug-in."""


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
        for source in sources()
        if source.folder.partition("/")[0] in BLIND
        for node in literals(source)
        if node.value in NAMES - set(AMBIGUOUS) and (source.relative, node.value) not in ALLOWED
    ]
    assert not faults, "\n" + "\n".join(faults)


def test_no_plugin_is_imported_outside_its_folder() -> None:
    plugin_modules = {f"headstart.{family}.{name}" for family, name in PLUGINS}
    faults = [
        f"{source.at(node)} imports {module}; ask the registry for it"
        for source in sources()
        for node, module in source.imports()
        if module in plugin_modules
    ]
    assert not faults, "\n" + "\n".join(faults)


def test_every_allowed_name_is_still_needed() -> None:
    used = {(source.relative, node.value) for source in sources() for node in literals(source)}
    stale = [entry for entry in ALLOWED if entry not in used]
    assert not stale, f"take these out of ALLOWED: {stale}"


def test_the_registry_and_the_folders_agree() -> None:
    assert set(registry.FAMILY_NOUN) == set(PLUGIN_FOLDERS)
    assert {family for family, _ in PLUGINS} <= set(PLUGIN_FOLDERS)


def literals(source: Source) -> Iterator[ast.Constant]:
    """The string constants of a file, docstrings aside."""
    for node in ast.walk(source.tree):
        children = list(ast.iter_child_nodes(node))
        if isinstance(node, ast.Expr):
            continue
        yield from (c for c in children if isinstance(c, ast.Constant) and isinstance(c.value, str))
