"""Pixels at random with what the maps of all strides say about them: what a linear head is solved on.

The vector of a pixel is its hypercolumn (Hariharan et al. 2015): the maps interpolated bilinearly at its place, one
after the other. Places are centres of the finest map's cells, as `Linear` of `decoders` gives its scores there.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from headstart.contracts.targets import PADDED_TARGET
from headstart.kernel.randomness import draw_seed


def sample_pixels(
    maps: Sequence[Tensor], target: Tensor, rows: Sequence[int], most: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """At most `most` cells of each picture whose class is known.

    Args:
        maps: levels (batch, channels, height, width), finest first.
        target: (batch, side, side) class numbers, `PADDED_TARGET` where there is no picture.
        rows: (batch,) the example of each picture, which decides its draw.
        most: cells of one picture; >= 1.
        seed: of the draws.

    Returns:
        Vectors (samples, channels of all maps) float32, classes (samples,) int64 and positions in the batch (samples,).
    """
    height, width = maps[0].shape[2:]
    at_cells = functional.interpolate(target[:, None].double(), (height, width), mode="nearest-exact")[:, 0].long()
    vectors, classes, positions = [], [], []
    for position, row in enumerate(rows):
        known = np.flatnonzero(at_cells[position].flatten().numpy() != PADDED_TARGET)
        draws = np.random.default_rng(draw_seed(seed, "pixels", int(row)))
        chosen = torch.from_numpy(np.sort(draws.permutation(known)[:most]))
        vectors.append(_hypercolumns(maps, position, chosen, height, width))
        classes.append(at_cells[position].flatten()[chosen].numpy())
        positions.append(np.full(len(chosen), position))
    return np.concatenate(vectors), np.concatenate(classes), np.concatenate(positions)


def _hypercolumns(maps: Sequence[Tensor], position: int, cells: Tensor, height: int, width: int) -> np.ndarray:
    across = (2 * (cells % width) + 1) / width - 1
    down = (2 * (cells // width) + 1) / height - 1
    grid = torch.stack([across, down], dim=1)[None, :, None]
    parts = [
        functional.grid_sample(
            level[position : position + 1].float(), grid.float(), padding_mode="border", align_corners=False
        )
        for level in maps
    ]
    return torch.cat([part[0, :, :, 0] for part in parts]).T.contiguous().numpy()
