"""Prose and names: docstrings begin with a verb or a noun, and names that were removed do not come back."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from package_source import PACKAGE, ROOT, FunctionNode, Source, sources

REMOVED = {
    "Bench": "FitContext",
    "Wish": "FeatureSpec",
    "Exhibit": "Panel",
    "Workshop": "the steps of the pipeline",
    "Outset": "the start",
    "Occasion": "Moment",
    "Witness": "Reference",
    "metric_title": "Metric.title",
    "is_share": "Metric.unit",
}
"""Part of a name that was removed -> what the thing is called now."""

REMOVED_CLASSES = {"Way": "Candidate", "Standing": "Trial", "Pieces": "Windows", "Together": "ProcessGroup"}
"""Words that are plain English elsewhere, but no longer name a class."""

WEAK = ("What", "Whether", "That", "How")
"""First words of a docstring that say nothing of what is returned."""


def identifiers(source: Source) -> Iterator[tuple[ast.AST, str]]:
    """Every name that a file defines: functions, classes, arguments, variables and attributes."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node, node.name
        elif isinstance(node, ast.arg):
            yield node, node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node, node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node, node.attr


def words_of(name: str) -> set[str]:
    """'ModelBench', 'model_bench' or 'MODEL_BENCH' -> {'Model', 'Bench'}, and the whole name."""
    return {name} | {part.capitalize() for part in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}


def removed_names(source: Source) -> list[str]:
    found = []
    for node, name in identifiers(source):
        gone = REMOVED | REMOVED_CLASSES if isinstance(node, ast.ClassDef) else REMOVED
        found += [f"{source.at(node)} '{name}': say {gone[old]}" for old in gone.keys() & words_of(name)]
    return found


def weak_docstrings(source: Source) -> list[str]:
    defined = (node for node in ast.walk(source.tree) if isinstance(node, FunctionNode | ast.ClassDef))
    texts = ((node, ast.get_docstring(node) or "") for node in defined)
    return [f"{source.at(node)} {text[:60]!r}" for node, text in texts if text.split(" ")[0] in WEAK]


def test_removed_names_do_not_come_back() -> None:
    faults = [fault for source in sources() for fault in removed_names(source)]
    assert not faults, "\n" + "\n".join(faults)


def test_docstrings_begin_with_a_verb_or_a_noun() -> None:
    faults = [fault for source in sources() for fault in weak_docstrings(source)]
    assert not faults, "\n" + "\n".join(faults)


def test_messages_are_not_what_they_were() -> None:
    """Sentences of the first edition that nobody would write."""
    gone = (
        "is nothing that is known",
        "went away",
        "Whether transfer helps",
        "its budget ended it",
        "of which each is",
    )
    documents = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs" / "guides").glob("*.md")]
    texts = [*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.j2"), *documents]
    faults = [f"{path}: {words}" for path in texts for words in gone if words in path.read_text(encoding="utf-8")]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("class ModelBench:\n    pass\n", "FitContext"),
        ("def f(wish: int) -> None:\n    pass\n", "FeatureSpec"),
        ("self_workshop = 1\n", "the steps of the pipeline"),
    ],
)
def test_a_planted_name_is_found(monkeypatch: pytest.MonkeyPatch, text: str, found: str) -> None:
    monkeypatch.setattr("package_source._tree", lambda _: ast.parse(text))
    (fault,) = removed_names(Source(PACKAGE / "pipeline" / "planted.py"))
    assert found in fault


def test_a_planted_docstring_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("package_source._tree", lambda _: ast.parse('def _f():\n    """Whether it is so."""\n'))
    assert weak_docstrings(Source(PACKAGE / "pipeline" / "planted.py"))
