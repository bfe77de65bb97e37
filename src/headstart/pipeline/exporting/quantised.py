"""int8 beside float32: accepted only where it is proven to cost at most a point of the primary metric.

The proof is the paired 95 % interval of the drop on labelled validation examples: its upper end must be <= 1 point; of
a metric that is no share, <= a hundredth of the float32 graph's value.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from headstart.contracts.examples import Examples
from headstart.contracts.exporter import CannotExport, Compute, Exporter, Graph
from headstart.contracts.metric import SHARE
from headstart.contracts.model import Model
from headstart.evidence.comparison import compare
from headstart.kernel.errors import DataError
from headstart.pipeline.exporting.gate import Compared, Prepared, arrays_of, compare_all, deciding
from headstart.pipeline.prepare import codes

CALIBRATED = 300
"""Examples by which ranges are found; NNCF's own number."""
MOST_DROP = 0.01


class Quantised(NamedTuple):
    """The graph that is kept, in int8 or not."""

    compute: Compute
    precision: str = "float32"
    drop: tuple[float, float, float] | None = None
    """Change of the primary metric and its 95 % interval; negative is worse."""
    notes: tuple[str, ...] = ()


def quantised(
    exporter: Exporter,
    model: Model,
    graph: Graph,
    batches: Sequence[Prepared],
    folder: Path,
    plain: Compared,
    examples: Examples,
    seed: int,
) -> Quantised:
    """Put int8 in the place of the float32 graph in a folder where the gate lets it; else leave that, with a note."""
    found = batches[: max(1, CALIBRATED * len(batches) // max(1, len(examples)))]
    inputs = [[*arrays_of(graph, batch).values()] for batch in found]
    with TemporaryDirectory() as kept:
        shutil.copytree(folder, kept, dirs_exist_ok=True)
        drop = None
        try:
            exporter.quantise(folder, inputs, graph.inputs)
            compute = exporter.open(folder, graph.inputs, graph.outputs)
            drop = _drop(model, compare_all(graph, compute, batches, deciding(model)), examples, seed)
            fault = _fault(model, drop, plain, examples)
        except (CannotExport, DataError) as error:
            fault = str(error)
        if not fault:
            return Quantised(compute, "int8", drop)
        shutil.rmtree(folder)
        shutil.copytree(kept, folder)
    compute = exporter.open(folder, graph.inputs, graph.outputs)
    return Quantised(compute, "float32", drop, (f"The graph stays in float32: {fault}",))


def _drop(model: Model, both: Compared, examples: Examples, seed: int) -> tuple[float, float, float]:
    """The change by int8 with its 95 % interval, negative where it is worse. Raises DataError without labels."""
    rows, ours, theirs = both.joined(model)
    judged = examples.take(rows)
    groups = codes(judged, judged.schema.group)
    targets = model.task.targets(judged)
    figure = compare(model.task.evaluation.primary, targets, theirs, ours, groups=groups, seed=seed).figure
    return figure.value, figure.low, figure.high


def _fault(model: Model, change: tuple[float, float, float], plain: Compared, examples: Examples) -> str:
    """Why int8 is not accepted; '' where it is."""
    metric, (value, low, _) = model.task.evaluation.primary, change
    most, unit = MOST_DROP, metric.unit
    if unit != SHARE:
        rows, ours, _ = plain.joined(model)
        most *= abs(metric.score(model.task.targets(examples.take(rows)), ours))
    if low >= -most:
        return ""
    if math.isnan(low):
        return f"{plain.examples} validation examples are too few to prove what int8 costs"
    scale, unit = (100, " points") if unit == SHARE else (1, f" {unit}".rstrip())
    lost = f"{metric.title} changes by {scale * value:+.2g}{unit}, and may be worse by up to {scale * -low:.2g}"
    return f"by int8 {lost}; {scale * most:.2g} is allowed"
