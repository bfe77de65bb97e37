"""Checks of what a task has learnt, for what is read from a file: no training leaves anything else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from pydantic import ValidationInfo

from headstart.contracts.linear_model import HeldOut
from headstart.numerics.calibration import COOLEST, HOTTEST, fit_temperature

TEMPERATURE = {"temperature": (COOLEST, HOTTEST)}
"""The limits of a calibration by temperature."""


def temperature_of(held_out: HeldOut) -> dict[str, float]:
    """Return the temperature that suits held-out logits; 1 where there are none."""
    return {"temperature": fit_temperature(*held_out[0]) if held_out else 1.0}


def distinct(names: Sequence[Any]) -> Sequence[Any]:
    """Return the names themselves. Raises ValueError where one stands twice: the two could not be told apart."""
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ValueError(f"'{twice[0]}' stands {names.count(twice[0])} times; every name must be there once")
    return names


def one_for_each(field: str, *, or_none: bool = False) -> Callable[[Sequence[Any], ValidationInfo], Sequence[Any]]:
    """Return a validator of as many numbers as an earlier field has names; `or_none` lets there be none."""

    def checked(numbers: Sequence[Any], info: ValidationInfo) -> Sequence[Any]:
        names = info.data.get(field)
        fits = names is None or len(numbers) == len(names) or (or_none and not numbers)
        if not fits:
            raise ValueError(f"has {len(numbers)} numbers for {len(names or ())} names")
        return numbers

    return checked
