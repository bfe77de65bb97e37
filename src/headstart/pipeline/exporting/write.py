"""Writing an export: the graph, held against plain PyTorch on validation examples before it counts as exported."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from headstart.contracts.carriers import State
from headstart.contracts.examples import Examples
from headstart.contracts.exporter import Exporter
from headstart.contracts.modality import raws_of
from headstart.contracts.model import Model
from headstart.contracts.task_capabilities import Windowed
from headstart.engine.exported.whole_graph import graph_of
from headstart.kernel.errors import DataError
from headstart.kernel.randomness import draw_seed
from headstart.pipeline.exporting.artefact import Exported, as_bytes
from headstart.pipeline.exporting.gate import deciding, prepared
from headstart.pipeline.exporting.one_graph import Held, Passed, write_description, write_graph
from headstart.pipeline.exporting.quantised import Quantised, quantised
from headstart.pipeline.exporting.writing_parts import write_parts

EXAMPLES, EXAMPLES_INT8, TEXTS = 256, 1000, 48
"""Of the validation part that an export is held against: in float32, in int8, and of a model that writes texts."""
GOLDEN_INPUTS = 8


def write_export(
    model: Model, examples: Examples, folder: Path, exporter: Exporter, *, int8: bool, seed: int
) -> Exported:
    """Write an export of a model into an empty folder.

    Args:
        examples: of the validation part, with or without labels.
        folder: what is written to.
        exporter: writes it for its runtime.
        int8: whether int8 is tried.
        seed: of the choice among the examples.

    Raises:
        CannotExport: the model does not go into a graph, or no way of writing it passes the gate.
    """
    model.backbone.module.to("cpu")
    model.heads.to("cpu")
    writes = model.task.needs.generates
    examples = _some(model, examples, TEXTS if writes else EXAMPLES_INT8 if int8 else EXAMPLES, seed)
    batches = [*prepared(model, examples)]
    largest = max(batches, key=lambda batch: len(batch.rows), default=None)
    if largest is None or len(largest.rows) < 2:
        raise DataError("an export is held against real validation examples, and fewer than 3 of them can be read")
    readable = examples.take(np.sort(np.concatenate([batch.rows for batch in batches]))[:GOLDEN_INPUTS])
    golden, raws = next(prepared(model, readable, (GOLDEN_INPUTS,))), [as_bytes(raw) for raw in raws_of(readable)]
    state = State(largest.tensors[0], dict(zip(largest.context, largest.tensors[1:])))
    if writes:
        found = write_parts(exporter, model, state, [*batches, golden], raws, folder, examples.origins())
        if int8:
            found = found.model_copy(update={"notes": (*found.notes, "The graphs of texts stay in float32.")})
        write_description(folder, found)
        return found
    graph = graph_of(model, state, largest.asked)

    def shrink(passed: Passed) -> Quantised:
        if not int8:
            return Quantised(passed.compute)
        return quantised(exporter, model, graph, batches, folder, passed.compared, examples, seed)

    held = Held(graph, batches, deciding(model), golden, raws)
    return write_graph(exporter, model, held, folder, examples.origins(), shrink)


def _some(model: Model, examples: Examples, most: int, seed: int) -> Examples:
    """Some of the examples, in the pieces that the model reads at once."""
    drawn = np.random.default_rng(draw_seed(seed, "export")).permutation(len(examples))[:most]
    examples = examples.take(np.sort(drawn))
    windows = model.task.cut(examples, model.backbone) if isinstance(model.task, Windowed) else None
    return examples if windows is None else windows.examples.take(np.arange(min(len(windows.examples), most)))
