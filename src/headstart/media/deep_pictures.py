"""Pictures of more than 8 bits a channel, seen together: the same value becomes black, the same one white in all.

Levels of each picture's own depend on its brightest pixel: one hot pixel makes all else dark. By bit depth, 12 bits in
a file of 16 would use a sixteenth of the grey levels. So the levels are those between which the training pictures'
values lie: the widest of the ranges of single pictures, each without its 0.1 % lowest and highest values. A picture in
a hundred, one at least, that alone would more than double the range is left out of account. (nnU-Net takes percentiles
of the whole training part, too: Isensee et al. 2021.)
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count
from pathlib import Path
from typing import NamedTuple

import numpy as np

from headstart.kernel.errors import DataError
from headstart.media.deep_values import deep_values, is_deep
from headstart.media.images import Crop, Levels, is_jpeg, open_image

MOST_PICTURES = 256
"""Pictures that are decoded to learn their range, evenly spread over the data."""

MOST_VALUES = 1 << 20
"""Values of a picture that are looked at, evenly spread."""

STRAY = 0.1
"""Percent of a picture's values at either end that do not count; one value at least."""

ODD = 1.0
"""Percent of the pictures at either end that do not count where they widen the range beyond `WIDER`; one at least."""

WIDER = 2.0
"""Times the range of all other pictures."""


INTEGERS, FLOATS = "integers", "floats"


class Learnt(NamedTuple):
    """The levels of a data set's deep pictures."""

    levels: Levels
    deep: int
    """Pictures of more than 8 bits a channel."""
    pictures: int
    """All that were given."""
    example: Path | bytes
    """A deep one."""
    floats: int
    """Deep pictures that hold floating-point numbers."""

    @property
    def note(self) -> str:
        """The decision in words."""
        example = f", such as {'/'.join(self.example.parts[-2:])}" if isinstance(self.example, Path) else ""
        others = self.pictures - self.deep
        return (
            f"{self.deep} of {self.pictures} training pictures have more than 8 bits a channel{example}: in every such "
            f"picture the value {self.levels.black:g} becomes black and {self.levels.white:g} white, between which "
            "those of the training pictures lie; --set 'backbone.levels=[BLACK, WHITE]' sets others"
            + (f". {self.floats} of them hold floating-point numbers" if 0 < self.floats < self.deep else "")
            + (f". The {others} pictures of 8 bits stay as they are" if others else "")
        )


def learn_levels(raws: Sequence[Path | bytes | Crop]) -> Learnt | None:
    """The levels of training pictures; None where none of them that can be read has more than 8 bits a channel."""
    sources = [raw.source if isinstance(raw, Crop) else raw for raw in raws]
    with ThreadPoolExecutor(cpu_count() or 1) as pool:
        depths = [*pool.map(_depth, sources)]
        deep = [source for source, depth in zip(sources, depths) if depth]
        chosen = np.unique(np.linspace(0, len(deep) - 1, MOST_PICTURES).astype(int)) if deep else ()
        ends = np.array([found for found in pool.map(_ends, (deep[k] for k in chosen)) if found is not None])
    if not len(ends):
        return None
    black, white = -_highest(-ends[:, 0], -ends[:, 1]), _highest(ends[:, 1], ends[:, 0])
    return Learnt(_levels(black, white), len(deep), len(raws), deep[0], depths.count(FLOATS))


def _levels(black: float, white: float) -> Levels:
    return Levels(black, white if white > black else black + 1.0)


def has_depth(raw: Path | bytes | Crop) -> bool:
    """Return whether a picture that can be opened has more than 8 bits a channel."""
    return _depth(raw.source if isinstance(raw, Crop) else raw) != ""


def own_levels(source: Path | bytes) -> Levels | None:
    """The levels of a picture seen by itself; None of 8 bits."""
    ends = _ends(source) if _depth(source) else None
    return None if ends is None else _levels(*ends)


def require_order(levels: Levels | None) -> Levels | None:
    """The levels, if black lies below white and both are numbers. Raises ValueError."""
    if levels is not None and not -np.inf < levels.black < levels.white < np.inf:
        raise ValueError("the first number becomes black and must be less than the second")
    return levels


def _highest(tops: np.ndarray, bottoms: np.ndarray) -> float:
    """The highest of the pictures' tops (pictures,), or the highest without the odd ones where these lie far above."""
    usual = float(np.percentile(tops, 100 - ODD, method="lower"))
    bottom = float(np.median(bottoms))
    return float(tops.max()) if tops.max() - bottom <= WIDER * (usual - bottom) else usual


def _depth(source: Path | bytes) -> str:
    """Return what kind of values of more than 8 bits a picture has; '' where it has none, or cannot be opened."""
    try:
        if is_jpeg(source):
            return ""
        with open_image(source) as image:
            return FLOATS if image.mode == "F" else INTEGERS if is_deep(image) else ""
    except DataError:  # named where it is read
        return ""


def _ends(source: Path | bytes) -> tuple[float, float] | None:
    """The lowest and the highest value of a picture but for stray ones; None where it has none."""
    try:
        with open_image(source) as image:
            values = deep_values(image, lambda: open_image(source))
    except Exception:  # Pillow's decoders raise whatever their format's code raises; named where it is read
        return None
    values = (values[..., :-1] if values.ndim == 3 and values.shape[2] in (2, 4) else values).ravel()
    values = values[:: -(-len(values) // MOST_VALUES)].astype(np.float64)
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    low = np.percentile(values, STRAY, method="higher")
    return float(low), float(np.percentile(values, 100 - STRAY, method="lower"))
