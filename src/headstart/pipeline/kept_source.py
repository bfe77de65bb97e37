"""A sample of what the backbone was trained on before, as a stream to rehearse it."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import numpy as np

from headstart.contracts.objective import KEPT
from headstart.engine.frozen.content_keys import content_keys
from headstart.engine.frozen.feeding import lengths_of
from headstart.engine.streams import PreparedInputs, Stream
from headstart.kernel.randomness import draw_seed
from headstart.pipeline.context import FitContext
from headstart.pipeline.embed import kept_states_of, state_spec
from headstart.pipeline.own_test_part import own_part
from headstart.pipeline.run_folder import open_run


def kept_stream(context: FitContext, source: Stream, start: int, most: int) -> Stream:
    """A sample of the training part of the run that is the backbone, as the stream `KEPT` of batches like `source`'s.

    Raises:
        RunError: the data are gone, or were handed over in memory. DataError: none of them is left.
    """
    backbone, run = context.backbone, open_run(context.backbone.source_run)
    examples = own_part(run, run.model.columns.model_copy(update={"part": None}), "train")
    if len(examples) > most:
        draws = np.random.default_rng(draw_seed(context.plan.seed, "kept examples of the source"))
        examples = examples.take(np.sort(draws.choice(len(examples), most, replace=False)))
    task, rows = run.model.task, np.arange(len(examples))
    keys = cast("list[str]", content_keys(examples).keys)
    spec = state_spec(backbone, task, start)
    states = kept_states_of(context, backbone, examples, keys, spec) if start else PreparedInputs(backbone, examples)
    return replace(
        source,
        name=KEPT,
        rows=rows,
        targets=task.targets(examples),
        source=states,
        head_inputs=task.inputs(examples),
        lengths=lengths_of(backbone, examples, rows),
        views=(),
        origins=lambda some: examples.take(some).origins(),
        tiled=None,
        target_kinds=task.target_kinds,
    )
