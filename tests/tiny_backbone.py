"""A backbone of three tiny stages on rows of numbers, with BatchNorm and dropout, for tests of what runs backbones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import nn

from headstart.contracts.backbone import Backbone
from headstart.contracts.carriers import State, Tap
from headstart.contracts.examples import Examples, Schema
from headstart.contracts.features import Features
from headstart.contracts.network import Stage


class _Segment(nn.Module):
    def __init__(self, stages: Sequence[nn.Module], names: Sequence[str], taps: Sequence[Tap]) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stages)
        self.names, self.taps = names, taps

    def forward(self, state: State) -> State:
        hidden, seen = state.hidden, {}
        for name, stage in zip(self.names, self.stages):
            hidden = stage(hidden)
            seen |= {tap.key: hidden for tap in self.taps if tap.boundary == name}
        return State(hidden, state.context, seen)


class TinyBackbone(Backbone):
    """`inputs` numbers -> 8 features, deterministic in `seed`."""

    modality = "table"
    name = "tiny"
    origin = "random"
    width = 8

    def __init__(self, inputs: int = 4, seed: int = 0, dropout: float = 0.2) -> None:
        self.inputs, self.seed, self.dropout = inputs, seed, dropout
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.module = nn.Sequential(
                nn.Sequential(nn.Linear(inputs, 8), nn.BatchNorm1d(8), nn.ReLU()),
                nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(dropout)),
                nn.Sequential(nn.Linear(8, 8), nn.Tanh()),
            )
        self.stages = tuple(self.stage_at(k) for k in range(3))

    def stage_at(self, k: int) -> Stage:
        parameters = tuple(f"{k}.{name}" for name, _ in self.module[k].named_parameters())
        buffers = tuple(f"{k}.{name}" for name, _ in self.module[k].named_buffers())
        return Stage(f"stage{k}", parameters, buffers, (str(k),))

    def prepare(self, raws: Sequence[Any]) -> State:
        return State(torch.from_numpy(np.stack(raws)).float())

    def length(self, raw: Any) -> int:
        return 1

    def preparation(self) -> Mapping[str, Any]:
        return {"inputs": self.inputs}

    def segment(self, start: int, stop: int, taps: Sequence[Tap] = ()) -> nn.Module:
        names = [stage.name for stage in self.stages[start:stop]]
        return _Segment(list(self.module[start:stop]), names, taps)

    def features(self, state: State) -> Features:
        return Features(state.hidden)

    def describe(self) -> dict[str, Any]:
        return {"plugin": "tiny", "settings": {"inputs": self.inputs}}

    def fresh(self, seed: int) -> TinyBackbone:
        return TinyBackbone(self.inputs, seed, self.dropout)


def numeric_examples(features: np.ndarray, labels: Sequence[Any]) -> Examples:
    """Examples of the 'table' modality."""
    names = tuple(f"x{k}" for k in range(features.shape[1]))
    columns = {name: features[:, k] for k, name in enumerate(names)}
    table = pa.table({**columns, "label": list(labels), "origin": [f"row {k}" for k in range(len(labels))]})
    return Examples(table, Schema(modality="table", inputs=names, targets={"label": "label"}, origin="origin"))
