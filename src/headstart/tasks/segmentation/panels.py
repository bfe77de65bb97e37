"""What a report shows of a segmenter: figures of each class, pixels that were confused, and its worst pictures."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from functools import reduce

import numpy as np

from headstart.contracts.carriers import Prediction
from headstart.contracts.metric import SHARE
from headstart.contracts.panels import Matrix, Mistake, Panel, Table
from headstart.contracts.task import Targets
from headstart.media.masks import COLOUR_NAMES, encode_mask
from headstart.tasks.segmentation.mask_overlap import confusion, counts, over_picture
from headstart.tasks.segmentation.mask_scan import MASK
from headstart.tasks.segmentation.metrics import dice_per_class, distances_per_class, iou_per_class, over_classes


def segmentation_exhibits(
    names: Sequence[str], shown: Sequence[int], targets: Targets, prediction: Prediction, in_mm: bool
) -> tuple[Panel, ...]:
    """The table of classes and the matrix of pixels."""
    pairs = [*zip(targets[MASK], prediction.columns[MASK])]
    pixels = reduce(np.add, (confusion(*pair) for pair in pairs))
    measured = [
        _means(values)
        for values in (
            dice_per_class(targets, prediction),
            iou_per_class(targets, prediction),
            distances_per_class(targets, prediction, shown, in_mm),
        )
    ]
    with_class = np.sum([counts(*pair)[1] > 0 for pair in pairs], axis=0)
    unit = "mm" if in_mm else "px"
    classes = Table(
        title="Classes",
        note="Means over the pictures in which truth or prediction has the class. HD95: the 95th-percentile Hausdorff "
        "distance of the borders, of all but the background; the picture's diagonal where only one of the two has the "
        "class.",
        header=("class", "Dice", "IoU", "HD95", "pictures with it", "share of pixels"),
        units=("", "", "", unit, "", SHARE),
        rows=tuple(
            (name, *(column[k] for column in measured), int(with_class[k]), float(pixels[k].sum() / pixels.sum()))
            for k, name in enumerate(names)
        ),
    )
    confused = Matrix(
        title="Pixels confused",
        note="Pixels of all pictures together.",
        names=tuple(names),
        counts=tuple(tuple(int(count) for count in row) for row in pixels),
    )
    return classes, confused


def worst_pictures(
    names: Sequence[str], shown: Sequence[int], targets: Targets, prediction: Prediction, most: int
) -> tuple[Mistake, ...]:
    """The pictures with the least Dice, the worst first, with both masks."""
    dice = over_classes(dice_per_class(targets, prediction), shown)
    order = [row for row in np.argsort(dice, kind="stable").tolist() if dice[row] < 1]  # NaN is not
    found = []
    for row in order[:most]:
        target, mask = targets[MASK][row], prediction.columns[MASK][row]
        right, true, predicted = counts(target, mask)
        truth = target.truth
        height, width = truth.shape
        masks = (np.where(truth == len(names), 0, truth), over_picture(mask, height, width, target.side))
        found.append(
            Mistake(
                row=row,
                truth=_pixels(names, shown, true),
                predicted=_pixels(names, shown, predicted) + f"; {right[list(shown)].sum():,} px right",
                weight=float(1 - dice[row]),
                weight_text=f"Dice {dice[row]:.3f}; left the truth, right the prediction",
                masks=tuple(base64.b64encode(encode_mask(values)).decode() for values in masks),
            )
        )
    return tuple(found)


def _means(values: np.ndarray) -> list[float | None]:
    """Of each class (examples, classes), over the pictures where it is defined."""
    return [float(column[~np.isnan(column)].mean()) if not np.isnan(column).all() else None for column in values.T]


def _pixels(names: Sequence[str], shown: Sequence[int], pixels: np.ndarray) -> str:
    """'1,002 px of cell (orange), ...': the classes in their colours."""
    colours = dict(enumerate(COLOUR_NAMES))
    held = [
        f"{pixels[k]:,} px of {names[k]}" + (f" ({colours[k]})" if k in colours else "") for k in shown if pixels[k]
    ]
    return ", ".join(held) or "nothing"
