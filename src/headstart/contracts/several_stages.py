"""Features of several stages at once: pooled outputs of inner stages, and the maps or tokens there, beside the last.

Features of all layers with a linear head come near fine-tuning (Evci et al. 2022, "Head2Toe: Utilizing intermediate
representations for better transfer learning"). The paper selects single features of all layers by a group lasso; here
whole stages of the deeper half are taken, which keeps the width within a few times that of the last one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

from headstart.contracts.backbone import Backbone
from headstart.contracts.carriers import Tap
from headstart.kernel.errors import BackboneError

Stages = Literal["last", "multi"]
"""Stages whose outputs are features: the last one alone, or several."""

BESIDE_LAST = 3
"""Inner stages at most."""


def inner_stages(boundaries: Sequence[str]) -> tuple[str, ...]:
    """The boundaries that `multi` takes beside the last, of those with names `Backbone.boundary_names`: evenly from the
    middle on."""
    last, parts = len(boundaries) - 1, 2 * BESIDE_LAST
    chosen = {round(part * last / parts) for part in range(BESIDE_LAST, parts)} - {0, last}
    return tuple(boundaries[k] for k in sorted(chosen))


def inner_taps(backbone: Backbone) -> tuple[Tap, ...]:
    """Their pooled taps. Raises BackboneError where there is none."""
    if not (inner := inner_stages(backbone.boundary_names())):
        raise BackboneError(f"{backbone.name} has a single stage: leave backbone.features = multi out")
    return tuple(map(Tap, inner))


def tapped(taps: Iterable[Tap], own: Iterable[Tap], inside: Sequence[str]) -> tuple[Tap, ...]:
    """The taps that are asked for, then those of `own` that lie inside a segment with these boundaries."""
    return tuple(dict.fromkeys((*taps, *(tap for tap in own if tap.boundary in inside))))


def joined(taps: Mapping[str, Tensor], own: Sequence[Tap], last: Tensor) -> Tensor:
    """Outputs (batch, ..., width) of inner stages, then of the last, along the final axis; `last` without `own`."""
    return torch.cat([*(taps[tap.key] for tap in own), last], dim=-1) if own else last
