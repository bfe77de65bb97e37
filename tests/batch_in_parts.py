"""The gradient of one step on a batch that is run whole, in parts, or by several processes, as the loop does it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from headstart.contracts.carriers import Batch
from headstart.contracts.features import Features
from headstart.contracts.tuning import Recipe
from headstart.engine.process_group import ALONE, ProcessGroup
from headstart.engine.training.loop import Loop
from headstart.engine.training.micro_batches import MicroBatches
from headstart.engine.training.stepping import Moment, Stepper
from headstart.kernel.progress import Quiet
from headstart.objectives.supervised import Supervised
from tiny_backbone import TinyBackbone

Found = tuple[float, dict[str, Tensor]]
"""The loss, and the gradient of every parameter by name."""


def part_of(batch: Batch, rows: Tensor) -> Batch:
    """The examples of a batch at these positions."""
    cut = [{name: values[rows] for name, values in named.items()} for named in (batch.targets, batch.head_inputs)]
    mixed = batch.mixed and replace(batch.mixed, targets={k: v[rows] for k, v in batch.mixed.targets.items()})
    return Batch(batch.state.map(lambda values: values[rows]), cut[0], batch.rows[rows], cut[1], mixed)


def head_step(
    task: Any,
    head: nn.Module,
    features: Callable[[Batch], Features],
    batch: Batch,
    most: int = 0,
    processes: ProcessGroup = ALONE,
) -> Found:
    """A step of a task's head on features that stay; at most `most` examples are run at once."""
    model: Any = SimpleNamespace(
        backbone=TinyBackbone(), task=task, heads=nn.ModuleDict({"head": head}), additions=nn.ModuleDict()
    )
    forward: Any = SimpleNamespace(
        device=torch.device("cpu"),
        computing=nullcontext,
        features=features,
        outputs=lambda found, of: task.forward(head, found, of.head_inputs),
    )
    optimiser = torch.optim.SGD([{"params": list(head.parameters()), "start": 0.0, "peak": 0.1}])
    micro, recipe = MicroBatches(most, Quiet()), Recipe(clip=0.0)
    return gradient(
        Stepper(model, Supervised(), recipe, optimiser, forward, micro, processes, 0, {}), {"source": batch}
    )


def loop_step(loop: Loop, most: int = 0, done: float = 0.0) -> Found:
    """A step of a training on its first batches, whose BatchNorm and dropout rest: they know the part that they see."""
    loop.micro.most = most
    batches = {name: stream.batch(stream.order(0)[0], 0) for name, stream in loop.streams.items()}
    for module in (loop.model.backbone.module, loop.model.heads, loop.model.additions):
        module.eval()
    return gradient(loop.stepper, batches, done)


def gradient(stepper: Stepper, batches: Mapping[str, Batch], done: float = 0.0) -> Found:
    """What a step of the loop moves weights by."""
    found: dict[str, Tensor] = {}

    def look(*_: Any) -> None:
        found.update({name: p.grad.clone() for name, p in stepper.named.items() if p.grad is not None})

    with torch.random.fork_rng():
        stepper.optimiser.register_step_pre_hook(look)
        loss = stepper(batches, Moment(0, 0, done))
    return loss, found


def same(found: Found, whole: Found) -> None:
    """Fail where a loss or a gradient is another than the whole batch's by more than rounding."""
    assert found[1].keys() == whole[1].keys() and whole[1]
    largest = max(float(values.abs().max()) for values in whole[1].values())
    torch.testing.assert_close(found[0], whole[0], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(found[1], whole[1], rtol=1e-4, atol=1e-4 * largest)
