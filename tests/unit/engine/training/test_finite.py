from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from headstart.engine.training.finite import unsound_gradient, watched


class Breaks(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.log(x - x - 1)


class SteepAtZero(nn.Module):
    """Finite forwards, and backwards infinity times zero."""

    def forward(self, x: Tensor) -> Tensor:
        return (x - x).sqrt()


@pytest.fixture
def ones() -> Iterator[Tensor]:
    torch.manual_seed(0)
    yield torch.ones(3, 2)


def test_the_first_layer_with_a_bad_output_is_named(ones: Tensor) -> None:
    network = nn.Sequential(nn.Linear(2, 2), Breaks(), nn.Linear(2, 2))
    with watched(dict(network.named_modules())) as watch:
        network(ones)
    assert watch.forward == "1"


def test_a_bad_input_is_not_blamed_on_a_layer(ones: Tensor) -> None:
    network = nn.Sequential(nn.Linear(2, 2))
    with watched(dict(network.named_modules())) as watch:
        network(ones * torch.nan)
    assert not watch.forward


def test_the_first_bad_gradient_going_backwards_is_that_of_the_output_before_the_steep_layer(ones: Tensor) -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2), SteepAtZero(), nn.Linear(2, 2))
    with watched(dict(network.named_modules())) as watch:
        network(ones).sum().backward()
    assert (watch.forward, watch.backward) == ("", "1")


def test_layers_that_change_their_input_in_place_are_watched_too(ones: Tensor) -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.ReLU(inplace=True), nn.Linear(2, 2))
    with watched(dict(network.named_modules())) as watch:
        network(ones).sum().backward()
    assert (watch.forward, watch.backward) == ("", "")


def test_the_last_parameter_with_a_bad_gradient_is_named() -> None:
    parameters = {name: nn.Parameter(torch.ones(2)) for name in ("first", "second", "third")}
    for parameter in parameters.values():
        parameter.grad = torch.ones(2)
    assert unsound_gradient(parameters) == ""
    for name in ("first", "second"):
        parameters[name].grad = torch.full((2,), torch.inf)
    assert unsound_gradient(parameters) == "second"


def test_no_hook_is_left_behind(ones: Tensor) -> None:
    layer = nn.Linear(2, 2)
    with watched({"layer": layer}):
        layer(ones)
    assert not layer._forward_hooks
