"""The next item of a history is told from others that are drawn by chance.

    loss = mean over the places of -log softmax(h . e)[the item that came next]

over that item and N negatives, drawn evenly from the catalogue for the whole batch; those that are the next item of a
place do not count there. The whole catalogue is taken where it has no more. h is the vector of a place and e those of
items, as at the input. Kang and McAuley tell the next item from one negative by binary cross-entropy, which learns far
less from as many steps: Klenitskiy and Vasilev, "Turning Dross Into Gold Loss" (RecSys 2023).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from headstart.contracts.objective import TARGET, Objective, Step
from headstart.contracts.recommender import FOLLOWING
from headstart.kernel.errors import TrainingError


class NextItem(Objective):
    """Cross-entropy of the next item among negatives."""

    streams: ClassVar[tuple[str, ...]] = (TARGET,)
    modalities: ClassVar[tuple[str, ...]] = ("interactions",)
    gathers: ClassVar[bool] = True

    negatives: int = Field(default=1500, ge=1)
    """N; >= 1."""

    def first_stage(self, stages: int) -> int:  # noqa: ARG002
        """All of it learns."""
        return 0

    def losses(self, step: Step) -> Mapping[str, Tensor]:
        """ "next_item", a scalar ()."""
        batch = step.batches[TARGET]
        vectors = step.features(batch).tokens
        if vectors is None:
            raise TrainingError(f"{step.backbone.name} has no vectors of places")
        following = batch.targets[FOLLOWING]
        there = following >= 0
        network: Any = step.backbone.module
        drawn = torch.Generator().manual_seed(step.seed % 2**63)
        each = next_item_loss(vectors[there], network.items.weight, following[there], self.negatives, drawn)
        total, places = step.gathered(torch.stack([each.sum(), there.sum().to(each)])[None]).sum(dim=0)
        return {"next_item": total / places.clamp(min=1)}


def next_item_loss(vectors: Tensor, items: Tensor, following: Tensor, negatives: int, drawn: torch.Generator) -> Tensor:
    """Return the loss of each place (places,).

    Args:
        vectors: (places, width). items: (items, width). following: (places,) item numbers.
        negatives: as of `NextItem`. drawn: decides which they are.
    """
    if len(items) <= negatives:
        return torch.nn.functional.cross_entropy(vectors @ items.T, following, reduction="none")
    others = torch.randint(len(items), (negatives,), generator=drawn).to(following.device)
    scores = vectors @ items[others].T
    scores = scores.masked_fill(others == following[:, None], -torch.inf)
    own = (vectors * items[following]).sum(dim=1, keepdim=True)
    return torch.cat([own, scores], dim=1).logsumexp(dim=1) - own[:, 0]
