"""A cleaned list of the data: the examples that are kept, and beside it why others were dropped or are doubtful.

Dropped are inputs that cannot be read or used, copies of others, copies whose labels contradict each other, and labels
of which the probe is sure that they are wrong. Of copies the first outside the training part is kept, so that figures
stay comparable, else the first. Other doubtful examples are kept and named.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from headstart.contracts.modality import files_of
from headstart.kernel.errors import SettingsError
from headstart.kernel.files import atomic_path
from headstart.pipeline.destination import require_apart, require_outside_runs, require_replaceable
from headstart.pipeline.inspection import FaultRow
from headstart.pipeline.prepare import SeenData

SUFFIXES = (".csv", ".jsonl")
REASONS = ["decision", "origin", "reason"]
"""Columns of the list of reasons."""

SURE = 0.1
"""Quality of a label below which one that looks wrong is dropped."""

DROPPED = ("unreadable", "unusable", "conflicting labels")
DOUBTFUL = ("wrong label", "outlier", "no features", "single colour", "wrong mask", "wrong tag")


class Cleaned(NamedTuple):
    """The list, and the reasons."""

    kept: pd.DataFrame
    reasons: pd.DataFrame


def require_cleaned_place(out: Path, inputs: Sequence[Any]) -> None:
    """Refuse to write a list to an input, into a run, or over a file that Headstart did not write.

    Raises:
        SettingsError, RunError: with what is in the way.
    """
    if out.suffix not in SUFFIXES:
        raise SettingsError(f"a cleaned list is written to {' or '.join(SUFFIXES)}; got {out.name}")
    beside = reasons_beside(out)
    for file in (out, beside):
        require_apart(file, inputs, "a cleaned list")
        require_replaceable(file, lambda _: _holds_reasons(beside), "a cleaned list")
    require_outside_runs(out.parent, what=f"a cleaned list in {out.name}")


def reasons_beside(out: Path) -> Path:
    """Return where the reasons are written: NAME.reasons.csv."""
    return out.with_name(f"{out.stem}.reasons.csv")


def write_cleaned(seen: SeenData, faults: Sequence[FaultRow], out: Path) -> Cleaned:
    """Write both files. Raises SettingsError where labels or words are lists, which CSV has no form for."""
    found = cleaned(seen, faults)
    nested = [
        name for name in found.kept.columns if found.kept[name].map(lambda cell: isinstance(cell, (list, dict))).any()
    ]
    if nested and out.suffix == ".csv":
        raise SettingsError(f"--fix: column '{nested[0]}' holds lists, which {out.name} cannot; give a name in .jsonl")
    with atomic_path(reasons_beside(out)) as file:
        found.reasons.to_csv(file, index=False)
    with atomic_path(out) as file:
        if out.suffix == ".csv":
            found.kept.to_csv(file, index=False)
        else:
            found.kept.to_json(
                file, orient="records", lines=True, force_ascii=False, date_format="iso", double_precision=15
            )
    return found


def cleaned(seen: SeenData, faults: Sequence[FaultRow]) -> Cleaned:
    """Decide on every example."""
    origins = seen.examples.origins()
    dropped, doubtful = dict[str, str](), dict[str, str]()
    for fault in faults:
        sure = fault.kind == "wrong label" and fault.score is not None and fault.score < SURE
        if fault.kind in DROPPED or sure:
            dropped.setdefault(fault.origin, _reason(fault))
            if fault.kind == "conflicting labels":
                dropped.setdefault(fault.other, f"{fault.kind}: a copy is labelled '{fault.given}'")
        elif fault.kind in DOUBTFUL:
            doubtful.setdefault(fault.origin, _reason(fault))
    copies = {origins[row]: f"copy of {origins[first]}" for row, first in _repeated(seen).items()}
    dropped = {**copies, **dropped}
    kept = [row for row, origin in enumerate(origins) if origin not in dropped]
    told = [("dropped", origin, why) for origin, why in dropped.items()]
    told += [("kept", origin, why) for origin, why in doubtful.items() if origin not in dropped]
    return Cleaned(_as_frame(seen, kept), pd.DataFrame(told, columns=REASONS))


def _reason(fault: FaultRow) -> str:
    labels = f"'{fault.given}', likely '{fault.likely}'" if fault.likely else ""
    return f"{fault.kind}: {', '.join(filter(None, (labels, fault.detail)))}".removesuffix(": ")


def _repeated(seen: SeenData) -> dict[int, int]:
    """Row -> the copy that is kept in its place."""
    examples, cluster = seen.examples, seen.copies.cluster
    part = ["train"] * len(examples) if examples.schema.part is None else examples.column(examples.schema.part)
    found = {}
    for first in np.flatnonzero(np.bincount(cluster, minlength=len(cluster)) > 1):
        rows = np.flatnonzero(cluster == first).tolist()
        kept = next((row for row in rows if part[row] in ("val", "test")), rows[0])
        found.update({row: kept for row in rows if row != kept})
    return found


def _as_frame(seen: SeenData, rows: Sequence[int]) -> pd.DataFrame:
    """The columns of the data as a fit reads them again, files by their whole paths."""
    examples, schema = seen.examples.take(rows), seen.examples.schema
    columns: dict[str, list[Any]] = {
        name: examples.column(name) for name in examples.table.column_names if not name.startswith("__")
    }
    files = files_of(examples)
    if any(files):
        columns[schema.inputs[0]] = [None if file is None else str(Path(file).absolute()) for file in files]
        for name in schema.targets.values():
            columns[name] = [_whole(schema.root, cell) for cell in columns[name]] if name in columns else []
    if schema.part is not None:
        columns.setdefault("part", examples.column(schema.part))
    found = pd.DataFrame({name: values for name, values in columns.items() if values or not rows})
    whole = {name: "Int64" for name in found.select_dtypes("float") if not (found[name].dropna() % 1).any()}
    return found.astype(whole)


def _whole(root: str, cell: Any) -> Any:
    """The path of a file below the root as a whole one; any other cell as it is."""
    if not isinstance(cell, str) or not root or os.sep not in cell:
        return cell
    return str(Path(root, cell).absolute()) if Path(root, cell).is_file() else cell


def _holds_reasons(file: Path) -> bool:
    try:
        return list(pd.read_csv(file, nrows=0).columns) == REASONS
    except (OSError, ValueError):
        return False
