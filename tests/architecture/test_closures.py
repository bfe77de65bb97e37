"""Understanding one loss or one tuning needs little: its file, and the few contracts that it imports."""

from __future__ import annotations

import pytest

from package_source import import_closure

MOST_LINES = {"objectives.vicreg": 600, "tuning.partial": 700, "tasks.classification.task": 1620}


@pytest.mark.parametrize(("module", "most"), MOST_LINES.items())
def test_what_a_plugin_imports_is_short(module: str, most: int) -> None:
    lines = import_closure(f"headstart.{module}")
    assert lines <= most, f"{module} and all that it imports have {lines} lines, at most {most}"
