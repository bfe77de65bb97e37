"""CutMix: a box of every picture is pasted over with that of another one of the batch (Yun et al. 2019).

The box is the same in the whole batch: its sides are sqrt(1 - l) of the picture's, its middle is uniform, l is from
Beta(alpha, alpha). What is left of it within the picture decides the weights: loss = l' L(y_a) + (1 - l') L(y_b), with
l' the share of the picture that is its own. Class maps are pasted as the pictures are, and need no weights.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from pydantic import Field
from torch import Tensor

from headstart.augmentations._mixing import of_partners, partners, require_mixable
from headstart.contracts.augmentation import Mixture
from headstart.contracts.carriers import Batch, Mixed
from headstart.contracts.target_movement import Pastes
from headstart.contracts.targets import TargetKind, TargetKinds

_Box = tuple[slice, slice]


class Cutmix(Mixture):
    """Boxes pasted in pairs."""

    modalities: ClassVar[tuple[str, ...]] = ("image",)

    alpha: float = Field(default=1.0, gt=0)
    """Of the Beta distribution of the share that stays; 1 in the paper: any share is as likely; > 0."""

    def mixable(self, kind: TargetKind) -> bool:
        """Those that can be pasted as the pictures are, or weighed."""
        return isinstance(kind, Pastes) or kind.additive

    def mix(self, batch: Batch, seeds: Sequence[int], kinds: TargetKinds) -> Batch:
        """Of a batch at boundary 0: (batch, channels, height, width)."""
        require_mixable(self, batch, kinds)
        hidden = batch.state.hidden
        own, rows, draws = partners(seeds, self.alpha)
        height, width = hidden.shape[2:]
        middle = draws.integers((height, width)).tolist()
        box = _around(middle, (height, width), math.sqrt(1 - own))
        state, others = replace(batch.state, hidden=_pasted(hidden, rows, box)), of_partners(batch.targets, rows)
        pasted = {
            name: kind.pasted(values, others[name], box)
            for name, values in batch.targets.items()
            if isinstance(kind := kinds[name], Pastes)
        }
        targets = {**batch.targets, **pasted}
        if targets and len(pasted) == len(targets):
            return replace(batch, state=state, targets=targets)
        left = 1 - (box[0].stop - box[0].start) * (box[1].stop - box[1].start) / (height * width)
        return replace(batch, state=state, targets=targets, mixed=Mixed({**others, **pasted}, left))


def _around(middle: Sequence[int], sides: tuple[int, int], share: float) -> _Box:
    """The part within the picture of a box around `middle` with `share` of its sides."""
    spans = []
    for at, side in zip(middle, sides):
        half = int(side * share) // 2
        spans.append(slice(max(0, at - half), min(side, at + half)))
    return spans[0], spans[1]


def _pasted(values: Tensor, rows: Tensor, box: _Box) -> Tensor:
    """(batch, ..., height, width) with the box of those at `rows`."""
    pasted = values.clone()
    pasted[..., box[0], box[1]] = values[rows.to(values.device)][..., box[0], box[1]]
    return pasted
