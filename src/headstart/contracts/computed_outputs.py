"""Decoding outputs of a head that were computed elsewhere: in an exported graph, or with those of other tasks."""

from __future__ import annotations

from headstart.contracts.task import BoundTask, Tensors


def answering(task: BoundTask, outputs: Tensors) -> BoundTask:
    """Return the task with a `forward` that gives these outputs, each (batch, ...), which its `predict` then reads."""
    twin = task.model_copy()
    object.__setattr__(twin, "forward", lambda *_: outputs)
    return twin
