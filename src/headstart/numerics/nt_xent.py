"""NT-Xent, the normalised temperature-scaled cross-entropy of pairs (Chen et al. 2020, "SimCLR", equation 1).

Of n examples there are two views each. For a view i with the other view j of its example, and s the cosine similarity,

    l(i) = -log( exp(s(i, j) / t) / sum over all k != i of exp(s(i, k) / t) ),

and the loss is the mean over all 2 n views: every view of another example is a negative.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def nt_xent(one: Tensor, other: Tensor, temperature: float) -> Tensor:
    """The mean loss (), of embeddings (examples, width) in two views, in any length; `temperature` > 0."""
    views = functional.normalize(torch.cat([one, other]), dim=1)
    similarity = views @ views.T / temperature
    similarity.fill_diagonal_(-torch.inf)
    number = len(one)
    partner = torch.arange(2 * number, device=one.device).roll(number)
    return functional.cross_entropy(similarity, partner)
