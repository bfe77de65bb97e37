"""Masked tokens and SimCSE on a tiny BERT against Devlin et al. 2019 and Gao et al. 2021 written out longhand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from headstart.backbones.hf_text import HfText
from headstart.contracts.backbone import Backbone
from headstart.contracts.carriers import Batch, State
from headstart.contracts.features import Features
from headstart.contracts.objective import TARGET, Step
from headstart.kernel.errors import SettingsError, TrainingError
from headstart.objectives.masked_tokens import MaskedTokens, chosen_tokens
from headstart.objectives.simcse import SimCSE, recognition
from tiny_text_models import SENTENCES, save_tiny
from two_views import step_of


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def bert(folder: Path) -> Backbone:
    """In float64, in evaluation mode."""
    backbone = HfText(reference=str(save_tiny(folder / "bert", "bert", num_hidden_layers=2))).load()
    backbone.module.double().eval()
    return backbone


def step_on(backbone: Backbone, objective: Any, texts: list[str], seed: int = 0) -> Step:
    torch.manual_seed(0)
    batch = Batch(backbone.prepare(texts), {}, torch.arange(len(texts)))
    additions = nn.ModuleDict(dict(objective.additions(backbone))).double()
    return step_of({TARGET: batch}, backbone, additions, seed=seed)


def seen_by(step: Step) -> tuple[list[State], Step]:
    """The step, and the list that its features' inputs will be put into."""
    states: list[State] = []
    run: Callable[[Batch], Features] = step.features

    def features(batch: Batch) -> Features:
        states.append(batch.state)
        return run(batch)

    object.__setattr__(step, "features", features)
    return states, step


def test_words_are_guessed_as_in_the_longhand_version(bert: Backbone) -> None:
    objective = MaskedTokens(rate=0.4, masked=0.9, swapped=0.0)
    states, step = seen_by(step_on(bert, objective, SENTENCES, seed=3))
    found = objective.losses(step)["words"]
    ids, shown = step.batches[TARGET].state.hidden, states[0].hidden
    decoder, mask = step.additions["decoder"], bert.input_kind().mask  # type: ignore[union-attr]
    hidden = bert.module(input_ids=shown, attention_mask=states[0].context["attention_mask"])[0]
    words = bert.module.embeddings.word_embeddings.weight
    losses = []
    _, chosen = objective.hide(step, step.batches[TARGET])
    for row, place in chosen.nonzero().tolist():
        vector = decoder.transform[0].weight @ hidden[row, place] + decoder.transform[0].bias
        vector = vector * 0.5 * (1 + torch.erf(vector / 2**0.5))
        spread = ((vector - vector.mean()).square().mean() + decoder.transform[2].eps) ** 0.5
        vector = (vector - vector.mean()) / spread * decoder.transform[2].weight + decoder.transform[2].bias
        scores = torch.stack([word @ vector + bias for word, bias in zip(words, decoder.bias)])
        losses.append(torch.logsumexp(scores, 0) - scores[ids[row, place]])
    assert bool((shown[chosen] == mask).any()) and bool((shown[~chosen] == ids[~chosen]).all())
    expected = torch.stack(losses).mean()
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=0)
    moved = [p for p in (*bert.module.parameters(), *decoder.parameters()) if p.requires_grad]
    gradients = [torch.autograd.grad(loss, moved, allow_unused=True) for loss in (expected, found)]
    for one, other in zip(*gradients):
        assert (one is None) == (other is None)
        if one is not None:
            torch.testing.assert_close(other, one, rtol=1e-7, atol=1e-10)


def test_neither_special_tokens_nor_padding_are_hidden_and_the_shares_are_kept(bert: Backbone) -> None:
    objective = MaskedTokens()
    step = step_on(bert, objective, SENTENCES * 200, seed=1)
    state, kind = step.batches[TARGET].state, bert.input_kind()
    hidden, chosen = objective.hide(step, step.batches[TARGET])
    special = torch.isin(state.hidden, torch.tensor(kind.special))  # type: ignore[union-attr]
    real = state.context["attention_mask"] == 1
    assert not bool((chosen & (special | ~real)).any())
    assert bool((hidden.hidden[~chosen] == state.hidden[~chosen]).all())
    masked = (hidden.hidden[chosen] == kind.mask).double().mean()  # type: ignore[union-attr]
    kept = (hidden.hidden[chosen] == state.hidden[chosen]).double().mean()
    assert abs(masked - 0.8) < 0.02 and abs(kept - 0.1) < 0.02
    assert abs(chosen.sum() / (real & ~special).sum() - 0.15) < 0.02
    assert not bool(torch.isin(hidden.hidden[chosen & (hidden.hidden != kind.mask)], torch.tensor(kind.special)).any())  # type: ignore[union-attr]


def test_what_is_hidden_is_a_function_of_seed_and_rows(bert: Backbone) -> None:
    objective = MaskedTokens()
    step, again, other = (step_on(bert, objective, SENTENCES, seed) for seed in (1, 1, 2))
    found = [objective.hide(one, one.batches[TARGET])[1] for one in (step, again, other)]
    assert torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])


def test_every_text_with_a_word_has_one_chosen() -> None:
    readable = np.array([[True, False, False], [True, True, True], [False, False, False]])
    chosen = chosen_tokens(readable, 0.01, np.random.default_rng(0).random((3, 4)))
    assert chosen.sum(axis=1).tolist() == [1, 1, 0]


def test_texts_without_words_cost_nothing(bert: Backbone) -> None:
    objective = MaskedTokens()
    loss = objective.losses(step_on(bert, objective, ["", ""]))["words"]
    assert loss.item() == 0 and loss.requires_grad


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_a_model_that_reads_from_left_to_right_is_refused(folder: Path, family: str) -> None:
    backbone = HfText(reference=str(save_tiny(folder / family, family))).load()
    with pytest.raises(SettingsError, match="reads from left to right"):
        MaskedTokens().check(backbone)


@pytest.mark.parametrize("family", ["roberta", "distilbert", "electra", "mpnet", "modernbert"])
def test_encoders_learn_by_their_own_embedding(folder: Path, family: str) -> None:
    backbone = HfText(reference=str(save_tiny(folder / family, family))).load()
    objective = MaskedTokens()
    objective.check(backbone)
    step = step_on(backbone, objective, SENTENCES)
    step.additions.float()
    objective.losses(step)["words"].backward()
    embedding = backbone.module.get_submodule(step.additions["decoder"].name)
    rare = ~torch.isin(torch.arange(embedding.num_embeddings), step.batches[TARGET].state.hidden)
    assert bool((embedding.weight.grad[rare].abs().sum(dim=1) > 0).any()), "the embedding does not decode"


def longhand(one: Tensor, other: Tensor, temperature: float) -> Tensor:
    """The SimCSE loss, pair by pair."""
    losses = []
    for i in range(len(one)):
        similar = [
            (one[i] @ other[j]) / (one[i] @ one[i]).sqrt() / (other[j] @ other[j]).sqrt() for j in range(len(one))
        ]
        scores = [(value / temperature).exp() for value in similar]
        losses.append(-torch.log(scores[i] / sum(scores)))
    return torch.stack(losses).mean()


def test_recognition_and_its_gradients_are_those_of_the_formula() -> None:
    torch.manual_seed(0)
    one, other = (torch.randn(5, 4, dtype=torch.float64, requires_grad=True) for _ in range(2))
    expected, found = longhand(one, other, 0.3), recognition(one, other, 0.3)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)
    gradients = torch.autograd.grad(expected, [one, other])
    torch.testing.assert_close(torch.autograd.grad(found, [one, other]), gradients, rtol=1e-9, atol=1e-12)


def test_two_passes_differ_by_dropout_alone_and_without_it_simcse_refuses(bert: Backbone) -> None:
    objective = SimCSE()
    step = step_on(bert, objective, SENTENCES)
    assert torch.isfinite(objective.losses(step)["texts"]), "at rest, as in validation, there is no dropout"
    bert.module.train()
    with_dropout = objective.losses(step)["texts"]
    for module in bert.module.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    try:
        assert torch.isfinite(with_dropout)
        with pytest.raises(TrainingError, match=r"has none\. Use --set training\.dropout=0\.1"):
            objective.losses(step)
    finally:
        bert.module.eval()
