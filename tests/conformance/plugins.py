"""The plug-ins of a family as pytest parameters: found by name, so that a new file is tested without an edit here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import pytest

from headstart.kernel import registry
from headstart.kernel.settings import Settings

T = TypeVar("T")

FILLING: dict[Any, Any] = {str: "a name", int: 1, float: 1.0}
"""Values for settings without a default."""


def every(family: str) -> pytest.MarkDecorator:
    """Run a test once for each plug-in, its argument `name`."""
    return pytest.mark.parametrize("name", registry.names(family))


def sample(family: str, name: str) -> Any:
    """The plug-in with its defaults; settings without one are filled in by their type."""
    kind: type[Settings] = registry.plugin(family, name)
    fields = kind.model_fields.items()
    return kind(**{key: FILLING[field.annotation] for key, field in fields if field.is_required()})


def entry(table: Mapping[str, T], name: str, *, where: str, needs: str) -> T:
    """The entry that a test has for a plug-in; without one the test fails and says what to add."""
    if name not in table:
        pytest.fail(f"'{name}' is new: give it an entry in {where}: {needs}")
    return table[name]
