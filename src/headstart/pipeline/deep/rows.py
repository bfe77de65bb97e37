"""All that an inspection found, as rows of a table: sentences on the data first, then one row per example and fault."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from headstart.evidence.duplicates import Duplicates
from headstart.pipeline.inspection import FaultRow, Inspection
from headstart.pipeline.prepare import SeenData

COLUMNS = ["kind", "origin", "score", "given", "likely", "other", "detail"]
"""Of the table."""


def all_faults(found: Inspection, seen: SeenData) -> list[FaultRow]:
    """Return every fault with an example, by kind, those that are certain first."""
    origins = seen.examples.origins()
    certain = [
        *(FaultRow(kind="unreadable", origin=one.origin, detail=one.reason) for one in found.unreadable),
        *(FaultRow(kind="unusable", origin=one.origin, detail=one.reason) for one in found.unusable),
        *(FaultRow(kind="single colour", origin=one) for one in found.constant_images),
        *_conflicts(found),
        *(
            FaultRow(kind="leak", origin=one.one, other=one.other, detail="outside the train part, with a copy in it")
            for one in found.leaks
        ),
        *_copies(seen.copies, origins),
    ]
    return [*certain, *(found.deep.faults if found.deep else ()), *(found.shift.faults if found.shift else ())]


def as_table(found: Inspection, faults: Sequence[FaultRow]) -> pd.DataFrame:
    """Return errors and warnings in sentences, and then the faults."""
    sentences = [
        FaultRow(kind=one.severity, origin="", detail=one.text) for one in found.findings if one.severity != "note"
    ]
    rows = [one.model_dump(include=set(COLUMNS)) for one in (*sentences, *faults)]
    return pd.DataFrame(rows, columns=COLUMNS)


def _conflicts(found: Inspection) -> Iterator[FaultRow]:
    for conflict in found.conflicts:
        for origin, label in zip(conflict.origins[1:], conflict.labels[1:]):
            yield FaultRow(
                kind="conflicting labels",
                origin=origin,
                given=label,
                other=conflict.origins[0],
                detail=f"a copy is labelled '{conflict.labels[0]}'",
            )


def _copies(copies: Duplicates, origins: Sequence[str]) -> Iterator[FaultRow]:
    exact = {later for _, later in copies.exact}
    for row, first in enumerate(copies.cluster.tolist()):
        if row != first:
            kind = "exact copy" if row in exact else "near copy"
            yield FaultRow(kind=kind, origin=origins[row], other=origins[first], detail="repeats an earlier example")
