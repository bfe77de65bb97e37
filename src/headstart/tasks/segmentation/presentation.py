"""Masks as tables, files and reports show them: figures of each class, confused pixels, the worst pictures."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from headstart.contracts.examples import Examples, Raw
from headstart.contracts.metric import SHARE
from headstart.contracts.panels import Matrix, Mistake, Panel, Table
from headstart.contracts.prediction import Prediction
from headstart.contracts.review import Review
from headstart.contracts.task import Targets
from headstart.media.masks import COLOUR_NAMES, encode_mask
from headstart.tasks.segmentation.mask_classes import Classes
from headstart.tasks.segmentation.mask_files import shares_of, write_masks
from headstart.tasks.segmentation.mask_overlap import confusion, counts, over_picture
from headstart.tasks.segmentation.mask_review import review_masks
from headstart.tasks.segmentation.mask_scan import MASK
from headstart.tasks.segmentation.metrics import dice_per_class, distances_per_class, iou_per_class, over_classes
from headstart.tasks.segmentation.task import BoundSegmentation


class SegmentationPresentation(NamedTuple):
    """Masks and the classes that a picture has, shown."""

    classes: Classes
    in_mm: bool
    """Whether distances are in millimetres, else in pixels."""
    side: int
    """Pixels of the square that pictures are framed in."""
    encode: Callable[[Examples], Targets]
    """The targets of examples."""

    def labels(self, examples: Examples) -> Sequence[Any]:
        """Return the classes that occur in each picture, the background left out."""
        return [self.classes.listed(target.present) for target in self.encode(examples)[MASK]]

    def tally(self, labels: Sequence[Any]) -> Mapping[str, int]:
        """Count the pictures with each set of classes."""
        return Counter(labels)

    def columns(self, prediction: Prediction) -> Mapping[str, np.ndarray]:
        """ "prediction": the classes that a picture has, the background left out; "share of CLASS": of its pixels."""
        shares = shares_of(prediction.columns[MASK], len(self.classes.names))
        names = [self.classes.listed(np.flatnonzero(row).tolist()) for row in shares]
        found = {f"share of {self.classes.names[k]}": shares[:, k].round(6) for k in self.classes.shown}
        return {"prediction": np.array(names, dtype=object), **found}

    def files(self, prediction: Prediction, raws: Sequence[Raw], names: Sequence[str], folder: Path) -> list[str]:
        """Write masks of the pictures' own size and `legend.json`; see `mask_files.py`."""
        return write_masks(self.classes, prediction.columns[MASK], self.side, raws, names, folder)

    def panels(self, prediction: Prediction, targets: Targets) -> tuple[Panel, ...]:
        """Return the figures of each class, and the pixels confused."""
        pairs = [*zip(targets[MASK], prediction.columns[MASK])]
        pixels = reduce(np.add, (confusion(*pair) for pair in pairs))
        measured = [
            _means(values)
            for values in (
                dice_per_class(targets, prediction),
                iou_per_class(targets, prediction),
                distances_per_class(targets, prediction, self.classes.shown, self.in_mm),
            )
        ]
        with_class = np.sum([counts(*pair)[1] > 0 for pair in pairs], axis=0)
        unit = "mm" if self.in_mm else "px"
        classes = Table(
            title="Classes",
            note="Means over the pictures in which truth or prediction has the class. HD95: the 95th-percentile "
            "Hausdorff distance of the borders, of all but the background; the picture's diagonal where only one of "
            "the two has the class.",
            header=("class", "Dice", "IoU", "HD95", "pictures with it", "share of pixels"),
            units=("", "", "", unit, "", SHARE),
            rows=tuple(
                (name, *(column[k] for column in measured), int(with_class[k]), float(pixels[k].sum() / pixels.sum()))
                for k, name in enumerate(self.classes.names)
            ),
        )
        confused = Matrix(
            title="Pixels confused",
            note="Pixels of all pictures together.",
            names=self.classes.names,
            counts=tuple(tuple(int(count) for count in row) for row in pixels),
        )
        return classes, confused

    def mistakes(self, prediction: Prediction, targets: Targets, most: int) -> tuple[Mistake, ...]:
        """Return the pictures with the least Dice, the worst first, with both masks."""
        names, shown = self.classes.names, self.classes.shown
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


def presentation(task: BoundSegmentation) -> SegmentationPresentation:
    """Show masks, and the classes that a picture has."""
    return SegmentationPresentation(task.class_values, task.in_mm, task.image_side, task.targets)


def review(examples: Examples) -> Review:
    """Review masks: what they hold, and what is wrong with them."""
    return review_masks(examples)


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
