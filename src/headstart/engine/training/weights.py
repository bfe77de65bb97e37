"""The weights of a model that a training moves: copied for the best epoch and for checkpoints, and put back."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from headstart.contracts.model import Learner
from headstart.engine.training.optimiser import frozen_state


class MovingWeights:
    """Every parameter that may move, and the buffers of the stages that do, by name."""

    def __init__(self, model: Learner, moving: set[int], moves: Callable[[str], bool] = lambda _: True) -> None:
        """`moving` are stage numbers, `moves` says which of their parameters; heads and additions always belong.

        From here on every tensor changes in place and none is replaced.
        """
        still = frozen_state(model.backbone, moving, moves)
        state = {f"backbone.{n}": t for n, t in model.backbone.module.state_dict().items() if n not in still}
        state |= {f"heads.{name}": tensor for name, tensor in model.heads.state_dict().items()}
        self._live = state | {f"additions.{name}": tensor for name, tensor in model.additions.state_dict().items()}

    def live(self) -> dict[str, Tensor]:
        """The tensors themselves."""
        return self._live

    def copy(self) -> dict[str, Tensor]:
        """Copies on the CPU."""
        return {name: tensor.detach().cpu().clone() for name, tensor in self._live.items()}

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Put copies back, in place."""
        with torch.no_grad():
            for name, tensor in weights.items():
                self._live[name].copy_(tensor)
