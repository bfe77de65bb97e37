"""inspect: what is wrong with the data, before anything is trained. Bad data are findings here, not errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from headstart.contracts.format import Columns
from headstart.kernel.errors import SettingsError
from headstart.kernel.files import atomic_path
from headstart.kernel.progress import Quiet, Reporter
from headstart.kernel.user_settings import build
from headstart.pipeline.backbone_columns import with_columns_of_run
from headstart.pipeline.data import NO_SETTINGS, name_of
from headstart.pipeline.deep.rows import COLUMNS, all_faults, as_table
from headstart.pipeline.destination import require_apart, require_cache_apart, require_outside_runs, require_replaceable
from headstart.pipeline.inspection import Inspection
from headstart.pipeline.plan import Plan
from headstart.pipeline.plan_file import AUTO
from headstart.pipeline.rehearsal import inspected

SETTINGS = ("format", "task", "backbone")
"""The plug-ins whose settings decide what a fit would make of the data."""

SUFFIXES = (".csv",)


def inspect(
    data: Any,
    *,
    against: Any = None,
    deep: bool = False,
    out: Path | str | None = None,
    text: str | Sequence[str] = (),
    image: str | None = None,
    numeric: str | Sequence[str] = (),
    categorical: str | Sequence[str] = (),
    date: str | Sequence[str] = (),
    leave_out: str | Sequence[str] = (),
    label: str | Sequence[str] | None = None,
    group: str | None = None,
    domain: str | None = None,
    slices: str | Sequence[str] = (),
    part: str | None = None,
    format: str | None = None,
    task: str = AUTO,
    backbone: str = AUTO,
    weights: str = "pretrained",
    settings: Mapping[str, Mapping[str, Any]] = NO_SETTINGS,
    reporter: Reporter | None = None,
) -> Inspection:
    """Look at every example once, and take the steps of `fit` up to where it would begin to train.

    Args:
        data: a folder of images, a table, a pandas frame or a Hugging Face dataset.
        against: another set of inputs, such as those that the model will meet, looked through for copies of the data
            and for a shift: can a linear classifier on frozen features tell the two apart? Its labels are not read.
        deep: look at frozen features as well, those that a fit has kept where there are any: labels that look wrong
            (confident learning, Northcutt et al. 2021), classes that overlap, and outliers.
        out: a .csv file for all findings, one row per example and fault.
        text, image, numeric, categorical, date, leave_out, label, group, domain, slices, part, format, task, weights:
            as in `fit`.
        backbone: as in `fit`, but that 'auto' takes what is on this machine and downloads nothing.
        settings: settings of format, task and backbone, such as {"format": {"decimal": "comma"}}.
        reporter: shows progress; silent without it.

    Returns:
        All findings. What `fit` would refuse is an error among them, in its own words; what it would leave out, cut,
        convert or assume is a note or a warning, which `fit` repeats.

    Raises:
        SettingsError: unknown names, or settings of anything but format, task and backbone.
        DataError: there is nothing that could be looked at, or `against` has other or no inputs.
        BackboneError: there is none for a comparison.
    """
    require_cache_apart(data, against)
    place = None if out is None else _place(Path(out), data, against, backbone)
    if strange := sorted({*settings} - {*SETTINGS}):
        raise SettingsError(f"--set {strange[0]}: only settings of {', '.join(SETTINGS)} matter to inspect data")
    cells = {"numeric": numeric, "categorical": categorical, "date": date, "leave_out": leave_out}
    roles = {"group": group, "domain": domain, "slices": slices, "part": part}
    columns = Columns.model_validate({"text": text, "image": image, "label": label, **cells, **roles})
    said = {
        "data": name_of(data),
        "columns": columns,
        "format": format,
        "task": task,
        "backbone": backbone,
        "weights": weights,
        "settings": {family: dict(values) for family, values in settings.items()},
    }
    plan = with_columns_of_run(build(Plan, said, where="inspect"))
    plan.check()
    found, seen = inspected(data, plan, reporter or Quiet(), against, deep=deep)
    if place is not None:
        with atomic_path(place) as file:
            as_table(found, all_faults(found, seen)).to_csv(file, index=False)
    return found


def _place(out: Path, *inputs: Any) -> Path:
    """Return where to write; refuse other suffixes, inputs and files that Headstart did not write."""
    if out.suffix not in SUFFIXES:
        raise SettingsError(f"findings are written to {' or '.join(SUFFIXES)}; got {out.name}")
    require_apart(out, inputs, "findings")
    require_outside_runs(out.parent, what=f"findings in {out.name}")
    require_replaceable(out, _holds_findings, "a table of findings")
    return out


def _holds_findings(file: Path) -> bool:
    try:
        return list(pd.read_csv(file, nrows=0).columns) == COLUMNS
    except (OSError, ValueError):
        return False
