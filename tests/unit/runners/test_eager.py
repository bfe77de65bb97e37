from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import timm
import torch
from torch import nn

from headstart.contracts.carriers import State
from headstart.runners.autocast import Autocast
from headstart.runners.eager import Eager


class Whole(nn.Module):
    """A model as a segment that also hands on context and taps."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, state: State) -> State:
        hidden = self.inner(state.hidden)
        return State(hidden, state.context, {"end.pooled": hidden.mean(dim=1)})


@pytest.mark.slow
def test_equals_the_plain_module_with_channels_innermost() -> None:
    torch.manual_seed(0)
    for name in ("resnet18", "mobilenetv3_small_050", "convnext_atto", "vit_tiny_patch16_224"):
        module = timm.create_model(name, pretrained=False).eval()
        state = State(torch.randn(2, 3, 224, 224), {"size": torch.tensor([1, 2])})
        with torch.no_grad():
            expected = module(state.hidden)
        result = Eager().start(Whole(module), state, torch.device("cpu"))(state)
        scale = float(expected.abs().max())
        torch.testing.assert_close(result.hidden / scale, expected / scale, atol=1e-5, rtol=0)
        assert result.context["size"].tolist() == [1, 2]
        assert result.taps.keys() == {"end.pooled"}


def test_runs_in_evaluation_mode_without_gradients_and_leaves_statistics() -> None:
    module = Whole(nn.Sequential(nn.BatchNorm1d(4), nn.Dropout(0.9), nn.Linear(4, 2))).train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    state = State(torch.randn(8, 4))
    execute = Eager().start(module, state, torch.device("cpu"))
    first, second = execute(state), execute(state)
    assert torch.equal(first.hidden, second.hidden)
    assert not first.hidden.requires_grad
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())


def test_token_numbers_keep_their_type() -> None:
    numbers = torch.randint(0, 9, (2, 3, 4, 5))
    assert Eager().start(Whole(nn.Embedding(9, 4)), State(numbers), torch.device("cpu"))(
        State(numbers)
    ).hidden.shape == (
        2,
        3,
        4,
        5,
        4,
    )


def test_its_precision_is_full() -> None:
    assert Eager().precision == "float32"


@pytest.mark.parametrize("kind", [Eager, Autocast])
@pytest.mark.parametrize("has, tried", [(1, [0]), (2, [1, 0]), (16, [4, 0])])
def test_batches_side_by_side_are_tried_before_all_threads_for_one(
    kind: Any, has: int, tried: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: has)
    variants = kind.variants(torch.device("cpu"))
    assert [one.threads for one in variants] == (tried if variants else []), "none without bfloat16"


@pytest.mark.parametrize("cores, threads, at_once", [(2, 0, 1), (2, 1, 2), (2, 8, 1), (64, 1, 4), (16, 4, 4)])
def test_as_many_batches_run_at_once_as_there_are_cores_for(
    cores: int, threads: int, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: range(cores), raising=False)
    state = State(torch.randn(8, 4))
    execute = Eager(threads=threads).start(Whole(nn.Linear(4, 2)), state, torch.device("cpu"))
    assert execute.at_once == at_once


def test_each_batch_has_its_number_of_threads_and_the_caller_keeps_its_own() -> None:
    seen: list[int] = []

    class Counting(nn.Module):
        def forward(self, hidden: torch.Tensor) -> torch.Tensor:
            seen.append(torch.get_num_threads())
            return hidden

    before, state = torch.get_num_threads(), State(torch.randn(8, 4))
    torch.set_num_threads(3)
    try:
        execute = Eager(threads=2).start(Whole(Counting()), state, torch.device("cpu"))
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(execute, [state] * 4))
        execute(state)
        assert seen == [2] * 5 and torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
