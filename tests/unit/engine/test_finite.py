from __future__ import annotations

import torch
from torch import Tensor, nn

from headstart.engine.finite import first_bad_layer


class Breaks(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.log(x - x - 1)


def test_the_first_layer_with_a_bad_output_is_named() -> None:
    network = nn.Sequential(nn.Linear(2, 2), Breaks(), nn.Linear(2, 2))
    named = dict(network.named_modules())
    assert first_bad_layer(named, lambda: network(torch.ones(3, 2))) == "1"


def test_a_bad_input_is_not_blamed_on_a_layer() -> None:
    network = nn.Sequential(nn.Linear(2, 2))
    answer = first_bad_layer(dict(network.named_modules()), lambda: network(torch.full((1, 2), torch.nan)))
    assert answer == "the loss itself or the input"


def test_no_hook_is_left_behind() -> None:
    layer = nn.Linear(2, 2)
    first_bad_layer({"layer": layer}, lambda: layer(torch.ones(1, 2)))
    assert not layer._forward_hooks
