"""Columns that a source and its target share: a model for the target reads no others."""

from __future__ import annotations

from typing import Any

from headstart.contracts.examples import Examples
from headstart.contracts.format import Columns
from headstart.contracts.modality import modality_named
from headstart.kernel.errors import DataError, some
from headstart.pipeline.adaptation.target import about
from headstart.pipeline.data import name_of, reader_of
from headstart.pipeline.plan import Plan

ROLES = ("numeric", "categorical", "date")
"""Roles of input columns that a model can do without."""


def lacking(examples: Examples, target: Any, plan: Plan) -> list[str]:
    """Return the input columns of the source that the target lacks, of those that a model can do without; none where
    there is no target.

    Raises:
        DataError: no input column is shared, or the target cannot be read.
    """
    if target is None:
        return []
    found = dict(modality_named(examples.schema.modality).named(examples.table, examples.schema))
    inputs = [name for role in ROLES for name in found.get(role, ())]
    if not inputs:
        return []
    with about(f"the target {name_of(target)}"):
        source, reader = reader_of(target, plan.format, plan.settings.get("format", {}))
        there = next(iter(reader.stream(source, Columns(), 1))).table.column_names
    missing = [name for name in inputs if name not in there]
    if len(missing) == len(examples.schema.inputs):
        raise DataError(
            f"the target {name_of(target)} shares no input column with the source, which has {some(inputs, 8)}; the "
            f"target's are {some([name for name in there if not name.startswith('__')], 8)}"
        )
    return missing


def without_columns(plan: Plan, names: list[str]) -> Plan:
    """The plan that does not read some input columns."""
    columns = plan.columns
    roles: dict[str, Any] = {role: tuple(n for n in getattr(columns, role) if n not in names) for role in ROLES}
    roles["leave_out"] = (*columns.leave_out, *names)
    return plan.model_copy(update={"columns": columns.model_copy(update=roles)})
