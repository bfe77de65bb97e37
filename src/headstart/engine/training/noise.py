"""Noise against overfitting in the stages that move: dropout and stochastic depth, in the backbone's live modules.

Srivastava et al. 2014 (dropout); Huang et al. 2016 (stochastic depth): a residual branch is left out for an example
with a probability that rises linearly over the branches of the backbone, up to `stochastic_depth` at the last, and is
scaled so that its mean stays.

Pretrained models often come with rates of 0: timm then has an identity, or nothing, where the residual branch would be
dropped. By its convention, which transformers share, that place is an attribute called `drop_path...`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from headstart.contracts.backbone import Backbone
from headstart.kernel.errors import TrainingError

PLACE = "drop_path"
"""How the attributes begin that hold what drops a residual branch."""


class DropBranch(nn.Module):
    """Drops a residual branch (batch, ...) of some examples; passes it on in evaluation mode."""

    def __init__(self, rate: float) -> None:
        """`rate`: the share of examples, in [0, 1)."""
        super().__init__()
        self.rate = rate

    def forward(self, branch: Tensor) -> Tensor:
        """(batch, ...) -> (batch, ...)"""
        if not self.training or not self.rate:
            return branch
        shape = (len(branch), *[1] * (branch.ndim - 1))
        kept = torch.rand(shape, device=branch.device) >= self.rate
        return branch * kept / (1 - self.rate)


class Noise:
    """The noise that a training asks for. The backbone has it within `on()`, and is as it was afterwards."""

    def __init__(
        self, backbone: Backbone, moving: set[int], *, dropout: float | None, stochastic_depth: float | None
    ) -> None:
        """Find the places. None: as it is.

        Raises:
            TrainingError: the moving stages have no place for what is asked.
        """
        inside = _modules(backbone, moving)
        self.dropout = dropout
        self._dropouts = [] if dropout is None else [m for m in inside if isinstance(m, _DropoutNd)]
        self._branches: list[tuple[nn.Module, str, float]] = []
        if stochastic_depth is not None:
            places = _places(backbone.module)
            rates = torch.linspace(0, stochastic_depth, len(places) + 1).tolist()[1:]
            among = {id(module) for module in inside}
            self._branches = [(m, name, rate) for (m, name), rate in zip(places, rates) if id(m) in among]
        for what, asked, found in (
            ("dropout", dropout, self._dropouts),
            ("stochastic_depth", stochastic_depth, self._branches),
        ):
            if asked is not None and not found:
                raise TrainingError(
                    f"{what} = {asked:g} would do nothing: the stages of {backbone.name} that move have no place for "
                    f"it. Leave {what} out, or choose a tuning that trains stages which have one."
                )

    @contextmanager
    def on(self) -> Iterator[None]:
        """Set the rates."""
        with ExitStack() as stack:
            for module in self._dropouts:
                stack.callback(setattr, module, "p", module.p)
                module.p = self.dropout or 0.0
            for owner, name, rate in self._branches:
                stack.callback(_put, owner, name, getattr(owner, name))
                _put(owner, name, DropBranch(rate))
            yield


def _modules(backbone: Backbone, moving: set[int]) -> list[nn.Module]:
    """Every module of the moving stages."""
    named = dict(backbone.module.named_modules())
    tops = [named[name] for number in sorted(moving) if number >= 0 for name in backbone.stages[number].modules]
    return [module for top in tops for module in top.modules()]


def _places(module: nn.Module) -> list[tuple[nn.Module, str]]:
    """Where a residual branch of the network can be dropped, in order."""
    return [
        (owner, name)
        for owner in module.modules()
        for name in sorted({*vars(owner), *owner._modules})
        if name.startswith(PLACE) and (getattr(owner, name) is None or isinstance(getattr(owner, name), nn.Module))
    ]


def _put(owner: nn.Module, name: str, value: Any) -> None:
    """Set an attribute that is a module before, afterwards or both, and keep the mode."""
    if value is None:
        delattr(owner, name)
    elif isinstance(value, nn.Module):
        value.train(owner.training)
    setattr(owner, name, value)
