"""The network on columns: how far a column may reach, and runs from before there was such a limit."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from headstart.backbones.table_mlp import TableMlp
from headstart.contracts.backbone import Backbone


def of_first_layer(backbone: Backbone, rows: Tensor) -> Tensor:
    """What the first layer of weights is given, the columns' scale being that of these rows."""
    scale = backbone.module.get_submodule("0.0")
    scale.running_mean, scale.running_var = rows.mean(dim=0), rows.var(dim=0, correction=0)
    return scale.eval()(rows)


def test_what_lies_far_out_is_drawn_in_and_the_rest_hardly_moves() -> None:
    rows = torch.randn(1000, 2, generator=torch.Generator().manual_seed(0))
    rows[0, 0] = 1e5
    plain, drawn_in = (of_first_layer(TableMlp(columns=2, clip=clip).load(), rows) for clip in (0.0, 3.0))
    assert plain[0, 0] > 30 and 2.9 < drawn_in[0, 0] < 3.0
    torch.testing.assert_close(drawn_in, plain / (1 + (plain / 3) ** 2) ** 0.5)
    near = plain.abs() < 0.5
    torch.testing.assert_close(drawn_in[near], plain[near], rtol=0.02, atol=1e-4)


def test_a_run_from_before_the_limit_has_none() -> None:
    rows = torch.randn(50, 2) * 100
    known = TableMlp(columns=2).load().describe()["settings"]
    old = {name: value for name, value in known.items() if name != "clip"}
    assert known["clip"] == 3.0
    for settings, most in ((known, 3.0), (old, 100.0)):
        found = of_first_layer(TableMlp(**settings).rebuild(Path()), torch.cat([rows, torch.full((1, 2), 1e7)]))
        assert (found.abs().max() < 3.0) == (most == 3.0)
        again = TableMlp(**settings).rebuild(Path()).describe()["settings"]
        assert again["clip"] == (3.0 if most == 3.0 else 0.0)
