"""k-NN classification of embeddings: how well a representation keeps classes together, with nothing to be trained.

Wu et al. 2018 ("Unsupervised feature learning via non-parametric instance discrimination"): the k nearest by cosine
similarity s vote for their classes, each with the weight exp(s / 0.07). The paper takes k = 200; here at most 20 and no
more than a class usually has examples, as labels are few.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

MOST, TEMPERATURE = 20, 0.07


def knn_classes(known: Tensor, classes: Tensor, asked: Tensor) -> Tensor:
    """The class of each embedding of `asked` (queries, width), (queries,) int64.

    Args:
        known: embeddings (examples, width) whose classes are known.
        classes: (examples,) int64, from 0 on.
    """
    number = int(classes.max()) + 1
    count = max(1, min(MOST, len(known) // number))
    similarity = functional.normalize(asked.float(), dim=1) @ functional.normalize(known.float(), dim=1).T
    nearest, rows = similarity.topk(count, dim=1)
    votes = torch.zeros(len(asked), number).scatter_add_(1, classes[rows], ((nearest - 1) / TEMPERATURE).exp())
    return votes.argmax(dim=1)
