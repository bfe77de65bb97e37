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
from headstart.pipeline.deep.cleaned import reasons_beside, require_cleaned_place, write_cleaned
from headstart.pipeline.deep.page import page_of
from headstart.pipeline.deep.rows import COLUMNS, all_faults, as_table
from headstart.pipeline.destination import require_apart, require_cache_apart, require_outside_runs, require_replaceable
from headstart.pipeline.inspection import Inspection
from headstart.pipeline.plan import Plan
from headstart.pipeline.plan_file import AUTO
from headstart.pipeline.prepare import SeenData
from headstart.pipeline.rehearsal import inspected
from headstart.present.report.write import require_page, write_inspection

SETTINGS = ("format", "task", "backbone")
"""The plug-ins whose settings decide what a fit would make of the data."""

SUFFIXES = (".csv", ".html")


def inspect(
    data: Any,
    *,
    against: Any = None,
    deep: bool = False,
    out: Path | str | None = None,
    fix: Path | str | None = None,
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
        against: another set, such as the inputs that the model will meet, looked through for copies of the data and for
            a shift: can a linear classifier on frozen features tell the two apart, and is the shift one of covariates,
            labels, concept or support? Labels are read where it has any; without, its mix of classes is estimated.
        deep: look at frozen features as well, those that a fit has kept where there are any: labels that look wrong
            (confident learning, Northcutt et al. 2021), classes that overlap, and outliers.
        out: a .csv file for all findings, one row per example and fault, or an .html page with previews.
        fix: a .csv or .jsonl file for a cleaned list that `fit` reads. Files that cannot be read, copies, contradicting
            labels, and labels of which the probe is sure that they are wrong are not in it; NAME.reasons.csv beside it
            says why, and which doubtful examples were kept. The data stay as they are.
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
    _require_places(out, fix, (data, against, backbone))
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
    _write(found, seen, out, fix)
    return found


def _write(found: Inspection, seen: SeenData, out: Path | str | None, fix: Path | str | None) -> None:
    faults = all_faults(found, seen)
    if out is not None and Path(out).suffix == ".html":
        write_inspection(page_of(found, seen, faults), Path(out))
    elif out is not None:
        with atomic_path(Path(out)) as file:
            as_table(found, faults).to_csv(file, index=False)
    if fix is not None:
        write_cleaned(seen, faults, Path(fix))


def _require_places(out: Path | str | None, fix: Path | str | None, inputs: Sequence[Any]) -> None:
    """Refuse to write other suffixes, to inputs, and over files that Headstart did not write."""
    if fix is not None:
        require_cleaned_place(Path(fix), inputs)
    if fix is not None and out is not None and Path(out) in (Path(fix), reasons_beside(Path(fix))):
        raise SettingsError(f"--out and --fix would both write {Path(out).name}: give another name")
    if out is None:
        return
    out = Path(out)
    if out.suffix not in SUFFIXES:
        raise SettingsError(f"findings are written to {' or '.join(SUFFIXES)}; got {out.name}")
    if out.suffix == ".html":
        return require_page(out, inputs)
    require_apart(out, inputs, "findings")
    require_outside_runs(out.parent, what=f"findings in {out.name}")
    require_replaceable(out, _holds_findings, "a table of findings")


def _holds_findings(file: Path) -> bool:
    try:
        return list(pd.read_csv(file, nrows=0).columns) == COLUMNS
    except (OSError, ValueError):
        return False
