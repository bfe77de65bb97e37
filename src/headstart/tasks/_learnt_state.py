"""What a saved task must hold to be one that binding and calibration have left; refused by name where it does not."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from headstart.kernel.errors import SettingsError, unknown
from headstart.numerics.calibration import COOLEST, HOTTEST

TEMPERATURE = "temperature"


def distinct(names: Sequence[str]) -> Sequence[str]:
    """The names themselves. Raises ValueError where one stands twice: the two could not be told apart."""
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ValueError(f"'{twice[0]}' stands {names.count(twice[0])} times; every name must be there once")
    return names


def require_names(what: str, names: Sequence[str], fewest: int) -> None:
    """Raises SettingsError where a saved task has fewer names than it can have learnt."""
    if len(names) < fewest:
        raise SettingsError(f"task.{what} has {len(names)} names; a trained model has at least {fewest}")


def require_counts(what: str, counts: Sequence[int], names: Sequence[str]) -> None:
    """Raises SettingsError unless there is a count of examples or pixels for every name."""
    if len(counts) != len(names):
        raise SettingsError(f"task.{what} has {len(counts)} numbers for {len(names)} names")
    require_within(f"task.{what}", min(counts, default=0), 0, math.inf)


def require_within(what: str, number: float, low: float, high: float) -> None:
    """Raises SettingsError unless low <= number <= high; NaN is not."""
    if not low <= number <= high:
        limits = f"a number from {low:g} to {high:g}" if math.isfinite(high) else f"a number >= {low:g}"
        raise SettingsError(f"{what} = {number} is not {limits}")


def require_calibration(calibration: Mapping[str, float], known: Collection[str]) -> None:
    """Raises SettingsError on what is no calibration of this task, and on a temperature outside of [0.05, 20]."""
    for name, number in calibration.items():
        if name not in known:
            raise SettingsError(unknown("calibration", name, known))
        if name == TEMPERATURE:
            require_within(f"calibration.{name}", number, COOLEST, HOTTEST)
