"""Inputs that can be read but are of no use, such as blank texts and rows with an infinite number.

They are reported like files that cannot be read: nothing is learnt from them and nothing is predicted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from headstart.contracts.examples import Examples
from headstart.contracts.modality import InFiles, modality_named, raws_of
from headstart.contracts.model import Model
from headstart.engine.frozen.content_keys import content_keys
from headstart.engine.frozen.infer import Predicted, Predictor
from headstart.kernel.errors import DataError
from headstart.kernel.progress import Reporter
from headstart.pipeline.record import DataIssue


def unusable(examples: Examples) -> dict[int, str]:
    """Return row -> why its input is of no use, in words that follow its origin. Files are judged when read."""
    kind = modality_named(examples.schema.modality)
    if isinstance(kind, InFiles):
        return {}
    flaws = ((row, kind.flaw(raw)) for row, raw in enumerate(raws_of(examples)))
    return {row: flaw for row, flaw in flaws if flaw}


class Usable(NamedTuple):
    """The inputs that are of use, and the reasons against the others."""

    examples: Examples
    keys: list[str]
    """Content key of each."""
    useless: Mapping[int, str]
    """Row of the data -> why its input cannot be read, or is of no use."""


def usable(examples: Examples, reporter: Reporter) -> Usable:
    """Return the inputs that can be read and are of use."""
    found = content_keys(examples, reporter)
    useless = {**unusable(examples), **found.failures}
    rows = [row for row in range(len(examples)) if row not in useless]
    return Usable(examples.take(rows), [str(found.keys[row]) for row in rows], useless)


def issues_of(examples: Examples, reasons: Mapping[int, str]) -> tuple[DataIssue, ...]:
    """Put reasons against rows into the record, with the origins of these."""
    origins = examples.origins()
    return tuple(DataIssue(origin=origins[row], reason=reason) for row, reason in sorted(reasons.items()))


def predict_usable(predictor: Predictor, examples: Examples) -> Predicted:
    """Predict the rows that are of use; every other row has a reason.

    Raises:
        DataError: the inputs are of another kind than those that the model learnt from.
    """
    require_kind(predictor.model, examples)
    useless = unusable(examples)
    rows = np.array([row for row in range(len(examples)) if row not in useless], dtype=np.int64)
    found = predictor(examples.take(rows))
    failures = {**useless, **{int(rows[row]): reason for row, reason in found.failures.items()}}
    return Predicted(found.prediction, rows[found.rows], dict(sorted(failures.items())), found.pooled)


def require_kind(model: Model, examples: Examples) -> None:
    """Refuse inputs of another kind than those that a model learnt from. Raises DataError."""
    schema, wanted = examples.schema, model.backbone.modality
    if schema.modality != wanted:
        raise DataError(f"the model takes {wanted} inputs; the data hold {schema.modality} inputs")
    for role, names in modality_named(wanted).named(examples.table, schema).items():
        known = getattr(model.columns, role)
        if isinstance(names, tuple) and model.columns.named() and len(names) != len(known):
            raise DataError(f"the model takes {len(known)} {role} columns; the data have {', '.join(schema.inputs)}")
