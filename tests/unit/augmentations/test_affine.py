from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from headstart.augmentations.affine import Affine
from headstart.contracts.carriers import State


def test_without_movement_the_image_stays_as_it_is() -> None:
    images = torch.rand(3, 3, 9, 7)
    view = Affine(shift=0, zoom=0, rotation=0).view(State(images), [1, 2, 3])
    torch.testing.assert_close(view.hidden, images, atol=1e-5, rtol=0)


def test_a_pure_shift_moves_by_whole_pixels_where_it_should() -> None:
    image = torch.zeros(1, 1, 21, 21)
    image[0, 0, 10, 10] = 1
    moved = Affine(shift=0.2, zoom=0, rotation=0).view(State(image), [5]).hidden[0, 0]
    assert moved.sum() == pytest.approx(1.0, abs=1e-4)
    y, x = divmod(int(moved.argmax()), 21)
    assert (y, x) != (10, 10)
    assert abs(y - 10) <= 5
    assert abs(x - 10) <= 5


def test_equal_seeds_give_equal_views() -> None:
    images = torch.rand(1, 3, 8, 8).repeat(2, 1, 1, 1)
    same = Affine().view(State(images), [7, 7]).hidden
    other = Affine().view(State(images), [7, 8]).hidden
    assert torch.equal(same[0], same[1])
    assert not torch.allclose(other[0], other[1])


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ValidationError):
        Affine(zoom=1.5)
