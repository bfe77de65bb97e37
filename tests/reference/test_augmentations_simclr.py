"""The colours and the blur of SimCLR's views against torchvision's arithmetic, one operation at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as vision

from headstart.augmentations._draws import uniform
from headstart.augmentations.blur import Blur
from headstart.augmentations.colour import Colour
from headstart.augmentations.simclr import SimCLRViews
from headstart.contracts.carriers import State
from headstart.contracts.inputs import Pixels
from headstart.kernel.errors import SettingsError

PIXELS = Pixels(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
MEAN, STD = (torch.tensor(values).view(-1, 1, 1) for values in (PIXELS.mean, PIXELS.std))
NOTHING = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0, "share": 1.0, "grey": 0.0}
SEEDS = [11, 12, 13]


def values(side: int = 16) -> Tensor:
    """(3, 3, side, side) in [0.3, 0.6], so that nothing is clamped."""
    return 0.3 + 0.3 * torch.rand(3, 3, side, side, generator=torch.Generator().manual_seed(0))


def changed(**settings: float) -> Tensor:
    """The values after `Colour` with these settings."""
    view = Colour(**{**NOTHING, **settings}).bind(PIXELS, 100).view
    return view(State((values() - MEAN) / STD), SEEDS).hidden * STD + MEAN


@pytest.mark.parametrize(
    ("name", "place", "operation"),
    [
        ("brightness", 0, vision.adjust_brightness),
        ("contrast", 1, vision.adjust_contrast),
        ("saturation", 2, vision.adjust_saturation),
    ],
)
def test_each_change_is_torchvisions_by_the_drawn_factor(name: str, place: int, operation: object) -> None:
    factors = 1 + 0.4 * (2 * uniform(SEEDS, 8)[:, place] - 1)
    expected = torch.stack([operation(one, float(f)) for one, f in zip(values(), factors)])  # type: ignore[operator]
    torch.testing.assert_close(changed(**{name: 0.4}), expected, rtol=0, atol=2e-3)


def test_a_lost_colour_leaves_torchvisions_grey() -> None:
    expected = vision.rgb_to_grayscale(values(), num_output_channels=3)
    torch.testing.assert_close(changed(grey=1.0), expected, rtol=0, atol=2e-3)


def test_a_turn_of_the_hue_keeps_the_luma_and_changes_the_colours() -> None:
    found, grey = changed(hue=0.5), vision.rgb_to_grayscale(values())
    torch.testing.assert_close(vision.rgb_to_grayscale(found), grey, rtol=0, atol=2e-3)
    assert (found - values()).abs().amax() > 0.05


def test_solarising_inverts_what_is_above_one_half() -> None:
    expected = vision.solarize(values(), 0.5)
    torch.testing.assert_close(changed(solarise=1.0), expected, rtol=0, atol=1e-5)


def test_values_stay_within_what_a_picture_can_have() -> None:
    view = Colour(brightness=1.0, contrast=1.0).bind(PIXELS, 100).view
    extreme = torch.tensor([0.0, 1.0]).repeat(3, 3, 4, 2)
    found = view(State((extreme - MEAN) / STD), SEEDS).hidden * STD + MEAN
    assert found.min() >= -1e-5 and found.max() <= 1 + 1e-5


def test_the_blur_is_torchvisions_of_the_drawn_width() -> None:
    images = torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    blur = Blur(sigma=(1 / 64, 2 / 64), share=1.0)
    sigma = 1 + uniform(SEEDS, 2)[:, 0]
    reach = int(np.ceil(2.5 * sigma.max()))
    size = [2 * reach + 1, 2 * reach + 1]
    expected = torch.stack([vision.gaussian_blur(one, size, [float(s), float(s)]) for one, s in zip(images, sigma)])
    torch.testing.assert_close(blur.view(State(images), SEEDS).hidden, expected, rtol=0, atol=1e-5)


def test_small_pictures_are_blurred_by_less_than_a_pixel() -> None:
    point = torch.zeros(200, 1, 9, 9)
    point[:, :, 4, 4] = 1.0
    found = Blur(share=1.0).view(State(point), list(range(200))).hidden
    middle = found[:, 0, 4, 4]
    assert middle.min() > 0.3 and 0.2 < (middle == 1).float().mean() < 0.7


def test_draws_are_even_and_each_examples_own() -> None:
    drawn = uniform(range(20_000), 4)
    assert drawn.min() >= 0 and drawn.max() < 1
    assert np.abs(drawn.mean(axis=0) - 0.5).max() < 0.01 and np.abs(drawn.var(axis=0) - 1 / 12).max() < 0.002
    assert np.abs(np.corrcoef(drawn.T) - np.eye(4)).max() < 0.03
    assert (uniform([7, 3], 4)[1] == uniform([3], 4)[0]).all()


def test_the_views_of_an_example_do_not_depend_on_its_batch() -> None:
    views = SimCLRViews().bind(PIXELS, 100)
    images = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    whole = views.view(State(images), [5, 6, 7, 8]).hidden
    alone = views.view(State(images[2:3]), [7]).hidden
    torch.testing.assert_close(whole[2:3], alone)


def test_it_stands_for_what_its_settings_say() -> None:
    assert str(SimCLRViews().bind(PIXELS, 100)).count(" + ") == 3
    assert "flip" not in str(SimCLRViews(flip=False).bind(PIXELS, 100))
    with pytest.raises(SettingsError, match="what range its pixels have"):
        SimCLRViews().bind(None, 100)
