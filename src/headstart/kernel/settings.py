"""Settings: frozen pydantic models whose fields are at once the settings file, the `--set` keys and the report rows."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Base of every plug-in and of every settings file. Each field has a one-line docstring."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
