"""Colours changed at random: brightness, contrast, saturation and hue, and sometimes none left (Chen et al. 2020).

In torchvision's arithmetic with the factors b, c, s drawn from [1 - strength, 1 + strength]: b x, then c x + (1 - c) m,
m the picture's mean of grey, then s x + (1 - s) grey(x); hue is a turn about the grey axis. Without clamping in between
each of them is linear, so that all are one 3 x 3 matrix and an offset per picture, and a batch is one product.

Different from the paper: that order always, hue by a turn in YIQ (which keeps the luma) in place of HSV's, and values
are clamped once, at the end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Self

import numpy as np
import torch
from pydantic import Field

from headstart.augmentations._draws import uniform
from headstart.contracts.augmentation import InputViews
from headstart.contracts.carriers import State
from headstart.contracts.inputs import InputKind, Pixels
from headstart.kernel.errors import SettingsError

LUMA = np.array([0.299, 0.587, 0.114])
"""Shares of red, green and blue in grey (ITU-R BT.601)."""

TO_YIQ = np.array([LUMA, [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
FROM_YIQ = np.linalg.inv(TO_YIQ)


class Colour(InputViews):
    """Random brightness, contrast, saturation, hue and grey."""

    modalities: ClassVar[tuple[str, ...]] = ("image",)
    moves: ClassVar[bool] = False

    brightness: float = Field(default=0.4, ge=0, le=1)
    """Greatest relative change of brightness; in [0, 1]."""
    contrast: float = Field(default=0.4, ge=0, le=1)
    """Greatest relative change of contrast; in [0, 1]."""
    saturation: float = Field(default=0.4, ge=0, le=1)
    """Greatest relative change of saturation; in [0, 1]."""
    hue: float = Field(default=0.1, ge=0, le=0.5)
    """Greatest turn of the hue, as a share of the whole circle; in [0, 0.5]."""
    share: float = Field(default=0.8, ge=0, le=1)
    """Share of the views in which these four are changed; in [0, 1]."""
    grey: float = Field(default=0.2, ge=0, le=1)
    """Share of the views that lose their colours; in [0, 1]."""
    solarise: float = Field(default=0.0, ge=0, le=1)
    """Share of the views in which values above one half are inverted; in [0, 1]."""
    pixels: Pixels | None = None
    """Mean and standard deviation of the normalised values; the backbone says them."""

    def bind(self, inputs: InputKind | None, examples: int) -> Self:  # noqa: ARG002
        """Learn the range of the pixels. Raises SettingsError where there are no three colours."""
        if isinstance(inputs, Pixels) and len(inputs.mean) != 3:
            raise SettingsError(
                f"augmentation 'colour' changes colours, and the backbone reads {len(inputs.mean)} channels, not "
                "three. Use affine or crop, which act on any picture."
            )
        if not isinstance(inputs, Pixels):
            raise SettingsError(
                "augmentation 'colour' changes colours, and the backbone does not say what range its pixels have."
                " Use affine or crop, which act on any picture."
            )
        return self.model_copy(update={"pixels": inputs})

    def view(self, state: State, seeds: Sequence[int]) -> State:
        """`state.hidden` (batch, 3, height, width), normalised. Raises SettingsError where it was not bound."""
        if self.pixels is None:
            raise SettingsError("augmentation 'colour' must be bound to a backbone's inputs first: call bind")
        hidden, draws = state.hidden, uniform(seeds, 8)
        mean, std = (torch.tensor(values).to(hidden) for values in (self.pixels.mean, self.pixels.std))
        matrix, pull = (torch.from_numpy(values).to(hidden) for values in self._matrices(draws))
        # of values v = std x + mean: the picture's grey m, then M v + pull m, clamped; and back again
        grey = (hidden.mean(dim=(2, 3)) * std + mean) @ torch.from_numpy(LUMA).to(hidden)
        slope = matrix * std
        offset = matrix @ mean + pull * grey[:, None]
        values = torch.baddbmm(offset[:, :, None], slope, hidden.flatten(2)).clamp_(0, 1)
        inverted = torch.from_numpy(draws[:, 7] < self.solarise).to(hidden.device)
        if inverted.any():
            some = values[inverted]
            values[inverted] = torch.where(some >= 0.5, 1 - some, some)
        changed = values.sub_(mean[:, None]).div_(std[:, None]).view(hidden.shape)
        return State(changed, state.context, state.taps)

    def _matrices(self, draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the colour matrices of each view, (views, 3, 3), and the picture's mean of grey, (views, 3)."""
        spread = np.array([self.brightness, self.contrast, self.saturation, 2 * math.pi * self.hue])
        change = spread * (2 * draws[:, :4] - 1) * (draws[:, 4:5] < self.share)
        bright, contrast, saturation = (1 + change[:, :3]).T
        identity, grey = np.eye(3), np.tile(LUMA, (3, 1))
        colours = saturation[:, None, None] * identity + (1 - saturation)[:, None, None] * grey
        colours = FROM_YIQ @ _turns(change[:, 3]) @ TO_YIQ @ colours
        colours = np.where((draws[:, 5] < self.grey)[:, None, None], grey @ colours, colours)
        # a grey value stays what it is through saturation, hue and loss of colours
        pull = np.repeat(((1 - contrast) * bright)[:, None], 3, axis=1)
        return colours * (contrast * bright)[:, None, None], pull


def _turns(angles: np.ndarray) -> np.ndarray:
    """(views, 3, 3): the plane of chroma turned."""
    cosine, sine = np.cos(angles), np.sin(angles)
    turns = np.zeros((len(angles), 3, 3))
    turns[:, 0, 0] = 1
    turns[:, 1, 1], turns[:, 1, 2], turns[:, 2, 1], turns[:, 2, 2] = cosine, -sine, sine, cosine
    return turns
