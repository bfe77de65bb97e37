"""Where the loop's batches begin: at inputs, at states of a frozen prefix that one pass has kept, or at its features.

How much room kept states would take is estimated first. Where the store has less, nothing is kept and the frozen stages
run again in every epoch: slower, and the same result.
"""

from __future__ import annotations

import numpy as np
import torch

from headstart.contracts.backbone import Backbone
from headstart.contracts.carriers import State
from headstart.contracts.examples import Examples
from headstart.contracts.task import Task
from headstart.engine.frozen.extract import Extracted, extract
from headstart.engine.frozen.feature_spec import FeatureSpec, FrozenSegment
from headstart.engine.store.feature_store import FeatureStore
from headstart.engine.streams import PreparedInputs, StateSource
from headstart.kernel.errors import DataError
from headstart.pipeline.context import FitContext
from headstart.pipeline.pick_runner import pick_runner
from headstart.pipeline.record import Decision

LOOKED_AT = 4
"""Inputs by which the size of kept states is estimated."""

MOST_IN_MEMORY = 4_000_000_000
"""Bytes of kept states where there is no store on disk."""


def state_spec(backbone: Backbone, task: Task, start: int) -> FeatureSpec:
    """What training goes on from whose first `start` stages are frozen.

    The states at that boundary, and the maps before it that the task's features have; pooled features where no stage
    is left and the head reads no more.
    """
    if task.reads == "pooled" and start == len(backbone.stages):
        return FeatureSpec()
    before = backbone.boundary_names()[1 : start + 1]
    taps = (tap for tap in backbone.map_taps() if tap.boundary in before) if task.reads == "maps" else ()
    return FeatureSpec("state", start, tuple(taps))


def pass_spec(
    backbone: Backbone, task: Task, examples: Examples, store: FeatureStore | None
) -> tuple[FeatureSpec, Decision | None]:
    """What the frozen pass keeps for a task, and why it keeps less than its head reads, where that is so."""
    if task.reads == "pooled":
        return FeatureSpec.all_stages(backbone), None
    spec = state_spec(backbone, task, len(backbone.stages))
    why = too_large(backbone, spec, examples, store)
    return (
        (spec, None) if why is None else (FeatureSpec(), Decision(what=f"kept {task.reads}", value="none", reason=why))
    )


def too_large(backbone: Backbone, spec: FeatureSpec, examples: Examples, store: FeatureStore | None) -> str | None:
    """Why what is wished for cannot be kept; None where it can."""
    limit = limit_of(store)
    needed = bytes_each(backbone, spec, examples) * len(examples)
    if needed <= limit:
        return None
    return (
        f"those of {len(examples)} examples would take {needed / 1e9:.1f} GB, the store's limit is {limit / 1e9:.1f}"
        " GB: the frozen stages run again in every epoch. HEADSTART_CACHE_LIMIT allows more."
    )


def limit_of(store: FeatureStore | None) -> int:
    """Bytes of states that may be kept."""
    return store.limit if store is not None and store.limit else MOST_IN_MEMORY


def bytes_each(backbone: Backbone, spec: FeatureSpec, examples: Examples) -> float:
    """Bytes in float32 of what is kept of an example: the mean over some from all over the data that can be read."""
    rows = np.unique(np.linspace(0, len(examples) - 1, LOOKED_AT).astype(np.int64))
    segment, sizes = FrozenSegment(backbone, spec, 0).eval(), []
    for raw in examples.raws(rows):
        try:
            state = backbone.prepare([raw])
        except DataError:
            continue
        with torch.no_grad():
            kept: State = segment(state)
        tensors = (kept.hidden, *kept.context.values(), *kept.taps.values())
        sizes.append(sum(tensor.numel() * tensor.element_size() for tensor in tensors))
    return float(np.mean(sizes)) if sizes else 0.0


def source_from(context: FitContext, backbone: Backbone, start: int) -> tuple[int, StateSource]:
    """The boundary that batches begin at, and what gives those of the training and validation part.

    It is `start`, one more where they are pooled features, or 0 where nothing is kept.

    Raises:
        DataError: an input could be read before and cannot any more.
    """
    data, spec = context.read, state_spec(backbone, context.data.task, start)
    behind = start + (spec.keep == "pooled")
    if start and backbone is context.backbone and context.features.spec.keep == spec.keep == "pooled":
        return behind, lambda wanted: State(torch.from_numpy(context.features.pooled(wanted)))
    if start and backbone is context.backbone and context.features.spec == spec:
        return behind, context.features.batch_state
    why = too_large(backbone, spec, data.examples, context.store) if start else None
    if why is not None:
        context.reporter.say(f"Frozen states are not kept: {why}")
    if not start or why is not None:
        return 0, PreparedInputs(backbone, data.examples)
    # what is right for the features at the end need not be so for states on the way
    runner, _ = pick_runner(backbone, data.examples, data.keys, spec, context.plan)
    rows = np.union1d(data.split.train, data.split.val)
    examples, keys = data.examples.take(rows), [data.keys[row] for row in rows]
    found = extract(backbone, examples, keys, spec, runner=runner, store=context.store, reporter=context.reporter)
    require_read(examples, np.arange(len(rows)), found)
    return behind, lambda wanted: found.batch_state(np.searchsorted(rows, wanted))


def require_read(examples: Examples, rows: np.ndarray, found: Extracted) -> None:
    """Raises DataError where one of the rows could be read before and not in this pass."""
    for row in rows[np.isin(rows, list(found.failures))]:
        raise DataError(f"{examples.origins()[row]} could be read before and now {found.failures[int(row)]}")
