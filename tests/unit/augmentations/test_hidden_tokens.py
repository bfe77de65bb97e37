"""Texts: what may be hidden, what never is, and how much of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from headstart.augmentations.span_mask import SpanMask
from headstart.augmentations.token_dropout import TokenDropout
from headstart.contracts.carriers import LENGTH_MASK, State
from headstart.contracts.inputs import Pixels, Tokens
from headstart.kernel import registry
from headstart.kernel.errors import SettingsError
from headstart.kernel.user_settings import build
from tiny_text_models import save_tiny

TOKENS = Tokens(mask=4, special=(0, 1, 2, 4))
KINDS = [TokenDropout, SpanMask]
every_kind = pytest.mark.parametrize("kind", KINDS, ids=["token_dropout", "span_mask"])


def texts(lengths: list[int]) -> State:
    """<s> words </s>, padded with 1."""
    ids = torch.full((len(lengths), max(lengths) + 2), 1)
    for row, length in zip(ids, lengths):
        row[: length + 2] = torch.tensor([0, *range(10, 10 + length), 2])
    return State(ids, {LENGTH_MASK: (ids != 1).long(), "places": torch.zeros(*ids.shape, 2, dtype=torch.int64)})


@every_kind
@pytest.mark.parametrize("how", ["mask", "hide"])
def test_special_tokens_stay_and_nothing_moves(kind: Any, how: str) -> None:
    state = texts([40, 3, 0, 1])
    augmentation = kind(rate=0.5, how=how).bind(TOKENS, 10)
    for shift in range(20):
        view = augmentation.view(state, [shift, shift + 1, shift + 2, shift + 3])
        ends = state.hidden < 3
        assert torch.equal(view.hidden[ends], state.hidden[ends])
        assert torch.equal(view.context[LENGTH_MASK][ends], state.context[LENGTH_MASK][ends])
        assert torch.equal(view.context["places"], state.context["places"])
        hidden = (view.hidden == 4) | (view.context[LENGTH_MASK] != state.context[LENGTH_MASK])
        untouched = ~hidden
        assert torch.equal(view.hidden[untouched], state.hidden[untouched])
        assert bool((hidden.sum(1) < torch.tensor([40, 3, 1, 1])).all()), "something must stay to be read"


@every_kind
def test_the_rate_is_kept_on_average_also_in_short_texts(kind: Any) -> None:
    state = texts([7] * 400)
    view = kind(rate=0.25).bind(TOKENS, 10).view(state, range(400))
    assert float((view.hidden == 4).sum()) / (7 * 400) == pytest.approx(0.25, abs=0.02)


def test_spans_are_runs_of_geometric_length() -> None:
    state = texts([400] * 30)
    view = SpanMask(rate=0.1, stop=0.25, longest=6).bind(TOKENS, 10).view(state, range(30))
    changes = np.diff((view.hidden == 4).int().numpy(), axis=1, prepend=0, append=0)
    runs = np.concatenate([np.flatnonzero(row == -1) - np.flatnonzero(row == 1) for row in changes])
    single = TokenDropout(rate=0.1).bind(TOKENS, 10).view(state, range(30)).hidden == 4
    dropped = np.diff(single.int().numpy(), axis=1, prepend=0, append=0)
    assert 2.5 < runs.mean() < 4.5
    assert float(single.sum()) / (dropped == 1).sum() < 1.3


@every_kind
def test_without_a_mask_token_it_says_what_to_do(kind: Any) -> None:
    with pytest.raises(SettingsError, match=r"neither a mask token nor an unknown token\. Use --set augmentation"):
        kind().bind(Tokens(special=(0,)), 10)
    kind(how="hide").bind(Tokens(special=(0,)), 10)
    with pytest.raises(SettingsError, match="does not declare its tokens"):
        kind().bind(Pixels(mean=(0.5,), std=(0.5,)), 10)
    with pytest.raises(SettingsError, match="must be bound"):
        kind().view(texts([3]), [1])


@pytest.mark.parametrize(("family", "mask"), [("bert", "<mask>"), ("gpt2", "<unk>")])
def test_backbones_say_which_tokens_they_have(family: str, mask: str, tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / family, family)
    backbone = build(registry.plugin("backbones", "hf_text"), {"reference": str(folder)}, where="backbone").load()
    kind = backbone.input_kind()
    assert isinstance(kind, Tokens)
    assert kind.mask == {"<mask>": 4, "<unk>": 3}[mask]
    state = backbone.prepare(["The cat sat on the mat and looked at the rain.", "Why?"])
    view = TokenDropout(rate=0.5).bind(kind, 10).view(state, [1, 2])
    special = torch.isin(state.hidden, torch.tensor(kind.special))
    assert torch.equal(view.hidden[special], state.hidden[special])
    assert not torch.equal(view.hidden, state.hidden)
    assert torch.isfinite(backbone.segment(0, len(backbone.stages))(view).hidden).all()
