"""Settings as a user reads and writes them: rows of help, and `--set` assignments."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from headstart.kernel.documents import parse_toml
from headstart.kernel.errors import SettingsError
from headstart.kernel.settings import Settings


class FieldHelp(NamedTuple):
    """One setting as help and report show it."""

    name: str
    type: str
    default: str
    meaning: str


def field_help(settings: type[Settings]) -> list[FieldHelp]:
    """A row per field: name, type, default and its docstring."""
    rows = []
    for name, field in settings.model_fields.items():
        kind = getattr(field.annotation, "__name__", None)
        if kind is None or "[" in str(field.annotation):
            kind = str(field.annotation).replace("typing.", "")
        default = "required" if field.is_required() else repr(field.get_default(call_default_factory=True))
        rows.append(FieldHelp(name, kind, default, field.description or ""))
    return rows


def parse_assignments(assignments: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Turn `--set tuning.epochs=3` into {"tuning": {"epochs": 3}}; values are TOML, bare words are strings.

    Raises:
        SettingsError: an assignment is not of the form FAMILY.KEY=VALUE.
    """
    parsed: dict[str, dict[str, Any]] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        family, dot, name = key.strip().partition(".")
        if not (equals and dot and family and name):
            raise SettingsError(f"--set {assignment}: expected FAMILY.KEY=VALUE, for example tuning.epochs=3")
        parsed.setdefault(family, {})[name] = _toml_value(text.strip())
    return parsed


def _toml_value(text: str) -> Any:
    try:
        return parse_toml(f"value = {text}")["value"]
    except ValueError:
        return text
