"""Tests go through public surfaces: how many of them replace names of the package, and no more than that."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache

from package_source import ROOT

MOST_PRIVATE = 22
"""Tests that replace a name that begins with '_'. Lower it with every one that goes; never raise it."""
MOST_REPLACED = 106
"""Tests that replace any name of the package, private or not. Lower it with every one that goes; never raise it."""
PATCHES = ("setattr", "delattr", "patch", "object")


def test_few_tests_replace_private_names() -> None:
    found = [f"{place} -> {name}" for place, name in replaced() if _is_private(name)]
    assert len(found) <= MOST_PRIVATE, "\n".join([f"{len(found)} tests, at most {MOST_PRIVATE}:", *found])


def test_tests_replace_few_names_of_the_package() -> None:
    found = [f"{place} -> {name}" for place, name in replaced()]
    assert len(found) <= MOST_REPLACED, "\n".join([f"{len(found)} tests, at most {MOST_REPLACED}:", *found])


@cache
def replaced() -> tuple[tuple[str, str], ...]:
    return tuple(_replaced())


def _replaced() -> Iterator[tuple[str, str]]:
    """('tests/unit/x.py:12 name', 'headstart.file.Class.name, ...') for each function that replaces such names."""
    for path in sorted((ROOT / "tests").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if not any(f"{name}(" in text for name in PATCHES):
            continue
        tree = ast.parse(text)
        imported = _imported(tree)
        for function in _functions(tree):
            names = sorted({name for call in ast.walk(function) if (name := _target(call, imported))})
            if names:
                yield f"{path.relative_to(ROOT)}:{function.lineno} {function.name}", ", ".join(names)


def _functions(tree: ast.Module) -> Iterator[ast.FunctionDef]:
    """Functions at the top of a file and methods of its classes; nested functions are a part of these."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield node
        if isinstance(node, ast.ClassDef):
            yield from (part for part in node.body if isinstance(part, ast.FunctionDef))


def _imported(tree: ast.Module) -> dict[str, str]:
    """Name in the file -> what of the package it stands for."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "headstart":
            found |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        if isinstance(node, ast.Import):
            ours = (alias for alias in node.names if alias.name.partition(".")[0] == "headstart")
            found |= {alias.asname or "headstart": alias.name if alias.asname else "headstart" for alias in ours}
    return found


def _target(node: ast.AST, imported: dict[str, str]) -> str | None:
    """Return the name of the package that a call such as `monkeypatch.setattr(owner, "name", value)` replaces."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.func.attr not in PATCHES:
        return None
    first, second = [*node.args, None, None][:2]
    if isinstance(first, ast.Constant):
        return first.value if str(first.value).startswith("headstart.") else None
    if first is None or not isinstance(second, ast.Constant):
        return None
    root, _, inner = ast.unparse(first).partition(".")
    return ".".join(filter(None, (imported[root], inner, str(second.value)))) if root in imported else None


def _is_private(names: str) -> bool:
    parts = names.replace(",", ".").replace(" ", "").split(".")
    return any(part.startswith("_") and not part.startswith("__") for part in parts)
