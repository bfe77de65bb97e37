"""Kinds of targets without a place in the input."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from headstart.contracts.target_kinds import CLASS_IDS, TOKEN_IDS
from headstart.contracts.targets import PADDED_TARGET


def sequences(*lengths: int, kind: type = np.int64) -> np.ndarray:
    column = np.empty(len(lengths), dtype=object)
    for at, length in enumerate(lengths):
        column[at] = np.arange(length, dtype=kind)
    return column


def test_token_ids_are_padded_and_an_input_may_have_none() -> None:
    batch = TOKEN_IDS.collated(sequences(3, 0, 1))
    expected = [[0, 1, 2], [PADDED_TARGET] * 3, [0, PADDED_TARGET, PADDED_TARGET]]
    assert batch.tolist() == expected and batch.dtype == torch.int64
    assert TOKEN_IDS.collated(sequences(2, 2)).shape == (2, 2) and TOKEN_IDS.collated(sequences(0, 0)).shape == (2, 0)


def test_token_ids_are_known_by_their_content_and_stay_under_augmentations() -> None:
    assert TOKEN_IDS.identity(sequences(2, 0)) == [[0, 1], []]
    assert TOKEN_IDS.movable(object()) and not TOKEN_IDS.placed and not TOKEN_IDS.additive
    batch = TOKEN_IDS.collated(sequences(2, 1))
    assert TOKEN_IDS.moved(batch, object(), [1, 2], ()) is batch


def test_other_numbers_are_no_token_ids() -> None:
    with pytest.raises(TypeError, match="token ids of a batch must be whole numbers"):
        TOKEN_IDS.collated(sequences(2, 1, kind=np.float64))
    with pytest.raises(TypeError, match="class ids of a batch"):
        CLASS_IDS.collated(sequences(2, 1))
