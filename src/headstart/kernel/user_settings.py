"""Settings as users write and read them: made of plain values and `--set` assignments, explained in rows of help."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

from pydantic import ValidationError

from headstart.kernel.documents import parse_toml
from headstart.kernel.errors import SettingsError, nearest
from headstart.kernel.settings import Settings

MOST_SHOWN = 200
"""Characters of a value in a message."""

S = TypeVar("S", bound=Settings)


def build(settings: type[S], values: Mapping[str, Any], *, where: str) -> S:
    """Make settings from plain values.

    Raises:
        SettingsError: with all faults at once, each with the value received and the nearest known key.
    """
    with naming_faults(settings, where):
        built = settings.model_validate(dict(values))
    given = {name: getattr(built, name) for name in built.model_fields_set}
    endless = [name for name, value in given.items() if isinstance(value, float) and not math.isfinite(value)]
    if endless:
        raise SettingsError("\n".join(f"{where}.{name} = {_short(values[name])}: not finite" for name in endless))
    return built


@contextmanager
def naming_faults(settings: type[Settings], where: str) -> Iterator[None]:
    """Turn pydantic's errors into a SettingsError that names every fault."""
    try:
        yield
    except ValidationError as error:
        raise SettingsError("\n".join(_fault(settings, fault, where) for fault in error.errors())) from error


def _fault(settings: type[Settings], fault: Any, where: str) -> str:
    key = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        close = nearest(key, settings.model_fields)
        hint = f"Did you mean '{close[0]}'?" if close else f"Known: {', '.join(settings.model_fields) or 'none'}."
        return f"{where}.{key} is not a setting. {hint}"
    if not key:
        return f"{where}: {fault['msg'].removeprefix('Value error, ')}"
    if fault["type"] == "missing":
        return f"{where}.{key} is missing"
    return f"{where}.{key} = {_short(fault['input'])}: {fault['msg'].removeprefix('Value error, ')}"


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= MOST_SHOWN else f"{shown[:MOST_SHOWN]}..."


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
