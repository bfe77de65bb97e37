"""Choice between whole pictures and tiles, by what would be lost of their masks.

A picture that is larger than the square it is seen in is made smaller, and no prediction can be finer than that. How
fine it can be is measured on some masks: made smaller and large again, they still have a Dice with themselves. Where
that is low, as of vessels and cells in large pictures, tiles are worth their time; of one large organ it is not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from headstart.contracts.examples import Examples, Raw
from headstart.contracts.modality import raws_of
from headstart.contracts.task_capabilities import Choice
from headstart.kernel.errors import DataError
from headstart.media.framing import Whole
from headstart.media.images import image_size
from headstart.media.masks import MaskFile, read_mask
from headstart.tasks.segmentation.mask_classes import Classes, encoded
from headstart.tasks.segmentation.mask_scan import Seen

STEP, LEAST_SIDE, MOST_SIDE = 32, 96, 512
"""The side of the square that pictures are seen in is a multiple of 32 pixels within these."""

FINE_ENOUGH = 0.9
"""Least Dice of masks with themselves at the size that pictures are seen in, below which tiles are taken."""

MEASURED = 16
"""Masks on which that is measured, from all over the data."""


MUCH = 1.5
"""Times as large as what was learnt from, from which new pictures are told to be larger."""


class View(NamedTuple):
    """The way pictures are seen: whole or in tiles, and at which size."""

    side: int
    """Of the square, pixels."""
    tile: int | None
    """Side of the tiles that pictures are cut into; None where they are seen whole."""
    longest: int
    """The longer side that nine pictures in ten have at most, pixels."""
    reachable: float
    """Dice that a prediction in a square of `MOST_SIDE`, or of the side that the user gave, can have at best."""


def choose_view(
    seen: Sequence[Seen],
    sources: Sequence[MaskFile],
    classes: Classes,
    shown: Sequence[int],
    side: int | None,
    tile: int | None,
) -> View:
    """The view of pictures whose masks these are; `side` and `tile` are the user's, None where left open."""
    longest = int(np.quantile([max(mask.height, mask.width) for mask in seen], 0.9))
    if tile is not None:
        return View(tile, tile, longest, 1.0)
    fitting = min(max(math.ceil(longest / STEP) * STEP, LEAST_SIDE), MOST_SIDE)
    whole = side or fitting
    reachable = _reachable(sources, classes, shown, whole) if longest > whole else 1.0
    tiles = side is None and reachable < FINE_ENOUGH
    return View(whole, MOST_SIDE if tiles else None, longest, reachable)


def told(view: View) -> tuple[Choice, ...]:
    """Tell the user of a view that was chosen; nothing where pictures are seen at their own size."""
    if view.longest <= view.side or view.reachable == 1:
        return ()
    best = f"masks of that size reach a Dice of {view.reachable:.2f} at best"
    if view.tile is not None:
        reason = (
            f"the pictures, up to {view.longest} px long, would be seen whole at {view.side} px, and {best}. "
            f"--set task.image_side={view.side} takes less time and sees them whole"
        )
        return (Choice("tiles", f"{view.tile} px", reason),)
    reason = (
        f"the pictures, up to {view.longest} px long, are seen whole and smaller: {best}. "
        f"--set task.tile={MOST_SIDE} cuts them into tiles instead, which takes longer"
    )
    return (Choice("size of the pictures", f"{view.side} px", reason),)


def seen_smaller(examples: Examples, side: int, longest: int) -> tuple[str, ...]:
    """A sentence where pictures, unlike those that were learnt from, are made much smaller to be seen in a square."""
    lengths = [max(size) for size in map(_size, raws_of(examples)) if size is not None]
    larger = [length for length in lengths if length > MUCH * max(side, longest)]
    if not larger or not longest:
        return ()
    return (
        f"{len(larger)} pictures of {len(lengths)} are up to {max(larger)} px long and are seen at {side} px; those "
        f"learnt from had up to {longest} px. If they show more of the same things rather than larger ones, cut them "
        f"into parts of about {longest} px, or fit again with --set task.tile={side}.",
    )


def _size(raw: Raw) -> tuple[int, int] | None:
    try:
        return image_size(raw)
    except DataError:
        return None


def _reachable(sources: Sequence[MaskFile], classes: Classes, shown: Sequence[int], side: int) -> float:
    """Mean over some masks and their classes of the Dice with themselves, made smaller and large again."""
    chosen = np.unique(np.linspace(0, len(sources) - 1, MEASURED).astype(np.int64))
    found = [_dice(sources[row], classes, shown, Whole(side)) for row in chosen]
    values = [value for some in found for value in some]
    return float(np.mean(values)) if values else 1.0


def _dice(source: MaskFile, classes: Classes, shown: Sequence[int], frame: Whole) -> list[float]:
    mask = read_mask(*source)
    truth = encoded(mask, classes)
    again = frame.undone(frame.classes(truth, 0), *truth.shape)
    pairs = [(truth == number, again == number) for number in shown]
    return [float(2 * (a & b).sum() / (a.sum() + b.sum())) for a, b in pairs if a.any() or b.any()]
