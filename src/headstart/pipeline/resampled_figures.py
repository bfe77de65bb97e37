"""RUN/test_resamples.npz: every arm's figures in resamples of the test part that runs of other seeds share."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from headstart.contracts.prediction import Prediction
from headstart.evidence.over_runs import joint_replicates
from headstart.kernel.files import write_atomic
from headstart.pipeline.figure_rows import FigureRow
from headstart.pipeline.prepare import Prepared

FILE = "test_resamples.npz"
"""Name of the file in a run folder; older runs have none."""


def write_resamples(
    folder: Path, data: Prepared, predictions: Mapping[str, Prediction], figures: Mapping[str, FigureRow]
) -> None:
    """Write the figures of predictions of the test part, as arrays 'arm/metric' (resamples,).

    Args:
        figures: metric -> the model's figure; one without an interval has no use for resamples, of many classes long to
            make.
    """
    rows = data.split.test
    groups = data.groups_of(rows)
    units = [data.keys[row] for row in rows] if groups is None else [str(group) for group in groups]
    metrics = [
        metric
        for metric in data.task.evaluation.metrics
        if not metric.flaw and math.isfinite(figures[metric.name].high)
    ]
    found = joint_replicates(metrics, data.targets_of(rows), predictions, units)
    content = io.BytesIO()
    arrays = {f"{arm}/{name}": values for arm, one in found.items() for name, values in one.items()}
    np.savez_compressed(content, **arrays)  # type: ignore[arg-type]
    write_atomic(folder / FILE, content.getvalue())


def read_resamples(folders: Sequence[Path]) -> dict[str, np.ndarray]:
    """'arm/metric' -> its figures (runs, resamples), of those that every run has; empty where a run lacks its file."""
    runs: list[dict[str, np.ndarray]] = []
    for folder in folders:
        try:
            with np.load(folder / FILE) as content:
                runs.append({name: content[name] for name in content.files})
        except (OSError, ValueError, EOFError, zipfile.BadZipFile):
            return {}
    shared = [name for name in runs[0] if all(name in run and run[name].shape == runs[0][name].shape for run in runs)]
    return {name: np.stack([run[name] for run in runs]) for name in shared}
