"""A residual network on the columns of a table: what there is to pretrain, and to fine-tune, on rows of one's own.

The ResNet of Gorishniy et al. 2021 ("Revisiting deep learning models for tabular data"): every block adds
dropout(W' relu(W norm(x))) to x, norm being BatchNorm. Columns have units of their own, so BatchNorm without weights
standardises them first, as in fastai's tabular model; its running statistics are the scale from then on. What lies far
out, a sum a thousand times the usual one or a category that few rows have, is drawn in as RealMLP does ("Better by
default", Holzmüller et al. 2024): x becomes x / sqrt(1 + (x / 3)^2), within -3 and 3. Categories are one-hot, and
missing values filled, by an encoding that training rows teach.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from headstart.backbones._table_rows import TableBackbone, TableFamily
from headstart.contracts.backbone import Backbone
from headstart.contracts.carriers import State, Tap
from headstart.contracts.examples import Raw
from headstart.contracts.features import Features
from headstart.contracts.network import Stage
from headstart.kernel.errors import BackboneError, unknown

NAME = "table_mlp"


class TableMlp(TableFamily):
    """A network on the columns of a table, to be trained from random weights."""

    own_name: ClassVar[str] = NAME

    reference: str = NAME
    """Always 'table_mlp'."""
    weights: str = "random"
    """'random'; what was learned without labels is given as a run: `--backbone RUN`."""
    width: int = Field(default=128, ge=1)
    """Width of the features; >= 1."""
    depth: int = Field(default=3, ge=1)
    """Residual blocks; >= 1."""
    dropout: float = Field(default=0.1, ge=0, lt=1)
    """Share of what a block adds that is zeroed in training; in [0, 1)."""
    clip: float = Field(default=3.0, ge=0)
    """Standardised columns come no further from 0, smoothly; 0 leaves them as they are; >= 0."""
    seed: int = 0
    """Decides the weights; >= 0."""

    @classmethod
    def automatic(cls) -> tuple[str, str] | None:
        """Never: it knows nothing before it is trained."""
        return None

    def load(self) -> Backbone:
        """The network with random weights.

        Raises:
            BackboneError: other weights are asked for.
        """
        if self.weights != "random":
            raise BackboneError(
                f"there are no {self.weights} weights for {NAME}: add --weights random. What 'headstart pretrain ROWS "
                f"--backbone {NAME} --weights random' learns from rows of your own is then given as --backbone RUN."
            )
        return _TableNet(self)

    def rebuild(self, assets: Path) -> Backbone:  # noqa: ARG002
        """The architecture, its weights to be filled in; the encoding that there is stays."""
        # what was saved before there was a limit knows none
        kept = self if "clip" in self.model_fields_set else self.model_copy(update={"clip": 0.0})
        return _TableNet(kept, learns=False)


class _TableNet(TableBackbone):
    def __init__(self, settings: TableMlp, *, learns: bool = True) -> None:
        self.name, self.origin, self.learns = NAME, "random", learns
        self.build(settings)

    def build(self, settings: TableMlp) -> None:
        self.settings, self.width = settings, settings.width
        with torch.random.fork_rng():
            torch.manual_seed(settings.seed)
            blocks = [_Block(settings.width, settings.dropout) for _ in range(settings.depth)]
            scale = _Scale(settings.inputs, settings.clip)
            start = nn.Sequential(scale, nn.Linear(settings.inputs, settings.width))
            end = nn.Sequential(nn.BatchNorm1d(settings.width), nn.ReLU())
        self.module = nn.Sequential(start, *blocks, end).eval()
        names = ("columns", *(f"block.{k}" for k in range(settings.depth)), "norm")
        self.stages = tuple(self._stage(k, name) for k, name in enumerate(names))

    def _stage(self, k: int, name: str) -> Stage:
        part = self.module.get_submodule(str(k))
        parameters = tuple(f"{k}.{name}" for name, _ in part.named_parameters())
        return Stage(name, parameters, tuple(f"{k}.{name}" for name, _ in part.named_buffers()), (str(k),))

    def settle(self, raws: Sequence[Raw]) -> None:
        """The columns' scale, so that a network that has learnt nothing yet sees them alike. Raises DataError."""
        rows, scale = self.settings.numbers(raws), self.module.get_submodule("0.0")
        rows = rows[torch.isfinite(rows).all(dim=1)]
        scale.running_var, scale.running_mean = torch.var_mean(rows, dim=0)

    def segment(self, start: int, stop: int, taps: Sequence[Tap] = ()) -> nn.Module:
        """The stages in between. Raises BackboneError on a tap that lies outside of them."""
        inside = self.boundary_names()[start + 1 : stop + 1]
        for tap in taps:
            if tap.boundary not in inside:
                raise BackboneError(unknown("boundary", tap.boundary, inside))
        parts = [self.module.get_submodule(str(k)) for k in range(start, stop)]
        return _Segment(dict(zip(inside, parts)), tuple(taps))

    def features(self, state: State) -> Features:
        """Return the output of the last block, normalised and rectified: (batch, width)."""
        return Features(state.hidden)

    def describe(self) -> dict[str, Any]:
        """The architecture: the seed decides weights alone."""
        return {"plugin": NAME, "settings": {**self.settings.model_dump(mode="json"), "seed": 0}}

    def fresh(self, seed: int) -> Backbone:
        """The same network with other random weights."""
        return _TableNet(self.settings.model_copy(update={"seed": seed}), learns=self.learns)


class _Scale(nn.BatchNorm1d):
    """Columns standardised, and drawn in where they lie far out."""

    def __init__(self, columns: int, clip: float) -> None:
        super().__init__(columns, affine=False)
        self.clip = clip

    def forward(self, columns: Tensor) -> Tensor:
        found = super().forward(columns)
        return found / (1 + (found / self.clip).square()).sqrt() if self.clip else found


class _Block(nn.Module):
    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        layers = (nn.BatchNorm1d(width), nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width))
        self.branch = nn.Sequential(*layers, nn.Dropout(dropout))

    def forward(self, hidden: Tensor) -> Tensor:
        added: Tensor = self.branch(hidden)
        return hidden + added


class _Segment(nn.Module):
    def __init__(self, parts: Mapping[str, nn.Module], taps: tuple[Tap, ...]) -> None:
        super().__init__()
        self.names, self.parts, self.taps = tuple(parts), nn.ModuleList(parts.values()), taps

    def forward(self, state: State) -> State:
        hidden, seen = state.hidden, dict(state.taps)
        for name, part in zip(self.names, self.parts):
            hidden = part(hidden)
            seen |= {tap.key: hidden for tap in self.taps if tap.boundary == name}
        return State(hidden, state.context, seen)
