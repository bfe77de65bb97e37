"""The optimiser plan: which parameters move at which rate, with AdamW, linear warm-up and cosine decay.

Loshchilov & Hutter 2019 (AdamW), 2017 (cosine). The rate is a pure function of the step, so there is no scheduler
state to save. Biases, normalisation weights and other vectors have no weight decay. What has not begun to move takes
no gradient, so that it costs no time and gathers no momentum.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from headstart.contracts.backbone import Backbone, bytes_of
from headstart.contracts.evaluation_mode import evaluation_mode
from headstart.contracts.optimisation import Optimisation
from headstart.contracts.tuning import Rate, Recipe
from headstart.kernel.errors import TrainingError

HEAD = -1
"""The stage number of everything that is not a backbone."""


def plan_optimiser(
    backbone: Backbone, others: Iterable[nn.Module], rates: Sequence[Rate], recipe: Recipe
) -> torch.optim.AdamW:
    """An AdamW whose groups carry `peak` (rate) and `start` (share of training); parameters of no group are frozen.

    Raises:
        TrainingError: nothing would move.
    """
    named = dict(backbone.module.named_parameters())
    for parameter in named.values():
        parameter.requires_grad_(False)
    groups: list[dict[str, Any]] = []
    for rate in rates:
        if rate.stage == HEAD:
            parameters = [p for module in others for p in module.parameters() if p.requires_grad]
            peak = recipe.head_learning_rate * rate.factor
        else:
            parameters = [named[name] for name in backbone.stages[rate.stage].parameters if recipe.moves(name)]
            peak = recipe.learning_rate * rate.factor
        groups += _groups(parameters, peak, rate.start, recipe.weight_decay)
    if not any(group["params"] for group in groups):
        raise TrainingError("nothing would be trained: the tuning selects no parameters and there is no head")
    # fused, it goes over the weights once: three times as fast on a processor
    return torch.optim.AdamW(groups, lr=0.0, fused=True)


def _groups(parameters: list[nn.Parameter], peak: float, start: float, decay: float) -> list[dict[str, Any]]:
    for parameter in parameters:
        parameter.requires_grad_(True)
    vectors = [p for p in parameters if p.ndim <= 1]
    matrices = [p for p in parameters if p.ndim > 1]
    pairs = ((matrices, decay), (vectors, 0.0))
    return [{"params": p, "weight_decay": d, "peak": peak, "start": start} for p, d in pairs if p]


def set_rates(optimiser: torch.optim.Optimizer, optimisation: Optimisation, progress: float) -> float:
    """Set every group's rate for `progress` in [0, 1); one that has not begun has rate 0 and takes no gradient.

    Returns the greatest rate.
    """
    for group in optimiser.param_groups:
        begun = progress >= group["start"]
        group["lr"] = group["peak"] * schedule(optimisation.warmup, progress) if begun else 0.0
        if group["start"]:
            for parameter in group["params"]:
                parameter.requires_grad_(begun)
    return max(group["lr"] for group in optimiser.param_groups)


def schedule(warmup: float, progress: float) -> float:
    """Share of the peak rate: linear up to 1 over the warm-up, then half a cosine down to 0."""
    if progress < warmup:
        return progress / warmup
    return 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup)))


def train_mode(
    backbone: Backbone, others: Iterable[nn.Module], moving: set[int], *, renew_statistics: bool = True
) -> None:
    """Training mode for what moves; frozen stages stay in evaluation mode, so BatchNorm and dropout rest there too.

    Without `renew_statistics` BatchNorm stays in evaluation mode everywhere in the backbone: it normalises by its
    running statistics and leaves them as they are, while its scale and shift still train.
    """
    evaluation_mode(backbone.module)
    for number in moving - {HEAD}:
        for name in backbone.stages[number].modules:
            stage = backbone.module.get_submodule(name).train()
            for module in () if renew_statistics else stage.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()
    for module in others:
        module.train()


def has_batch_norm(module: nn.Module) -> bool:
    """Return whether it normalises by statistics of the batch where it trains."""
    return any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in module.modules())


def frozen_state(
    backbone: Backbone, moving: set[int], moves: Callable[[str], bool] = lambda _: True
) -> dict[str, torch.Tensor]:
    """Parameters and buffers that must not change while the `moving` stages train, and of these what `moves` says."""
    state = backbone.module.state_dict()
    still: list[str] = []
    for number, stage in enumerate(backbone.stages):
        if number in moving:
            still += [name for name in stage.parameters if not moves(name)]
        else:
            still += [*stage.parameters, *stage.buffers]
    return {name: state[name] for name in still if name in state}


def checksum(state: Mapping[str, Tensor]) -> int:
    """CRC-32 of named tensors' values: enough to see a change that nobody hides, and five times as fast as a hash."""
    found = 0
    for name in sorted(state):
        found = zlib.crc32(bytes_of(state[name]), found)
    return found
