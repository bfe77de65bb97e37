"""Distinct values that are few enough, beside their rows, to be classes and no quantities."""

from __future__ import annotations

FEW_VALUES = 20
"""Distinct values that are always few enough."""

MOST_VALUES = 1000
"""Distinct values that are never few, however many rows there are."""

SHARE_OF_ROWS = 0.05
"""Distinct values per row up to which more than `FEW_VALUES` are few."""


def are_few(distinct: int, rows: int) -> bool:
    """Return whether so many distinct values in so many rows can be classes."""
    return 2 * distinct <= rows and (distinct <= FEW_VALUES or distinct <= min(MOST_VALUES, SHARE_OF_ROWS * rows))
