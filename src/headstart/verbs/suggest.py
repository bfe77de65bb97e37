"""suggest: which unlabelled examples to label next."""

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
from headstart.pipeline.destination import (
    is_run,
    require_apart,
    require_cache_apart,
    require_outside_runs,
    require_replaceable,
)
from headstart.pipeline.plan import Plan
from headstart.pipeline.plan_file import AUTO
from headstart.pipeline.run_folder import open_run
from headstart.pipeline.suggestion import Suggestions, suggestions
from headstart.present.report.write import require_page, write_suggestions

SUFFIXES = (".csv", ".html")
COLUMNS = ["origin", "reason"]
OURS = "suggested "
"""Before the name of one of these where an input has it."""


def suggest(
    pool: Any,
    *,
    labelled: Any = None,
    count: int = 50,
    method: str = AUTO,
    out: Path | str | None = None,
    text: str | Sequence[str] = (),
    image: str | None = None,
    numeric: str | Sequence[str] = (),
    categorical: str | Sequence[str] = (),
    date: str | Sequence[str] = (),
    leave_out: str | Sequence[str] = (),
    label: str | Sequence[str] | None = None,
    group: str | None = None,
    format: str | None = None,
    task: str = AUTO,
    backbone: str = AUTO,
    seed: int = 0,
    settings: Mapping[str, Mapping[str, Any]] = NO_SETTINGS,
    reporter: Reporter | None = None,
) -> Suggestions:
    """Choose the examples of a pool that are worth a label, from frozen features.

    Few labels: typical examples of clusters without a label (TypiClust, Hacohen et al. 2022). From ten labels per class
    on: examples of which a linear probe is unsure and that differ from each other (BADGE, Ash et al. 2020).

    Args:
        pool: inputs without labels, as `predict` takes them; those that are labelled already are passed over.
        labelled: labelled data as in `fit`, or a run, whose data, backbone and model are taken; without it the rows of
            the pool that have a `label`, if that is named. Rows without a label count as unlabelled.
        count: number of suggestions; >= 1.
        out: a .csv file of origins, reasons and inputs, which with a column of labels can be given as `labelled`; or an
            .html page with previews.
        method: 'typical', 'covering' (ProbCover, Yehuda et al. 2022) or 'uncertain'; 'auto' goes by the labels. Where
            examples have no single class, 'auto' is 'typical', and 'uncertain' needs the run of a tagger.
        text, image, numeric, categorical, date, leave_out, label, group, format, task, backbone: as in `fit`.
        seed: decides clusters and draws.
        settings: settings of format, task and backbone.
        reporter: shows progress; silent without it.

    Returns:
        The suggestions, the most useful first, the method and why it was taken.

    Raises:
        HeadstartError: its subclasses say whether settings, data or backbone are at fault.
    """
    require_cache_apart(pool, labelled)
    place = None if out is None else _place(Path(out), pool, labelled)
    if count < 1:
        raise SettingsError(f"count is {count}; suggest one example at least")
    cells = {"numeric": numeric, "categorical": categorical, "date": date, "leave_out": leave_out}
    columns = Columns.model_validate({"text": text, "image": image, "label": label, "group": group, **cells})
    said: dict[str, Any] = {
        "data": name_of(pool),
        "columns": columns,
        "format": format,
        "task": task,
        "backbone": backbone,
        "seed": seed,
        "settings": {family: dict(values) for family, values in settings.items()},
    }
    run = open_run(labelled) if isinstance(labelled, (str, Path)) and is_run(Path(labelled)) else None
    if run is not None:
        own = {"columns": run.plan.columns, "format": run.plan.format, "task": run.plan.task, "backbone": str(labelled)}
        said |= {name: value for name, value in own.items() if said[name] in (None, AUTO, Columns())}
        labelled = run.plan.source()
        run = run if said["backbone"] == own["backbone"] else None  # its head reads the features of its own backbone
    plan = with_columns_of_run(build(Plan, said, where="suggest"))
    plan.check()
    found = suggestions(pool, labelled, plan, count, method, run, reporter or Quiet())
    if place is not None:
        _write(found, place)
    return found


def _write(found: Suggestions, place: Path) -> None:
    if place.suffix == ".html":
        write_suggestions(found, place)
        return
    taken = {name for row in found.rows for name in row.inputs}
    origin, reason = (f"{OURS}{name}" if name in taken else name for name in COLUMNS)
    frame = pd.DataFrame([{origin: row.origin, reason: row.reason, **row.inputs} for row in found.rows])
    # a list to which labels were added is the user's
    require_replaceable(place, lambda file: _header(file) == list(frame.columns), "such a list of suggestions")
    with atomic_path(place) as file:
        frame.to_csv(file, index=False)


def _place(out: Path, *inputs: Any) -> Path:
    """Return where to write; refuse other suffixes, inputs and files that Headstart did not write."""
    if out.suffix not in SUFFIXES:
        raise SettingsError(f"suggestions are written to {' or '.join(SUFFIXES)}; got {out.name}")
    if out.suffix == ".html":
        require_page(out, inputs)
        return out
    require_apart(out, inputs, "suggestions")
    require_outside_runs(out.parent, what=f"suggestions in {out.name}")
    require_replaceable(out, _holds_suggestions, "a list of suggestions")
    return out


def _holds_suggestions(file: Path) -> bool:
    return [name.removeprefix(OURS) for name in _header(file)[:2]] == COLUMNS


def _header(file: Path) -> list[str]:
    try:
        return list(pd.read_csv(file, nrows=0).columns)
    except (OSError, ValueError):
        return []
