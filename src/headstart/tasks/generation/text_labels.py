"""Texts as labels: when a column of labels is taken for texts to write, and what is refused."""

from __future__ import annotations

from headstart.contracts.examples import Examples
from headstart.kernel.errors import DataError

TARGET = "label"
"""Name of the target in a schema."""

DISTINCT, WORDS = 0.5, 3.0
"""Labels that differ so often, and have so many words in the mean, are texts and no names of classes."""


def are_texts(examples: Examples) -> str | None:
    """Return why labels are texts to write, in words; None where they are anything else."""
    labels = [label for label in examples.target(TARGET) if label is not None]
    if not labels or not all(isinstance(label, str) for label in labels):
        return None
    distinct = len(set(labels))
    words = sum(len(label.split()) for label in labels) / len(labels)
    if distinct < DISTINCT * len(labels) or words < WORDS:
        return None
    return f"the labels are {distinct} different texts of {words:.0f} words in the mean"


def labelled_texts(examples: Examples) -> list[str]:
    """The text of each example. Raises DataError where there is none, or some are missing."""
    if TARGET not in examples.schema.targets:
        have = ", ".join(examples.schema.targets.values()) or "none"
        raise DataError(f"generation needs a text for each example; the labels are: {have}. Name a column by --label.")
    column, values = examples.schema.targets[TARGET], examples.target(TARGET)
    missing = [row for row, value in enumerate(values) if value is None or not str(value).strip()]
    if missing:
        raise DataError(
            f"column '{column}': {len(missing)} of {len(examples)} examples have no text to write, first "
            f"{examples.named(missing)}. Take these rows out."
        )
    odd = next((value for value in values if not isinstance(value, str)), None)
    if odd is not None:
        raise DataError(
            f"column '{column}' holds {type(odd).__name__} such as {odd!r}, and generation writes texts. If these are "
            "texts, read them as they are written with --set format.labels=names."
        )
    return [str(value) for value in values]
