"""How much a training has forgotten of what the run that is its backbone had learnt."""

from __future__ import annotations

import numpy as np
from torch import nn

from headstart.contracts.backbone import SOURCE_HEAD
from headstart.contracts.model import Model
from headstart.contracts.several_backbones import HasMembers
from headstart.kernel.errors import RunError
from headstart.pipeline.completion import Present
from headstart.pipeline.context import FitContext
from headstart.pipeline.own_test_part import forgetting
from headstart.pipeline.record import Forgetting
from headstart.pipeline.run_folder import open_run
from headstart.pipeline.trained import Trained, own_weights


def source_forgetting(context: FitContext, arm: Trained, present: Present) -> Forgetting | None:
    """Hold the old head on the backbone as it is now against the run that the backbone is of, on that run's test part.

    The old head is as it has learnt along, where the objective trains it. None where there is no such head, or the
    backbone stayed as it was.
    """
    head = context.backbone.source_head
    if head is None or not context.backbone.source_run or all(row.state == "frozen" for row in arm.stages):
        return None
    try:
        run = open_run(context.backbone.source_run)
    except RunError:
        return None
    heads = nn.ModuleDict({"head": dict(arm.model.additions).get(SOURCE_HEAD, head)})
    old = run.model
    backbone = arm.model.backbone
    tuned = backbone.members[-1] if isinstance(backbone, HasMembers) else backbone
    model = Model(tuned, old.task, heads, old.columns, arm.model.execution, old.calibration)
    learnt = np.concatenate([context.data.split.train, context.data.split.val])
    origins, keys = context.data.examples.origins(), context.data.keys
    leaked = {keys[row]: origins[row] for row in learnt.tolist() if run.parts.get(keys[row]) == "test"}
    with own_weights(arm):
        return forgetting(run, model.eval(), leaked, context.reporter, present)
