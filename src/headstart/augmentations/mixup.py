"""mixup: every input is blended with another one of the batch, and so is the loss (Zhang et al. 2018).

x = l x_a + (1 - l) x_b,  loss = l L(f(x), y_a) + (1 - l) L(f(x), y_b),  l from Beta(alpha, alpha), one per batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from pydantic import Field

from headstart.augmentations._mixing import blended, of_partners, partners, require_mixable
from headstart.contracts.augmentation import Mixture
from headstart.contracts.carriers import Batch, Mixed
from headstart.contracts.targets import TargetKinds


class Mixup(Mixture):
    """Inputs blended in pairs."""

    modalities: ClassVar[tuple[str, ...]] = ("image", "table")

    alpha: float = Field(default=0.2, gt=0)
    """Of the Beta distribution: the larger, the more even the blend; 0.1 to 0.4 in the paper; > 0."""

    def mix(self, batch: Batch, seeds: Sequence[int], kinds: TargetKinds) -> Batch:
        """Of a batch at boundary 0."""
        require_mixable(self, batch, kinds)
        own, rows, _ = partners(seeds, self.alpha)
        state = replace(batch.state, hidden=blended(batch.state.hidden, own, rows))
        return replace(batch, state=state, mixed=Mixed(of_partners(batch.targets, rows), own))
