"""The contract of each family of plug-ins, recorded where it is defined so that the registry can check against it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T", bound=Any)

CONTRACTS: dict[str, type] = {}
"""Family -> what each of its plug-ins must have, once the module of the contract is imported."""


def contract(family: str) -> Callable[[T], T]:
    """Decorate the class that is the contract of a family's plug-ins."""

    def kept(kind: T) -> T:
        CONTRACTS[family] = kind
        return kind

    return kept
