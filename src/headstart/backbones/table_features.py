"""Numeric columns as they are: a backbone without weights, so that everything above features works on plain tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field
from torch import nn

from headstart.backbones._own_name import OwnName
from headstart.backbones._table_rows import rows_of_numbers
from headstart.contracts.backbone import NO_LICENCE, Backbone
from headstart.contracts.carriers import State, Tap
from headstart.contracts.examples import Raw
from headstart.contracts.features import Features
from headstart.contracts.network import Stage
from headstart.kernel.errors import BackboneError

NAME = "table_features"


class TableFeatures(OwnName):
    """The columns of a table as features; scaling them is the task solver's business."""

    own_name: ClassVar[str] = NAME
    modality: ClassVar[str] = "table"

    columns: int = Field(ge=1)
    """How many numeric columns there are; >= 1."""
    reference: str = NAME
    """Always 'table_features'."""

    @classmethod
    def automatic(cls) -> tuple[str, str] | None:
        """For every table."""
        return NAME, "numeric columns are features as they are"

    def load(self) -> Backbone:
        """The identity on that many columns."""
        return _Identity(self.columns)

    def rebuild(self, assets: Path) -> Backbone:  # noqa: ARG002
        """The same as `load`: there are no weights."""
        return self.load()


class _Identity(Backbone):
    modality = "table"
    licence = NO_LICENCE
    stages = (Stage("columns", ()),)

    def __init__(self, columns: int) -> None:
        self.name, self.origin = NAME, "no weights"
        self.module = nn.Identity()
        self.width = columns

    def prepare(self, raws: Sequence[Raw]) -> State:
        """(batch, columns) float32; refuses NaN and infinite values, also those that 32 bits cannot hold."""
        return State(rows_of_numbers(raws, self.width))

    def length(self, raw: Raw) -> int:  # noqa: ARG002
        """1: all rows cost the same."""
        return 1

    def preparation(self) -> Mapping[str, Any]:
        """Nothing but the number of columns."""
        return {"family": NAME, "columns": self.width}

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
        """The number of columns."""
        return {"plugin": NAME, "settings": {"reference": NAME, "columns": self.width}}

    def fresh(self, seed: int) -> Backbone:  # noqa: ARG002
        """The same: there are no weights to draw."""
        return _Identity(self.width)


class _Tapped(nn.Module):
    def __init__(self, taps: tuple[Tap, ...]) -> None:
        super().__init__()
        self.taps = taps

    def forward(self, state: State) -> State:
        return State(state.hidden, state.context, {**state.taps, **{tap.key: state.hidden for tap in self.taps}})
