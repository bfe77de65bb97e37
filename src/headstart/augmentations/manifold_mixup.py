"""Manifold mixup: mixup of what the frozen stages have made of the inputs (Verma et al. 2019).

The formula is mixup's on the hidden state at the boundary where training begins, so that it works on stored states: a
head on frozen features sees blends of features. Where every stage moves this boundary is the input. The paper draws the
layer anew for each batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from pydantic import Field

from headstart.augmentations._mixing import blended, of_partners, partners, require_mixable
from headstart.contracts.augmentation import Mixture
from headstart.contracts.carriers import Batch, Mixed, State
from headstart.contracts.targets import TargetKinds


class ManifoldMixup(Mixture):
    """Hidden states blended in pairs."""

    modalities: ClassVar[tuple[str, ...]] = ("image", "table")

    alpha: float = Field(default=0.2, gt=0)
    """Of the Beta distribution: the larger, the more even the blend; the paper takes 2 from scratch; > 0."""

    def first_stage(self, stages: int) -> int:
        """It acts wherever training begins, and needs no stage of its own."""
        return stages

    def mix(self, batch: Batch, seeds: Sequence[int], kinds: TargetKinds) -> Batch:
        """Of a batch at any boundary, with its taps."""
        require_mixable(self, batch, kinds)
        own, rows, _ = partners(seeds, self.alpha)
        state = batch.state
        taps = {name: blended(value, own, rows) for name, value in state.taps.items()}
        mixed = State(blended(state.hidden, own, rows), state.context, taps)
        return replace(batch, state=mixed, mixed=Mixed(of_partners(batch.targets, rows), own))
