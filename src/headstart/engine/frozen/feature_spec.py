"""The part of a frozen pass that is kept of each example, and its way into the store and back.

A batch leaves the runner as a `State`; here it is taken apart into columns, one entry per example, without the padding
of its batch, and put together again, padded to the longest of the examples that are then asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from headstart.contracts.backbone import Backbone
from headstart.contracts.carriers import BESIDE, LENGTH_MASK, PLACES, State, Tap
from headstart.contracts.features import Features
from headstart.engine.store.columns import Column, Ragged
from headstart.kernel.errors import BackboneError

Keep = Literal["pooled", "tokens", "maps", "features", "state"]


@dataclass(frozen=True)
class FeatureSpec:
    """Outputs to keep of a pass from the input to a boundary."""

    keep: Keep = "pooled"
    """'pooled'; with 'tokens' or 'maps' these beside it, with 'features' what the backbone has of both; or the 'state'
    at the boundary, to train a suffix."""
    stop: int | None = None
    """The boundary; None for the end. Features exist at the end only."""
    taps: tuple[Tap, ...] = ()
    """Boundaries to see on the way."""

    def boundary(self, backbone: Backbone) -> int:
        """Where the pass ends."""
        return len(backbone.stages) if self.stop is None else self.stop

    @staticmethod
    def all_stages(backbone: Backbone) -> FeatureSpec:
        """Pooled features, at every boundary past the input."""
        return FeatureSpec(taps=tuple(Tap(name) for name in backbone.boundary_names()[1:]))


class FrozenSegment(nn.Module):
    """Some stages of a backbone and what is kept of them, as the one module that a runner executes."""

    def __init__(self, backbone: Backbone, spec: FeatureSpec, start: int | None = None) -> None:
        """Stages from boundary `start`, or from inputs as they are fed with None; shares the backbone's live weights.

        Raises:
            BackboneError: features are wished for at an inner boundary.
        """
        super().__init__()
        end, stop = len(backbone.stages), spec.boundary(backbone)
        if spec.keep != "state" and stop != end:
            raise BackboneError(f"{spec.keep} features exist at boundary {end}, the end, not at {stop}; keep the state")
        self.entry = backbone.entry if start is None else nn.Identity()
        first = start or 0
        seen = {*backbone.boundary_names()[first + 1 : stop + 1]} if spec.keep not in ("pooled", "state") else set()
        taps = dict.fromkeys((*spec.taps, *(tap for tap in backbone.map_taps() if tap.boundary in seen)))
        self.segment = backbone.segment(first, stop, tuple(taps)) if first < stop else nn.Identity()
        self.weights = backbone.module
        self.spec, self.keep = spec, spec.keep
        self._features = backbone.features

    def forward(self, state: State) -> State:
        """The state where it starts -> what is kept; `hidden` is the pooled features unless the state is kept."""
        state = self.segment(self.entry(state))
        if self.keep == "state":
            return state
        features = self._features(state)
        taps = {tap.key: state.taps[tap.key] for tap in self.spec.taps}
        return State(features.pooled, _beside(features, self.keep), taps)


def suffix(backbone: Backbone, keep: Keep, start: int) -> nn.Module:
    """The stages from boundary `start` on as `State -> State`, for features that have what `keep` says.

    Of maps and tokens it sees those behind `start`; earlier ones are in the state.
    """
    seen = () if keep == "pooled" else backbone.boundary_names()[start + 1 :]
    taps = tuple(tap for tap in backbone.map_taps() if tap.boundary in seen)
    return backbone.segment(start, len(backbone.stages), taps) if start < len(backbone.stages) else nn.Identity()


def features_of(kept: State) -> Features:
    """The features that a `FrozenSegment` has put into a state."""
    maps = [kept.context[f"maps.{i}"] for i in range(sum(name.startswith("maps.") for name in kept.context))]
    tokens, mask, places = (kept.context.get(name) for name in ("tokens", LENGTH_MASK, PLACES))
    return Features(kept.hidden, tokens, mask, tuple(maps), places)


def take_apart(kept: State, keep: Keep) -> dict[str, Column]:
    """A batch as columns: 'hidden', 'context.NAME' and 'taps.KEY'; what has a length is ragged, without padding."""
    named = kept.tensors()
    if LENGTH_MASK not in kept.context:
        return {name: _array(tensor) for name, tensor in named.items()}
    mask = _array(kept.context[LENGTH_MASK])
    lengths = ((mask != 0) * np.arange(1, mask.shape[1] + 1)).max(axis=1, initial=0)
    real = np.arange(mask.shape[1]) < lengths[:, None]
    return {
        name: _cut(name, _array(tensor), real, lengths) if _has_length(name, tensor, keep) else _array(tensor)
        for name, tensor in named.items()
    }


def put_together(columns: Mapping[str, Column]) -> State:
    """Columns as a batch; ragged ones are padded with zeros on the right."""
    return State.of({name: torch.from_numpy(_padded(column)) for name, column in columns.items()})


def _beside(features: Features, keep: Keep) -> dict[str, Tensor]:
    kept: dict[str, Tensor] = {}
    if keep in ("tokens", "features") and features.tokens is not None:
        kept["tokens"] = features.tokens
        if features.mask is not None:
            kept[LENGTH_MASK] = features.mask
        if features.places is not None:
            kept[PLACES] = features.places
    if keep in ("maps", "features"):
        kept |= {f"maps.{i}": level for i, level in enumerate(features.maps)}
    if keep in ("tokens", "maps") and not kept:
        raise BackboneError(f"the backbone's features have no {keep}, only pooled vectors")
    return kept


def _has_length(name: str, tensor: Tensor, keep: Keep) -> bool:
    if name in ("hidden", f"context.{BESIDE}"):
        return name == "hidden" and keep == "state"
    if name.startswith("taps."):
        return name.endswith(".map")
    return tensor.ndim >= 2 and not name.startswith("context.maps.")


def _cut(name: str, values: np.ndarray, real: np.ndarray, lengths: np.ndarray) -> Ragged:
    if values.shape[:2] != real.shape:
        raise BackboneError(
            f"{name} has shape {values.shape} beside a mask of shape {real.shape}: the second axis must be the length"
        )
    return Ragged.of(values[real], lengths)


def _array(tensor: Tensor) -> np.ndarray:
    tensor = tensor.detach().cpu()
    return np.ascontiguousarray((tensor.float() if tensor.is_floating_point() else tensor).numpy())


def _padded(column: Column) -> np.ndarray:
    if not isinstance(column, Ragged):
        return column
    lengths = column.lengths
    out = np.zeros((len(lengths), lengths.max(initial=0), *column.flat.shape[1:]), column.flat.dtype)
    out[np.arange(out.shape[1]) < lengths[:, None]] = column.flat
    return out
