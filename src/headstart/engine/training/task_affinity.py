"""Affinity of tasks: how far the gradients of their losses agree on the weights that they share.

Yu et al. 2020 ("Gradient surgery for multi-task learning", definition 1): gradients conflict where their cosine is
negative. The mean over some batches of the cosines of all weights of the backbone that are no vectors.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from headstart.contracts.model import Model
from headstart.engine.device import pick_device
from headstart.engine.streams import Stream
from headstart.engine.training.forward import Forward, channels_last

BATCHES = 5


def task_affinity(model: Model, stream: Stream) -> np.ndarray:
    """Return the cosines (tasks, tasks), in [-1, 1]; 0 where a loss reaches no weight.

    In evaluation mode, in float32 and on inputs as they are, so that the same model and data give the same numbers.

    Args:
        model: of several tasks, whose loss terms these are, as it is before the first step.
        stream: of labelled examples, whose batches begin with the inputs.
    """
    device = pick_device()
    for module in (model.eval().backbone.module, model.heads):
        module.to(device)
    weights = [weight for weight in model.backbone.module.parameters() if weight.ndim > 1]
    for weight in weights:
        weight.requires_grad_(True)
    forward, found = Forward(model, 0, device, "float32"), []
    for rows in stream.order(0)[:BATCHES]:
        batch = channels_last(stream.batch(rows)).to(device)
        losses = model.task.losses(forward.outputs(forward.features(batch), batch), batch.targets)
        each = [torch.autograd.grad(loss, weights, retain_graph=True, allow_unused=True) for loss in losses.values()]
        flat = [[_flat(one, weight) for one, weight in zip(own, weights)] for own in each]
        found.append(nn.functional.normalize(torch.stack([torch.cat(own) for own in flat]).double(), dim=1))
    return torch.stack([vectors @ vectors.T for vectors in found]).mean(dim=0).cpu().numpy()


def _flat(gradient: Tensor | None, weight: nn.Parameter) -> Tensor:
    return torch.zeros(weight.numel(), device=weight.device) if gradient is None else gradient.flatten()
