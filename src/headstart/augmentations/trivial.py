"""TrivialAugment: one operation per picture, drawn from fourteen, at a strength drawn evenly (Mueller & Hutter 2021).

The operations are those of the paper's wide space, in torchvision's arithmetic: shears, shifts, turns, brightness,
colour, contrast, sharpness, posterising, solarising, automatic contrast, equalising, and nothing. Different from the
paper, shifts are a share of the side (32 pixels of 224), so that small pictures do not leave the frame, and `strength`
bounds all magnitudes. They act on pixels of 8 bits, so that normalised values are brought back to these first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, NamedTuple, Self

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torchvision.transforms.v2 import functional as vision

from headstart.contracts.augmentation import InputViews
from headstart.contracts.carriers import State
from headstart.contracts.inputs import InputKind, Pixels
from headstart.contracts.target_movement import Size
from headstart.contracts.targets import PADDED_TARGET
from headstart.kernel.errors import SettingsError

LEVELS = 30
"""Steps between no strength and the greatest."""

GEOMETRY = {"shear_x": 0.99, "shear_y": 0.99, "shift_x": 32 / 224, "shift_y": 32 / 224, "turn": 135.0}
"""Operation that moves pixels -> its greatest magnitude: a slope, a share of the side, degrees."""

COLOUR = (
    "identity",
    "brightness",
    "colour",
    "contrast",
    "sharpness",
    "posterise",
    "solarise",
    "autocontrast",
    "equalise",
)


class _Operation(NamedTuple):
    name: str
    level: float
    """In [0, 1]."""
    sign: int


class Trivial(InputViews):
    """One random operation on colours or geometry."""

    modalities: ClassVar[tuple[str, ...]] = ("image",)

    strength: float = Field(default=1.0, gt=0, le=1)
    """Greatest magnitude, as a share of the paper's wide space; in (0, 1]."""
    geometry: bool = True
    """Whether shears, shifts and turns (up to 135 degrees times `strength`) are among the operations."""
    pixels: Pixels | None = None
    """Mean and standard deviation of the normalised values; the backbone says them."""

    def bind(self, inputs: InputKind | None, examples: int) -> Self:  # noqa: ARG002
        """Learn the range of the pixels. Raises SettingsError where there are none."""
        if not isinstance(inputs, Pixels):
            raise SettingsError(
                "augmentation 'trivial' changes colours, and the backbone does not say what range its pixels have."
                " Use affine or crop, which act on any picture."
            )
        return self.model_copy(update={"pixels": inputs})

    def view(self, state: State, seeds: Sequence[int]) -> State:
        """`state.hidden` (batch, 3, height, width), normalised; outside a moved picture it is black.

        Raises:
            SettingsError: it was not bound to a backbone's inputs.
        """
        if self.pixels is None:
            raise SettingsError("augmentation 'trivial' must be bound to a backbone's inputs first: call bind")
        hidden = state.hidden
        mean, std = (torch.tensor(values).view(-1, 1, 1).to(hidden) for values in (self.pixels.mean, self.pixels.std))
        images = (hidden * std).add_(mean).mul_(255).round_().clamp_(0, 255).to(torch.uint8)
        changed = torch.stack([_changed(image, self._drawn(seed)) for image, seed in zip(images, seeds)])
        return State(changed.to(hidden).div_(255).sub_(mean).div_(std), state.context, state.taps)

    def move_maps(self, maps: Tensor, seeds: Sequence[int]) -> Tensor:
        """Maps (batch, height, width) by the same shears, shifts and turns; `PADDED_TARGET` outside of the picture."""
        exact = maps[:, None].double()  # whole numbers stay what they are
        operations = (self._drawn(seed) for seed in seeds)
        moved = [
            _moved(one, drawn, PADDED_TARGET) if drawn.name in GEOMETRY else one
            for one, drawn in zip(exact, operations)
        ]
        return torch.stack(moved)[:, 0].to(maps.dtype)

    def move_points(self, points: Tensor, seeds: Sequence[int], size: Size) -> Tensor:
        """Return points (batch, points, 2) by the same shears, shifts and turns."""
        height, width = size
        maps = [_matrix(self._drawn(seed), height, width) for seed in seeds]
        matrices = points.new_tensor(maps)
        return points @ matrices[:, :, :2].mT + matrices[:, None, :, 2]

    def _drawn(self, seed: int) -> _Operation:
        names = (*COLOUR, *GEOMETRY) if self.geometry else COLOUR
        which, level, minus = np.random.default_rng(seed).integers((len(names), LEVELS + 1, 2)).tolist()
        return _Operation(names[which], self.strength * level / LEVELS, 1 - 2 * minus)


def _changed(image: Tensor, drawn: _Operation) -> Tensor:
    """A picture (3, height, width) uint8 after the operation."""
    name, level = drawn.name, drawn.level
    factor = 1 + 0.99 * drawn.sign * level
    match name:
        case "brightness":
            return vision.adjust_brightness(image, factor)
        case "colour":
            return vision.adjust_saturation(image, factor)
        case "contrast":
            return vision.adjust_contrast(image, factor)
        case "sharpness":
            return _sharpened(image, factor)
        case "posterise":
            return vision.posterize(image, 8 - round(6 * level))
        case "solarise":
            bright = image >= math.ceil(255 * (1 - level))
            return image ^ bright.to(torch.uint8).mul_(255)
        case "autocontrast":
            return vision.autocontrast(image)
        case "equalise":
            return vision.equalize(image)
    return _moved(image, drawn, None) if name in GEOMETRY else image


def _sharpened(image: Tensor, factor: float) -> Tensor:
    """As torchvision's, its 3 x 3 convolution with ones around a five in sums along both axes: 4 ms less a picture."""
    sharp = image.float()
    rows = sharp[:, :-2] + sharp[:, 1:-1] + sharp[:, 2:]
    inner = sharp[:, 1:-1, 1:-1]
    smooth = rows[..., :-2].add(rows[..., 1:-1]).add_(rows[..., 2:]).add_(inner, alpha=4).div_(13).round_()
    inner.add_(smooth.sub_(inner), alpha=1 - factor)
    return sharp.clamp_(0, 255).to(torch.uint8)


def _shifted(image: Tensor, across: int, down: int, fill: float | None) -> Tensor:
    """A picture (channels, height, width) moved by whole pixels."""
    moved = torch.full_like(image, fill or 0)
    pairs = tuple(zip((down, across), image.shape[1:]))
    to = (slice(max(by, 0), size + min(by, 0)) for by, size in pairs)
    out_of = (slice(max(-by, 0), size + min(-by, 0)) for by, size in pairs)
    moved[:, *to] = image[:, *out_of]
    return moved


def _matrix(drawn: _Operation, height: int, width: int) -> list[list[float]]:
    """Where an operation moves the point (across, down) of a picture, in pixels: two rows of three."""
    magnitude = GEOMETRY.get(drawn.name, 0.0) * drawn.level * drawn.sign
    match drawn.name:
        case "shear_x":
            return [[1, -magnitude, 0], [0, 1, 0]]
        case "shear_y":
            return [[1, 0, 0], [-magnitude, 1, 0]]
        case "shift_x":
            return [[1, 0, int(magnitude * width)], [0, 1, 0]]
        case "shift_y":
            return [[1, 0, 0], [0, 1, int(magnitude * height)]]
        case "turn":
            cosine, sine = math.cos(math.radians(magnitude)), math.sin(math.radians(magnitude))
            x, y = width / 2, height / 2
            return [[cosine, sine, x - cosine * x - sine * y], [-sine, cosine, y + sine * x - cosine * y]]
    return [[1, 0, 0], [0, 1, 0]]


def _moved(image: Tensor, drawn: _Operation, fill: float | None) -> Tensor:
    """A picture (channels, height, width) sheared, shifted or turned, each pixel from the nearest one.

    `fill` is outside of the picture; black without it, in less time.
    """
    magnitude = GEOMETRY[drawn.name] * drawn.level * drawn.sign
    slope = math.degrees(math.atan(magnitude))
    height, width = image.shape[1:]
    match drawn.name:
        case "shear_x":
            return vision.affine(image, 0.0, [0, 0], 1.0, [slope, 0.0], fill=fill, center=[0, 0])
        case "shear_y":
            return vision.affine(image, 0.0, [0, 0], 1.0, [0.0, slope], fill=fill, center=[0, 0])
        case "shift_x":
            return _shifted(image, int(magnitude * width), 0, fill)
        case "shift_y":
            return _shifted(image, 0, int(magnitude * height), fill)
    return vision.rotate(image, magnitude, fill=fill)
