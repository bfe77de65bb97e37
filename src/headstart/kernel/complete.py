"""Classes that a package outside completes: what is missing is named."""

from __future__ import annotations

from abc import ABC
from typing import Any, Self

from headstart.kernel.errors import SettingsError


class Complete(ABC):  # noqa: B024
    """Names the abstract methods that a class of a package outside lacks in a SettingsError, not in a TypeError."""

    def __new__(cls, *_: Any, **__: Any) -> Self:
        """Raises SettingsError with the missing methods."""
        missing = ", ".join(sorted(cls.__abstractmethods__))
        if missing:
            raise SettingsError(f"{cls.__module__}.{cls.__name__} must define {missing}")
        return super().__new__(cls)
