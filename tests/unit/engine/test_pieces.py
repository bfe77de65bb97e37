from __future__ import annotations

import pytest
import torch

from headstart.contracts.carriers import State
from headstart.engine.pieces import in_pieces, joined


@pytest.mark.parametrize(("count", "sizes"), [(1, [5]), (2, [2, 3]), (3, [1, 2, 2]), (9, [1, 1, 1, 1, 1])])
def test_pieces_are_about_equally_large_and_join_to_the_whole(count: int, sizes: list[int]) -> None:
    whole = State(torch.arange(10.0).reshape(5, 2), {"mask": torch.arange(5)}, {"a.pooled": torch.rand(5, 3)})
    pieces = in_pieces(whole, count)
    assert [len(piece.hidden) for piece in pieces] == sizes
    found = joined(pieces).tensors()
    assert found.keys() == whole.tensors().keys()
    assert all(torch.equal(found[name], value) for name, value in whole.tensors().items())
