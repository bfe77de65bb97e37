"""Where the patches of a vision transformer lie: the boundary behind which each is one token, and may be left out."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor, nn

from headstart.contracts.carriers import State
from headstart.contracts.network import Network
from headstart.kernel.errors import SettingsError

TOLERANCE = 1e-3
"""Of features in another order of the patches, as a share of their size: rounding, and no more."""


@dataclass(frozen=True)
class Patches:
    """The grid of patches that a backbone makes tokens of."""

    boundary: int
    """The first one at which every patch is a token that knows its place."""
    prefix: int
    """Tokens before those of the patches: class and register tokens."""
    side: int
    """Pixels of a patch along each axis."""
    rows: int
    """Patches of a picture from top to bottom."""
    columns: int
    """Patches of a picture from left to right."""

    @property
    def count(self) -> int:
        """Patches of a picture."""
        return self.rows * self.columns

    def of(self, pictures: Tensor) -> Tensor:
        """(batch, channels, height, width) -> (batch, patches, side * side * channels), row by row."""
        batch, channels = pictures.shape[:2]
        cut = pictures.reshape(batch, channels, self.rows, self.side, self.columns, self.side)
        return cut.permute(0, 2, 4, 3, 5, 1).reshape(batch, self.count, -1)


def find_patches(backbone: Network) -> Patches:
    """The patches of a backbone.

    Raises:
        SettingsError: it has none, or what it makes of one depends on which others are there in which order.
    """
    end, modes = len(backbone.stages), {module: module.training for module in backbone.module.modules()}
    backbone.module.eval()
    try:
        with torch.no_grad():
            state = _noise(backbone)
            final = backbone.segment(0, end)(state)
            tokens = backbone.features(final).tokens
            if tokens is None:
                raise SettingsError(f"{_WHAT}, and {backbone.name} has no tokens. {_TAKE}")
            prefix = final.hidden.shape[1] - tokens.shape[1]
            boundary = next(
                (k for k in range(1, end) if _free_order(backbone, state, k, prefix, tokens.shape[1])), None
            )
    finally:
        for module, training in modes.items():
            module.training = training
    if boundary is None:
        raise SettingsError(f"{_WHAT}, and {backbone.name} cannot work on a subset of them. {_TAKE}")
    height, width = state.hidden.shape[2:]
    side = round(math.sqrt(height * width / tokens.shape[1]))
    found = Patches(boundary, prefix, side, height // side, width // side)
    if (found.count, found.rows * side, found.columns * side) != (tokens.shape[1], height, width):
        raise SettingsError(f"{_WHAT}, and the tokens of {backbone.name} are not square patches of an image. {_TAKE}")
    return found


_WHAT = "mae hides patches of a picture from a transformer"
_TAKE = "Take a ViT, such as vit_small_patch16_224, or another objective, such as simclr or vicreg."


def _noise(backbone: Network) -> State:
    """Two pictures of noise, as the backbone takes them, on its device."""
    file = io.BytesIO()
    Image.new("RGB", (32, 32)).save(file, "PNG")
    shape = backbone.prepare([file.getvalue()]).hidden.shape[1:]
    noise = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0))
    return State(noise.to(next(backbone.module.parameters()).device))


def _free_order(backbone: Network, state: State, boundary: int, prefix: int, count: int) -> bool:
    """Return whether some of the patches at a boundary can go on without the rest, in any order, each as it would."""
    hidden = backbone.segment(0, boundary)(state).hidden
    if hidden.ndim != 3 or hidden.shape[1] != prefix + count:
        return False
    rest = backbone.segment(boundary, len(backbone.stages))
    some = torch.arange(0, count, 2)
    try:
        one, other = (_final(rest, hidden, prefix, rows) for rows in (some, some.flip(0)))
    except (RuntimeError, ValueError, AssertionError):  # layers made for one number of tokens say so in many ways
        return False
    apart = (one[:, prefix:] - other[:, prefix:].flip(1)).norm() / one.norm()
    return bool(apart < TOLERANCE)


def _final(rest: nn.Module, hidden: Tensor, prefix: int, patches: Tensor) -> Tensor:
    final: Tensor = rest(State(torch.cat([hidden[:, :prefix], hidden[:, prefix + patches]], dim=1))).hidden
    return final
