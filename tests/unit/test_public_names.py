"""The public names: loaded on first use, and seen by type checkers as what they are."""

from __future__ import annotations

import ast
from pathlib import Path

import headstart


def test_type_checkers_see_the_names_that_are_loaded() -> None:
    tree = ast.parse(Path(headstart.__file__).read_text(encoding="utf-8"))
    (checked,) = (node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.asname: node.module for node in checked.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert seen == headstart._HOME
