"""SimCLR: two views of an example are recognised as such among the views of all others (Chen et al. 2020).

Of an example's two random views x and x', with f the backbone's pooled features and g a small perceptron that is thrown
away afterwards, the embeddings g(f(x)) and g(f(x')) are a pair in NT-Xent (equation 1): of n examples there are 2 n
views, and for a view i with the other view j of its example, and s the cosine similarity,

    l(i) = -log( exp(s(i, j) / t) / sum over all k != i of exp(s(i, k) / t) ).

The loss is the mean over all views: every view of another example of the batch is a negative, those of other processes
too, and the greater the batch, the better.

As in the authors' code both views go through the network as one batch, and g has BatchNorm behind its first layer,
which the paper's formula leaves out. The optimiser is the house's AdamW in place of LARS, which batches of thousands
need.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from headstart.contracts.advice import Advice, Suggestion
from headstart.contracts.carriers import Batch, State
from headstart.contracts.network import Network
from headstart.contracts.objective import TARGET, TARGET_AGAIN, Objective, Step
from headstart.objectives._perceptron import embeddings


class SimCLR(Objective):
    """Two views of the same picture are recognised among those of all others."""

    streams: ClassVar[tuple[str, ...]] = (TARGET, TARGET_AGAIN)
    modalities: ClassVar[tuple[str, ...]] = ("image",)
    gathers: ClassVar[bool] = True
    advice: ClassVar[Advice] = Advice(
        pretrains={"image": Suggestion(0, "two views of a picture are known again among those of all others")},
        augmentation="simclr",
    )

    temperature: float = Field(default=0.2, gt=0)
    """Divides the cosine similarities; the lower, the more the hardest negatives count; > 0."""
    hidden: int = Field(default=512, ge=1)
    """Width of the projector's hidden layer; >= 1."""
    width: int = Field(default=128, ge=1)
    """Width of the embeddings that are compared; >= 1."""
    batch_norm: bool = True
    """The projector has BatchNorm; without it LayerNorm."""

    def first_stage(self, stages: int) -> int:
        """A stage must move."""
        return stages - 1

    def additions(self, backbone: Network) -> Mapping[str, nn.Module]:
        """The projector, (batch, features) -> (batch, width)."""
        norm = nn.BatchNorm1d(self.hidden) if self.batch_norm else nn.LayerNorm(self.hidden)
        layers = (nn.Linear(backbone.width, self.hidden), norm, nn.ReLU(), nn.Linear(self.hidden, self.width))
        return {"projector": nn.Sequential(*layers)}

    def losses(self, step: Step) -> Mapping[str, Tensor]:
        """ "nt_xent", a scalar ()."""
        views = _joined([step.batches[name] for name in self.streams])
        found = embeddings(step, "projector", step.features(views).pooled)
        one, other = (step.gathered(half) for half in found.chunk(2))
        return {"nt_xent": nt_xent(one, other, self.temperature)}


def _joined(batches: Sequence[Batch]) -> Batch:
    """Batches of pictures of one size as one: in a single pass they cost less, and BatchNorm sees all of them."""
    hidden = torch.cat([batch.state.hidden for batch in batches])
    return Batch(State(hidden), {}, torch.cat([batch.rows for batch in batches]))


def nt_xent(one: Tensor, other: Tensor, temperature: float) -> Tensor:
    """The mean loss (), of embeddings (examples, width) in two views, in any length; `temperature` > 0."""
    views = functional.normalize(torch.cat([one, other]), dim=1)
    similarity = views @ views.T / temperature
    similarity.fill_diagonal_(-torch.inf)
    number = len(one)
    partner = torch.arange(2 * number, device=one.device).roll(number)
    return functional.cross_entropy(similarity, partner)
