"""The columns of a table that a run reads, where its folder is the backbone: the same ones, in the same order."""

from __future__ import annotations

from pathlib import Path

from headstart.contracts.model_files import DESCRIPTION, read_description
from headstart.kernel.errors import SettingsError
from headstart.pipeline.plan_file import P


def with_columns_of_run(plan: P) -> P:
    """The plan with the input columns of the run that is its backbone, where that one reads tables.

    Raises:
        RunError: the run is damaged. SettingsError: the plan names other columns.
    """
    folder = Path(plan.backbone).expanduser() / "model"
    if not (folder / DESCRIPTION).is_file():
        return plan
    known = read_description(folder).columns
    kinds = ("numeric", "categorical", "date")
    if not any(getattr(known, kind) for kind in kinds):
        return plan
    reads, columns = set(known.named()), plan.columns
    if wrong := sorted({*columns.named()} - reads | {*columns.leave_out} & reads):
        listed = ", ".join(known.named())
        raise SettingsError(f"column {wrong[0]!r}: the backbone {plan.backbone} reads exactly {listed}")
    found = {kind: getattr(known, kind) for kind in ("text", *kinds)}
    return plan.model_copy(update={"columns": columns.model_copy(update={**found, "only": True})})
