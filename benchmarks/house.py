"""How far the package can grow as it is: import closures, width of the contracts, size, all counted from syntax trees.

Edits for the outside package are the lines of `src/` that name one of its plug-ins: it works with none.
"""

from __future__ import annotations

import ast
import sys
import tomllib
from graphlib import CycleError, TopologicalSorter
from typing import Any

from benchmarks._harness import FOLDER

sys.path.append(str(FOLDER.parent / "tests" / "architecture"))
from package_source import Source, import_closure, sources
from test_modalities import branches

CLOSURES = {"vicreg": "objectives.vicreg", "partial": "tuning.partial", "classification": "tasks.classification.task"}
INQUIRING = ("What ", "What's ", "Whether ", "That ")
EXTERNAL = FOLDER.parent / "tests" / "external_plugin" / "pyproject.toml"
LINES_BEFORE = 38522
"""Of `src/` before the contracts of the second edition."""


def run(quick: bool, full: bool) -> tuple[dict[str, float | None], dict[str, Any]]:  # noqa: ARG001
    """Counts; the same on every machine."""
    closures = {name: import_closure(f"headstart.{module}") for name, module in CLOSURES.items()}
    lines = {folder: _lines(folder) for folder in sorted({source.folder.partition("/")[0] for source in sources()})}
    branching = [source.relative for source in sources() if source.folder != "modalities" and any(branches(source))]
    inquiring = [source.at(node) for source in sources() for node, _ in source.public() if _inquires(node)]
    members = {name: _members(name) for name in ("Task", "BoundTask")}
    measured: dict[str, float | None] = {
        "house.external_edits": float(_external_names()),
        **{f"house.closure.{name}": float(count) for name, count in closures.items()},
        "house.members.task": float(len(members["Task"])),
        "house.members.bound_task": float(len(members["BoundTask"])),
        "house.modality_branches": float(len(branching)),
        "house.lines_fewer": float(LINES_BEFORE - sum(lines.values())),
        "house.cycles": float(_has_cycle()),
        "house.inquiring_docstrings": float(len(inquiring)),
    }
    details = {"lines": lines, "members": members, "branching": branching, "inquiring": inquiring}
    return measured, details


def _lines(folder: str) -> int:
    found = (source for source in sources() if source.folder.partition("/")[0] == folder)
    return sum(len(source.text.splitlines()) for source in found)


def _inquires(node: ast.AST) -> bool:
    return (ast.get_docstring(node) or "").startswith(INQUIRING)  # type: ignore[arg-type]


def _members(name: str) -> list[str]:
    """Public attributes, properties and methods of a class in `contracts/task.py`, those it inherits there included."""
    (contract,) = (source for source in sources() if source.relative == "contracts/task.py")
    classes = {node.name: node for node in contract.tree.body if isinstance(node, ast.ClassDef)}
    found: set[str] = set()
    waiting = [name]
    while waiting:
        node = classes.get(waiting.pop())
        if node is None:
            continue
        waiting += [base.id for base in node.bases if isinstance(base, ast.Name)]
        for part in node.body:
            if isinstance(part, ast.FunctionDef):
                found.add(part.name)
            elif isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name):
                found.add(part.target.id)
    return sorted(member for member in found if not member.startswith("_"))


def _has_cycle() -> bool:
    graph = {source.module: {module for _, module in source.imports()} for source in sources()}
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError:
        return True
    return False


def _external_names() -> int:
    """Lines of the package that name a plug-in of the outside package."""
    content = tomllib.loads(EXTERNAL.read_text(encoding="utf-8"))["project"]["entry-points"]
    names = {name for group in content.values() for name in group}
    return sum(_names(source, names) for source in sources())


def _names(source: Source, names: set[str]) -> int:
    return sum(isinstance(node, ast.Constant) and node.value in names for node in ast.walk(source.tree))
