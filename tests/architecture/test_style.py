"""The rules of style that a machine can check; each message names file and line."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

import headstart
from package_source import PLUGIN_FOLDERS, FunctionNode, Source, sources

MOST_LINES = 400
MOST_FUNCTION_LINES = 50
"""Without the docstring, so that nobody saves on words."""
MOST_PUBLIC_NAMES = 17
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "base", "tools", "shared"}


def fail_on(faults: Iterable[str]) -> None:
    found = list(faults)
    assert not found, "\n" + "\n".join(found)


def test_files_are_short() -> None:
    lengths = ((source, len(source.text.splitlines())) for source in sources())
    fail_on(f"{s.at(s.tree)} has {n} lines, at most {MOST_LINES}" for s, n in lengths if n > MOST_LINES)


def test_functions_are_short() -> None:
    fail_on(
        f"{source.at(node)} {node.name} has {lines} lines beside its docstring, at most {MOST_FUNCTION_LINES}"
        for source in sources()
        for node in source.functions()
        if (lines := _length(node) - _docstring_length(node)) > MOST_FUNCTION_LINES
    )


def test_no_file_has_a_vague_name() -> None:
    fail_on(
        f"{source.at(source.tree)}: name the thing instead"
        for source in sources()
        if source.path.stem.strip("_") in VAGUE_NAMES or source.path.parent.name in VAGUE_NAMES
    )


def test_init_files_are_empty() -> None:
    fail_on(
        f"{source.at(source.tree)} must be empty"
        for source in sources()
        if source.path.name == "__init__.py" and source.folder != "" and source.text.strip()
    )


def test_every_file_says_what_it_is_about() -> None:
    fail_on(
        f"{source.at(source.tree)} has no docstring on top"
        for source in sources()
        if source.text.strip() and not ast.get_docstring(source.tree)
    )


def test_every_file_defers_its_annotations() -> None:
    wanted = "from __future__ import annotations"
    fail_on(f"{s.at(s.tree)} lacks `{wanted}`" for s in sources() if s.text.strip() and wanted not in s.text)


def test_no_bare_assert() -> None:
    fail_on(
        f"{source.at(node)} is an assert: raise an error that says what to do"
        for source in sources()
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Assert)
    )


def test_public_signatures_name_their_arguments() -> None:
    fail_on(
        f"{source.at(node)} {node.name} takes **{node.args.kwarg.arg}"
        for source, node, _ in public_functions()
        if node.args.kwarg is not None
    )


def test_everything_public_has_a_docstring() -> None:
    fail_on(
        f"{source.at(node)} {node.name} has no docstring"
        for source in sources()
        for node, _ in source.public()
        if not ast.get_docstring(node)
    )


def test_tensors_in_public_signatures_have_their_shape_in_a_docstring() -> None:
    promised = contract_methods()
    fail_on(
        f"{source.at(node)} {node.name} takes or returns a tensor; say its shape, such as (batch, classes)"
        for source, node, owner in public_functions()
        if has_tensors(node)
        and "(" not in (ast.get_docstring(node) or "") + ((owner and ast.get_docstring(owner)) or "")
        and not (owner and source.folder.partition("/")[0] in PLUGIN_FOLDERS and node.name in promised)
    )


def test_the_package_has_few_public_names() -> None:
    assert len(headstart.__all__) <= MOST_PUBLIC_NAMES
    assert all(not name.startswith("_") or name == "__version__" for name in headstart.__all__)


def public_functions() -> Iterator[tuple[Source, FunctionNode, ast.ClassDef | None]]:
    """(file, function, its class) of all that is public."""
    return (
        (source, node, owner)
        for source in sources()
        for node, owner in source.public()
        if isinstance(node, FunctionNode)
    )


def contract_methods() -> set[str]:
    """Methods whose shapes a contract states, for every plug-in that keeps it."""
    return {node.name for source, node, owner in public_functions() if owner and source.folder == "contracts"}


def has_tensors(node: FunctionNode) -> bool:
    """Whether a parameter or the result is itself a tensor or array; `rows` are row numbers everywhere."""
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    annotations = [argument.annotation for argument in arguments if argument.arg != "rows"] + [node.returns]
    return any(ast.unparse(a) in {"Tensor", "torch.Tensor", "np.ndarray"} for a in annotations if a is not None)


def _length(node: ast.AST) -> int:
    return (getattr(node, "end_lineno", None) or node.lineno) - node.lineno + 1  # type: ignore[attr-defined]


def _docstring_length(node: FunctionNode) -> int:
    return _length(node.body[0]) if ast.get_docstring(node) else 0
