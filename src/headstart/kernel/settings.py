"""Settings: frozen pydantic models whose fields are at once the settings file, the `--set` keys and the report rows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from headstart.kernel.errors import SettingsError, nearest

MOST_SHOWN = 200
"""Characters of a value in a message."""

S = TypeVar("S", bound="Settings")


class Settings(BaseModel):
    """Base of every plug-in and of every settings file. Each field has a one-line docstring."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


def build(settings: type[S], values: Mapping[str, Any], *, where: str) -> S:
    """Make settings from plain values.

    Raises:
        SettingsError: with all faults at once, each with the value received and the nearest known key.
    """
    try:
        built = settings.model_validate(dict(values))
    except ValidationError as error:
        raise SettingsError("\n".join(_fault(settings, fault, where) for fault in error.errors())) from error
    given = {name: getattr(built, name) for name in built.model_fields_set}
    endless = [name for name, value in given.items() if isinstance(value, float) and not math.isfinite(value)]
    if endless:
        raise SettingsError("\n".join(f"{where}.{name} = {_short(values[name])}: not finite" for name in endless))
    return built


def _fault(settings: type[Settings], fault: Any, where: str) -> str:
    key = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        close = nearest(key, settings.model_fields)
        hint = f"Did you mean '{close[0]}'?" if close else f"Known: {', '.join(settings.model_fields) or 'none'}."
        return f"{where}.{key} is not a setting. {hint}"
    if fault["type"] == "missing":
        return f"{where}.{key} is missing"
    return f"{where}.{key} = {_short(fault['input'])}: {fault['msg'].removeprefix('Value error, ')}"


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= MOST_SHOWN else f"{shown[:MOST_SHOWN]}..."
