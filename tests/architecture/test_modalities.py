"""No file outside `modalities/` branches on the name of a modality: it asks the modality, or looks at what that has."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import chain

import pytest

import package_source
from headstart.kernel import registry
from package_source import PACKAGE, Source, sources

NAMES = frozenset(registry.names("modalities"))


def branches(source: Source) -> Iterator[ast.AST]:
    """Comparisons with the name of a modality, patterns that are one, and tables keyed by nothing but such names."""
    constants = {name for node in source.tree.body for name in _constants(node)}
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            members = chain.from_iterable(s.elts for s in sides if isinstance(s, ast.Tuple | ast.List | ast.Set))
            # a constant such as TEXT may also be the name of a column
            known = constants if "modality" in ast.unparse(node) else set()
            found = any(_is_name(part, known) for part in [*sides, *members])
        elif isinstance(node, ast.Dict):
            found = len(node.keys) > 1 and all(key is not None and _is_name(key, constants) for key in node.keys)
        else:
            found = isinstance(node, ast.MatchValue) and _is_name(node.value, constants)
        if found:
            yield node


def _constants(node: ast.stmt) -> Iterator[str]:
    """Names at the top of a file that stand for the name of a modality."""
    if isinstance(node, ast.Assign) and _is_name(node.value, set()):
        yield from (target.id for target in node.targets if isinstance(target, ast.Name))


def _is_name(node: ast.expr, constants: set[str]) -> bool:
    if isinstance(node, ast.Name):
        return node.id in constants
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in NAMES


def test_no_file_branches_on_the_name_of_a_modality() -> None:
    faults = [
        f"{source.at(node)} branches on the name of a modality: {ast.unparse(node)[:80]}"
        for source in sources()
        if source.folder.partition("/")[0] != "modalities"
        for node in branches(source)
    ]
    assert not faults, "\n" + "\n".join(faults)


@pytest.mark.parametrize(
    "planted",
    [
        "if examples.schema.modality == 'image': pass",
        "found = 'text' != backbone.modality",
        "found = modality in ('audio', 'table')",
        "found = modality not in {'text'}",
        "WORDS = {'image': 'pictures', 'text': 'texts'}",
        "match modality:\n    case 'image' | 'audio':\n        pass",
        "KIND = 'image'\nfound = modality == KIND",
    ],
)
def test_a_planted_branch_is_found(monkeypatch: pytest.MonkeyPatch, planted: str) -> None:
    monkeypatch.setattr(package_source, "_tree", lambda _: ast.parse(planted))
    assert list(branches(Source(PACKAGE / "pipeline" / "planted.py")))


@pytest.mark.parametrize(
    "allowed",
    [
        "schema = Schema(modality='image', inputs=('path',))",
        "modalities: ClassVar[tuple[str, ...]] = ('image', 'text')",
        "found = modality in self.modalities",
        "chosen = {'out': out, 'text': text, 'image': image}",
        "isinstance(kind, HasPicture)",
    ],
)
def test_what_is_declared_is_allowed(monkeypatch: pytest.MonkeyPatch, allowed: str) -> None:
    monkeypatch.setattr(package_source, "_tree", lambda _: ast.parse(allowed))
    assert not list(branches(Source(PACKAGE / "pipeline" / "planted.py")))
