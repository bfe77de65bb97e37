"""SASRec beside a longhand version: attention place by place, the loss term by term, scores by the last place."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from headstart.contracts.interactions import Domains
from headstart.recommenders._next_item import next_item_loss
from headstart.recommenders._self_attention import HistoryNetwork
from headstart.recommenders.sasrec import Sasrec

Weights = dict[str, np.ndarray]
SIZES = {"items": 7, "width": 6, "places": 5, "blocks": 2, "heads": 2, "dropout": 0.3}


def network() -> tuple[HistoryNetwork, Weights]:
    """A network at rest whose normalisations do something, in float64."""
    found = HistoryNetwork(SIZES, 3)
    module = found.module.double().eval()
    with torch.no_grad():
        for name, values in module.named_parameters():
            if "norm" in name or "before" in name:
                values.add_(torch.linspace(-0.2, 0.3, len(values)))
    return found, {name: values.numpy() for name, values in module.state_dict().items()}


def norm(x: np.ndarray, weights: Weights, name: str) -> np.ndarray:
    scaled = (x - x.mean()) / np.sqrt(x.var() + 1e-5)
    return np.asarray(scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"])


def longhand(history: list[int], weights: Weights) -> np.ndarray:
    """(places, width) of one history without padding."""
    x = [weights["items.weight"][item] * 6**0.5 + weights["places.weight"][n] for n, item in enumerate(history)]
    for block in ("blocks.0", "blocks.1"):
        looking = [
            weights[f"{block}.attention.looking.weight"] @ norm(one, weights, f"{block}.before_attention") for one in x
        ]
        for place in range(len(x)):
            seen = np.empty(6)
            for head in (slice(0, 3), slice(3, 6)):
                query = looking[place][:6][head]
                shares = np.exp([query @ looking[other][6:12][head] / 3**0.5 for other in range(place + 1)])
                values = [looking[other][12:][head] for other in range(place + 1)]
                seen[head] = sum(share * value for share, value in zip(shares / shares.sum(), values))
            x[place] = x[place] + seen
        for place, one in enumerate(x):
            hidden = weights[f"{block}.layers.0.weight"] @ norm(one, weights, f"{block}.before_layers")
            hidden = np.maximum(hidden + weights[f"{block}.layers.0.bias"], 0)
            x[place] = one + weights[f"{block}.layers.3.weight"] @ hidden + weights[f"{block}.layers.3.bias"]
    return np.stack([norm(one, weights, "norm") for one in x])


def test_each_place_attends_to_itself_and_earlier_ones_and_padding_changes_nothing() -> None:
    backbone, weights = network()
    histories = [[3, 1, 6, 0, 3], [2, 5]]
    state = backbone.prepare([np.array(one) for one in histories])
    features = backbone.features(backbone.segment(0, 1)(state))
    assert features.tokens is not None
    for row, history in enumerate(histories):
        wanted = longhand(history, weights)
        assert np.abs(features.tokens[row, : len(history)].detach().numpy() - wanted).max() < 1e-9
        assert np.abs(features.pooled[row].detach().numpy() - wanted[-1]).max() < 1e-9


@pytest.mark.parametrize("negatives", [4, 7, 50])
def test_the_loss_is_the_cross_entropy_of_the_next_item_among_the_negatives(negatives: int) -> None:
    draws = np.random.default_rng(0)
    vectors = torch.from_numpy(draws.normal(size=(9, 6))).requires_grad_()
    items = torch.from_numpy(draws.normal(size=(7, 6))).requires_grad_()
    following = torch.from_numpy(draws.integers(0, 7, 9))
    found = next_item_loss(vectors, items, following, negatives, torch.Generator().manual_seed(2))
    drawn = torch.randint(7, (negatives,), generator=torch.Generator().manual_seed(2)).tolist()
    every = list(range(7)) if negatives >= 7 else drawn
    wanted = []
    for place in range(9):
        own = int(following[place])
        scores = torch.stack([vectors[place] @ items[n] for n in [own, *(one for one in every if one != own)]])
        wanted.append(scores.exp().sum().log() - scores[0])
    assert torch.allclose(found, torch.stack(wanted))
    mine, theirs = (
        torch.autograd.grad(one.sum(), [vectors, items], retain_graph=True) for one in (found, torch.stack(wanted))
    )
    assert all(torch.allclose(a, b) for a, b in zip(mine, theirs))


def test_scores_are_products_with_the_last_place_of_a_history_in_its_order() -> None:
    backbone, weights = network()
    histories = [[4, 1, 2], [2, 1, 4], [6, 5, 4, 3, 2, 1, 0]]
    offsets = np.cumsum([0, *map(len, histories)])
    target = csr_array((np.ones(offsets[-1], np.float32), np.concatenate(histories), offsets), shape=(3, 7))
    scorer = Sasrec(**{n: v for n, v in SIZES.items() if n != "items"}).scorer(backbone, Domains(target))
    scores = scorer.scores(target, csr_array((3, 0), dtype=np.float32))
    wanted = [longhand(history[-5:], weights)[-1] @ weights["items.weight"].T for history in histories]
    assert np.abs(scores - np.stack(wanted)).max() < 1e-5


def test_every_step_of_a_history_is_learnt_once_and_of_a_held_out_one_only_what_came_later() -> None:
    def matrix(*rows: list[int]) -> csr_array:
        offsets = np.cumsum([0, *map(len, rows)])
        return csr_array(
            (np.ones(offsets[-1], np.float32), np.concatenate(rows).astype(int), offsets), shape=(len(rows), 9)
        )

    had = matrix([8, 0, 7, 1, 6, 2], [3], [5, 4])
    learnt = Sasrec(places=3).sequences(had)
    assert [one.tolist() for one in learnt.items] == [[7, 1, 6], [8, 0], [5]]
    assert [one.tolist() for one in learnt.following] == [[1, 6, 2], [0, 7], [4]]
    judged = Sasrec(places=3).sequences(had, matrix([3, 4], [0], []))
    assert [one.tolist() for one in judged.items] == [[6, 2, 3][:3], [3]]
    assert [one.tolist() for one in judged.following] == [[-100, 3, 4], [0]]
