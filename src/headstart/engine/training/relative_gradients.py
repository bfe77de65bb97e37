"""Relative gradient norms: how hard the task's loss pulls at each stage, beside the weights that are there.

Lee et al. 2023 ("Surgical fine-tuning improves adaptation to distribution shifts", section 4): RGN = ||g|| / ||w||,
the mean over some batches. Vectors, which are biases and the weights of normalisation, are left out.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from headstart.contracts.backbone import Backbone
from headstart.contracts.model import Model
from headstart.engine.device import pick_device
from headstart.engine.streams import Stream
from headstart.engine.training.forward import Forward, channels_last

BATCHES = 5
"""As many as in the authors' code."""


def relative_gradients(model: Model, stream: Stream, boundary: int) -> list[float]:
    """||g|| / ||w|| of each stage (stages,); 0 where a stage has no weights or the loss does not reach them.

    In evaluation mode, in float32 and on inputs as they are, so that the same model and data give the same numbers.

    Args:
        model: as it is before the first step.
        stream: of labelled examples. boundary: the stage at which its batches begin.
    """
    device = pick_device()
    for module in (model.eval().backbone.module, model.heads):
        module.to(device)
    weights = [_matrices(model.backbone, number) for number in range(len(model.backbone.stages))]
    moving = [weight for stage in weights for weight in stage]
    for weight in moving:
        weight.requires_grad_(True)
    forward = Forward(model, boundary, device, "float32")
    batches = stream.order(0)[:BATCHES]
    norms = torch.zeros(len(weights))
    for rows in batches:
        batch = channels_last(stream.batch(rows)).to(device)
        losses = model.task.losses(forward.outputs(forward.features(batch), batch), batch.targets)
        loss = torch.stack([*losses.values()]).sum()
        found = iter(torch.autograd.grad(loss, moving, allow_unused=True)) if moving else iter(())
        norms += torch.tensor([_norm([next(found) for _ in stage]) for stage in weights])
    sizes = [_norm(stage) for stage in weights]
    return [float(norm) / len(batches) / size if size else 0.0 for norm, size in zip(norms, sizes)]


def _matrices(backbone: Backbone, number: int) -> list[nn.Parameter]:
    named = dict(backbone.module.named_parameters())
    return [named[name] for name in backbone.stages[number].parameters if named[name].ndim > 1]


def _norm(tensors: Sequence[Tensor | None]) -> float:
    """Of all of them as one vector."""
    squares = [tensor.detach().float().square().sum() for tensor in tensors if tensor is not None]
    return float(torch.stack(squares).sum().sqrt()) if squares else 0.0
