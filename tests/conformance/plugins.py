"""The plug-ins of a family as pytest parameters: found by name, so that a new file is tested without an edit here.

Those of a package outside are tested as well where it is installed and HEADSTART_SAMPLES names a Python file with the
inputs that these tests need: SAMPLES, a table from (family, name) to a function. For a modality, a format or a backbone
family it takes an empty folder and returns the fields of `Sample` or `Case` here; for a task it takes a number of rows
and returns `examples` and `features` (rows, width). `tests/external_plugin/samples.py` is one.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
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


@cache
def samples_outside() -> Mapping[tuple[str, str], Callable[..., dict[str, Any]]]:
    """The table SAMPLES of the file that HEADSTART_SAMPLES names."""
    file = os.environ.get("HEADSTART_SAMPLES")
    if not file:
        return {}
    spec = importlib.util.spec_from_file_location("samples_outside", file)
    assert spec is not None and spec.loader is not None, f"HEADSTART_SAMPLES={file} is not a Python file"
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: Mapping[tuple[str, str], Callable[..., dict[str, Any]]] = module.SAMPLES
    return found


def sample_for(
    family: str, name: str, folder: Path, table: Mapping[str, Callable[[Path], T]], kind: type[T], *, needs: str
) -> T:
    """What a test has for a plug-in of its family; without it the test fails and says what to add."""
    if name in table:
        return table[name](folder)
    if (family, name) in samples_outside():
        return kind(**samples_outside()[family, name](folder))
    pytest.fail(f"{family}/{name} has no sample: give the table in the test, or HEADSTART_SAMPLES, {needs}")
