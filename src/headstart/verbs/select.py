"""select: which pretrained model suits labelled data best, what it costs to run, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from headstart.contracts.format import Columns
from headstart.kernel.errors import SettingsError
from headstart.kernel.progress import Quiet, Reporter
from headstart.kernel.user_settings import build
from headstart.pipeline.data import NO_SETTINGS, name_of
from headstart.pipeline.destination import require_cache_apart
from headstart.pipeline.plan import Plan
from headstart.pipeline.plan_file import AUTO
from headstart.pipeline.selection.record import Selection
from headstart.pipeline.selection.select_run import run_selection
from headstart.present.report.write import require_page, write_selection
from headstart.search.recommender_selection import rank_recommenders


def select(
    data: Any,
    *,
    candidates: str | Sequence[str] = (),
    licence: Literal["any", "commercial"] = "any",
    out: Path | str | None = None,
    text: str | Sequence[str] = (),
    image: str | None = None,
    numeric: str | Sequence[str] = (),
    categorical: str | Sequence[str] = (),
    date: str | Sequence[str] = (),
    leave_out: str | Sequence[str] = (),
    label: str | Sequence[str] | None = None,
    group: str | None = None,
    part: str | None = None,
    format: str | None = None,
    task: str = AUTO,
    seed: int = 0,
    budget: float | None = None,
    settings: Mapping[str, Mapping[str, Any]] = NO_SETTINGS,
    reporter: Reporter | None = None,
) -> Selection:
    """Rank pretrained models by a cross-validated linear probe on their frozen features; train nothing deep.

    For interactions recommenders are ranked instead, by their lists for users of the validation part.

    Args:
        data: labelled data, as in `fit`. Training and validation part are used, the test part is not looked at.
        candidates: names, folders or runs, as `fit` takes a backbone, in a list or separated by commas. Without it a
            catalogue for the kind of data; models that are neither on this machine nor within reach are skipped.
        licence: 'commercial' skips weights whose licence does not plainly allow commercial use.
        out: an .html file for the ranking as a page.
        text, image, numeric, categorical, date, leave_out, label, group, part, format, task: as in `fit`.
        seed: decides the split, the folds and the resamples.
        budget: seconds for the frozen passes; candidates for which it leaves no time are skipped.
        settings: settings of format and task.
        reporter: shows progress; silent without it.

    Returns:
        The ranking by the task's primary metric, with intervals, the probability of each model to be the best, other
        scores beside it, and what each model costs to run here.

    Raises:
        HeadstartError: its subclasses say whether settings or data are at fault, or no candidate can be measured.
    """
    require_cache_apart(data)
    if licence not in ("any", "commercial"):
        raise SettingsError(f"licence is 'any' or 'commercial', not {licence!r}")
    if out is not None:
        if Path(out).suffix != ".html":
            raise SettingsError(f"a ranking is written to .html; got {Path(out).name}")
        require_page(Path(out), (data, candidates))
    cells = {"numeric": numeric, "categorical": categorical, "date": date, "leave_out": leave_out}
    roles = {"text": text, "image": image, "label": label, "group": group, "part": part}
    said = {
        "data": name_of(data),
        "columns": Columns.model_validate({**roles, **cells}),
        "format": format,
        "task": task,
        "seed": seed,
        "budget": budget,
        "settings": {family: dict(values) for family, values in settings.items()},
    }
    plan: Plan = build(Plan, said, where="select")
    plan.check()
    named = candidates.split(",") if isinstance(candidates, str) else candidates
    references = [*dict.fromkeys(name.strip() for name in named if name.strip())]
    how: dict[str, Any] = {"commercial": licence == "commercial", "of_histories": rank_recommenders}
    found = run_selection(data, plan, references, reporter or Quiet(), **how)
    if out is not None:
        write_selection(found, Path(out))
    return found
