"""The columns of a table as features, by the encoding that training rows teach: a backbone without weights.

Complete rows of numbers are their own features.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from torch import nn

from headstart.backbones._table_rows import TableBackbone, TableFamily
from headstart.contracts.backbone import Backbone
from headstart.contracts.carriers import State, Tap
from headstart.contracts.features import Features
from headstart.contracts.network import Stage
from headstart.kernel.errors import BackboneError

NAME = "table_features"


class TableFeatures(TableFamily):
    """The columns of a table as features; of numbers alone scaling is the task solver's business."""

    own_name: ClassVar[str] = NAME

    reference: str = NAME
    """Always 'table_features'."""

    @classmethod
    def automatic(cls) -> tuple[str, str] | None:
        """For every table."""
        return NAME, "the columns are the features"

    def load(self) -> Backbone:
        """The columns, by an encoding that is to be learnt."""
        return _Columns(self)

    def rebuild(self, assets: Path) -> Backbone:  # noqa: ARG002
        """The same, by the encoding that there is: there are no weights."""
        return _Columns(self, learns=False)


class _Columns(TableBackbone):
    stages = (Stage("columns", ()),)

    def __init__(self, settings: TableFeatures, *, learns: bool = True) -> None:
        self.name, self.origin = NAME, "no weights"
        self.module, self.learns = nn.Identity(), learns
        self.build(settings)

    def build(self, settings: TableFeatures) -> None:
        self.settings, self.width = settings, settings.inputs

    def segment(self, start: int, stop: int, taps: Sequence[Tap] = ()) -> nn.Module:
        """The identity. Raises BackboneError on a tap other than of its one stage."""
        inside = [stage.name for stage in self.stages[start:stop]]
        for tap in taps:
            if tap.boundary not in inside:
                raise BackboneError(f"boundary '{tap.boundary}' cannot be tapped. Known: {', '.join(inside) or 'none'}")
        return _Tapped(tuple(taps))

    def features(self, state: State) -> Features:
        """The columns."""
        return Features(state.hidden)

    def describe(self) -> dict[str, Any]:
        """The columns and their encoding."""
        return {"plugin": NAME, "settings": self.settings.model_dump(mode="json")}

    def fresh(self, seed: int) -> Backbone:  # noqa: ARG002
        """The same: there are no weights to draw."""
        return _Columns(self.settings, learns=self.learns)


class _Tapped(nn.Module):
    def __init__(self, taps: tuple[Tap, ...]) -> None:
        super().__init__()
        self.taps = taps

    def forward(self, state: State) -> State:
        return State(state.hidden, state.context, {**state.taps, **{tap.key: state.hidden for tap in self.taps}})
