"""What the frozen probe of a task with a target per pixel or token is solved on: some of them from every example."""

from __future__ import annotations

import numpy as np
import torch

from headstart.contracts.task import Targets
from headstart.engine.device import pick_device
from headstart.engine.frozen.feature_spec import suffix
from headstart.engine.streams import Stream
from headstart.pipeline.batch_sources import source_from
from headstart.pipeline.context import FitContext

AT_ONCE = 32
"""Examples whose features are in memory at a time."""


def sampled(context: FitContext, rows: np.ndarray) -> tuple[np.ndarray, Targets, np.ndarray]:
    """Vectors (samples, width) float32, their targets, and the row (samples,) that each came from."""
    data, backbone, device = context.read, context.backbone, pick_device()
    start, source = source_from(context, backbone, len(backbone.stages))
    stages = suffix(backbone, data.task.reads, start).to(device)
    backbone.module.eval()
    head_inputs = data.task.head_inputs(data.examples)
    stream = Stream(
        "sampled",
        rows,
        data.targets,
        source,
        AT_ONCE,
        context.plan.seed,
        head_inputs=head_inputs,
        target_kinds=data.task.target_kinds,
    )
    vectors, targets, owners = [], [], []
    with context.reporter.counter("sampling features", len(rows), "examples") as advance:
        for some in stream.in_sequence():
            batch = stream.batch(some)
            with torch.no_grad():
                features = backbone.features(stages(batch.state.to(device)))
            found, truth, positions = data.task.samples(features, batch, context.plan.seed)
            vectors.append(found)
            targets.append(truth)
            owners.append(some[positions])
            advance(len(some))
    joined = {name: np.concatenate([part[name] for part in targets]) for name in targets[0]}
    return np.concatenate(vectors), joined, np.concatenate(owners)
