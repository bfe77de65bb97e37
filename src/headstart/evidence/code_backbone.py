"""Codes as a backbone of one stage, so that they are stored, probed and compared as the features of any network are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from headstart.contracts.backbone import Backbone
from headstart.contracts.carriers import State, Tap
from headstart.contracts.examples import Raw
from headstart.contracts.features import Features
from headstart.contracts.network import Stage
from headstart.kernel.errors import BackboneError


class CodeBackbone(Backbone):
    """A module that was fitted and is never trained."""

    def __init__(
        self,
        name: str,
        modality: str,
        read: Callable[[Sequence[Raw]], Tensor],
        module: nn.Module,
        width: int,
        preparation: Mapping[str, Any],
    ) -> None:
        """Wrap a module.

        Args:
            name, modality: of the backbone.
            read: inputs -> what the module takes, (batch, ...). Raises DataError.
            module: (batch, ...) -> (batch, width)
            width: of the codes.
            preparation: all that decides what `read` gives, as JSON values.
        """
        self.name, self.modality, self.origin = name, modality, "fitted without labels"
        self.module, self.width = module.eval(), width
        self._read, self._preparation = read, dict(preparation)
        names = tuple(name for name, _ in module.named_buffers())
        self.stages = (Stage("codes", (), names, tuple(name for name, _ in module.named_children())),)

    def prepare(self, raws: Sequence[Raw]) -> State:
        """Return what the module takes."""
        return State(self._read(raws))

    def length(self, raw: Raw) -> int:  # noqa: ARG002
        """1: all cost the same."""
        return 1

    def preparation(self) -> Mapping[str, Any]:
        """All that decides what is read."""
        return self._preparation

    def segment(self, start: int, stop: int, taps: Sequence[Tap] = ()) -> nn.Module:  # noqa: ARG002
        """The whole. Raises BackboneError on a tap."""
        if taps:
            raise BackboneError(f"{self.name} is one step: it has no boundary '{taps[0].boundary}' to see on the way")
        return _Whole(self.module)

    def features(self, state: State) -> Features:
        """The codes."""
        return Features(state.hidden)

    def describe(self) -> dict[str, Any]:
        """Its name: the weights say the rest."""
        return {"plugin": "codes", "settings": {"name": self.name, "width": self.width}}

    def fresh(self, seed: int) -> Backbone:
        """Raises BackboneError: it is nothing without its fit."""
        raise BackboneError(
            f"{self.name} is fitted, not trained, so it has no random weights (seed {seed}) to start from"
        )


class _Whole(nn.Module):
    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, state: State) -> State:
        return State(self.module(state.hidden), state.context)
