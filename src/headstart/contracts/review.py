"""A task's view of labelled data before there are any predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Review(NamedTuple):
    """A task's view of labelled data before anything is trained."""

    faults: tuple[str, ...] = ()
    """Sentences on what binding would refuse."""
    warnings: tuple[str, ...] = ()
    """Sentences on what would be learnt or judged wrongly."""
    notes: tuple[str, ...] = ()
    """Sentences on what is good to know."""
    missing: int = 0
    """Examples without a label."""
    labels: Sequence[tuple[str, ...] | None] = ()
    """Names that each example is labelled with, in a fixed order; None where the label is missing. Empty where labels
    are not names: copies are then not compared by them."""
    spreads: Mapping[str, Sequence[float]] = {}
    """Quantity -> its values over the examples."""
    unit: str = ""
    """Of the quantities, as it stands behind their numbers: '% of a picture'."""
