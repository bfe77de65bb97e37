"""A file imports only from its own folder and from lower floors, never in a circle; imports in functions count."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from itertools import chain

import pytest

import package_source
from package_source import PACKAGE, PLUGIN_FOLDERS, Source, sources

FLOORS = {
    folder: floor
    for floor, folders in enumerate(
        (
            ("kernel",),
            ("numerics", "media"),
            ("contracts",),
            PLUGIN_FOLDERS,
            ("engine",),
            ("evidence",),
            ("pipeline",),
            ("search", "present", "serving"),
            ("verbs",),
            ("",),
            ("cli",),
        )
    )
    for folder in folders
}
"""Folder of the package -> its floor, from the ground up; '' has the public names; above all stands `__main__`."""

BY_MODULE = {source.module: source for source in sources()}


def floor(source: Source) -> int:
    if source.relative == "__main__.py":
        return len(FLOORS)
    return FLOORS[source.folder.partition("/")[0]]


def fault(importer: Source, imported: Source) -> str | None:
    """What is wrong with an import, or None."""
    if floor(imported) != floor(importer):
        upward = floor(imported) > floor(importer)
        return f"floor {floor(importer)} imports from floor {floor(imported)}" if upward else None
    if importer.folder.partition("/")[0] != imported.folder.partition("/")[0]:
        return "folders of one floor do not import each other; they meet at the contracts"
    if importer.folder.partition("/")[0] not in PLUGIN_FOLDERS:
        return None
    if "/" in imported.folder and imported.folder == importer.folder:
        return None
    if imported.is_plugin:
        return "a plug-in is imported by nobody; shared parts start with an underscore"
    if "/" in imported.folder:
        return "the parts of a plug-in are its own; shared parts lie beside the plug-ins and start with an underscore"
    return None


def test_imports_only_downwards() -> None:
    faults = [
        f"{source.at(node)} imports {module}: {reason}"
        for source in sources()
        for node, module in source.imports()
        if (reason := fault(source, BY_MODULE[module]))
    ]
    assert not faults, "\n".join(faults)


def test_every_folder_has_a_floor() -> None:
    unknown = {source.folder for source in sources() if source.folder.partition("/")[0] not in FLOORS}
    assert not unknown, f"give these folders a floor in {__file__}: {sorted(unknown)}"


def test_no_import_goes_round_in_a_circle() -> None:
    graph = {source.module: {module for _, module in source.imports()} for source in sources()}
    try:
        everything = list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail("imports go round: " + " -> ".join(error.args[1]))
    assert set(chain(*graph.values())) <= set(everything)


@pytest.mark.parametrize(
    ("relative", "line", "reason"),
    [
        ("engine/planted.py", "from headstart.pipeline import record", "floor 4 imports from floor 6"),
        ("kernel/planted.py", "import headstart.contracts.task", "floor 0 imports from floor 2"),
        ("contracts/planted.py", "import_module('headstart.engine.training.loop')", "floor 2 imports from floor 4"),
        ("pipeline/planted.py", "from headstart import __version__", "floor 6 imports from floor 9"),
        ("evidence/planted.py", "from ..pipeline.record import RunRecord", "floor 5 imports from floor 6"),
        ("tasks/planted.py", "from headstart.tuning.full import Full", "folders of one floor"),
        ("tuning/planted.py", "from headstart.tuning import full", "a plug-in is imported by nobody"),
        (
            "tasks/tagging/planted.py",
            "from headstart.tasks.regression import metrics",
            "parts of a plug-in are its own",
        ),
        ("search/planted.py", "from headstart.present.report.svg import axes", "folders of one floor"),
    ],
)
def test_a_planted_import_is_found(monkeypatch: pytest.MonkeyPatch, relative: str, line: str, reason: str) -> None:
    planted = Source(PACKAGE / relative)
    text = f"def f():\n    if TYPE_CHECKING:\n        {line}\n"
    monkeypatch.setattr(package_source, "_tree", lambda _: ast.parse(text))
    ((node, module),) = planted.imports()
    assert reason in (fault(planted, BY_MODULE[module]) or "")
    assert planted.at(node) == f"src/headstart/{relative}:3"
