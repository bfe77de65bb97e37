"""PCGrad: gradients of several tasks, each projected onto the normal plane of those that it conflicts with.

Yu et al. 2020, "Gradient surgery for multi-task learning", algorithm 1. With g_t the gradient of the loss of task t by
the shared weights, g_i' = g_i at first, and for every other task j in random order

    where g_i' . g_j < 0:  g_i' <- g_i' - (g_i' . g_j / |g_j|^2) g_j

The step goes along the sum of all g_i'. Every g_i' is a weighted sum of the g_t, so that their products with each other
are all that it takes. Weights that only one task reaches, such as its head, get its gradient as it is. Of a batch in
parts, or of several processes, each part is operated on by itself and the mean is taken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from headstart.contracts.objective import Objective


class PCGrad(Objective):
    """The tasks' losses, whose conflicting gradients are projected."""

    of_tasks: ClassVar[bool] = True

    def first_stage(self, stages: int) -> int:
        """A stage must move: heads alone share nothing."""
        return stages - 1

    def combine(self, losses: Mapping[str, Tensor], parameters: Sequence[nn.Parameter]) -> Tensor | None:
        """Fill the gradients of the parameters."""
        moving = [parameter for parameter in parameters if parameter.requires_grad]
        found = [torch.autograd.grad(loss, moving, retain_graph=True, allow_unused=True) for loss in losses.values()]
        each = list(zip(*found))
        shared = [[one for one in own if one is not None] for own in each]
        products = [_products(own) for own, reached in zip(each, shared) if len(reached) > 1]
        weights = projected(torch.stack(products).sum(dim=0).cpu()) if products else torch.ones(len(losses))
        for parameter, own, reached in zip(moving, each, shared):
            if len(reached) > 1:
                scaled = [weight * one for weight, one in zip(weights.tolist(), own) if one is not None]
                parameter.grad = torch.stack(scaled).sum(dim=0)
            else:
                parameter.grad = reached[0] if reached else None
        return None


def projected(products: Tensor) -> Tensor:
    """Return the weight (tasks,) of each task's gradient in the sum of the projected ones.

    Args:
        products: (tasks, tasks) of the gradients with each other. Orders are drawn from torch's generator.
    """
    tasks = len(products)
    total = torch.zeros(tasks, dtype=products.dtype)
    for one in range(tasks):
        own = torch.zeros_like(total)
        own[one] = 1.0
        for other in torch.randperm(tasks).tolist():
            conflict = products[other] @ own
            if other != one and conflict < 0:
                own[other] -= conflict / products[other, other]
        total += own
    return total


def _products(gradients: Sequence[Tensor | None]) -> Tensor:
    """The products (tasks, tasks), float64, of the gradients of one parameter with each other."""
    like = next(one for one in gradients if one is not None)
    flat = torch.stack([(torch.zeros_like(like) if one is None else one).flatten() for one in gradients]).double()
    return flat @ flat.T
