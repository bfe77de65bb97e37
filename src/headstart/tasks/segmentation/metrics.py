"""The metrics of segmentation: per picture and class by `_mask_overlap`, then the mean over pictures.

A picture's figure is the mean over the classes that are defined in it, the background left out; a picture without any
is left out. Patients or other groups weigh by their pictures; the intervals are over groups where there are any.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.sparse import csr_array

from headstart.contracts.metric import Metric, Replicates, Support
from headstart.contracts.prediction import Prediction
from headstart.contracts.task import Targets
from headstart.tasks._reweighted import mean_of_present, weighted_means
from headstart.tasks.segmentation.mask_overlap import counts, distances
from headstart.tasks.segmentation.mask_scan import MASK

MOST_CLASSES = 12
"""Classes of which each has figures of its own."""

PerClass = Callable[[Targets, Prediction], np.ndarray]
"""(examples, classes), NaN where undefined."""

PerPicture = tuple[
    Callable[[Targets, Prediction], float],
    Callable[[Targets, Prediction], Replicates],
    Callable[[Targets, Prediction], Support],
]


def segmentation_metrics(names: Sequence[str], shown: Sequence[int], in_mm: bool) -> tuple[Metric, ...]:
    """Dice first, then IoU and the Hausdorff distance, and the same of each class where there are several.

    Args:
        names: of all classes.
        shown: the classes that count, without the background.
        in_mm: whether distances are in millimetres, else in pixels.
    """
    unit = "mm" if in_mm else "px"
    overlaps = (("dice", "Dice", dice_per_class), ("iou", "IoU", iou_per_class))
    what = f"'{names[shown[0]]}'" if len(shown) == 1 else "a class"
    distance = _per_picture(_distances(shown, in_mm), shown, what)
    metrics = [_overlap(name, title, of, shown, what) for name, title, of in overlaps]
    metrics.append(_metric(f"hd95_{unit}", "Hausdorff distance, 95 %", False, distance, unit, (0.0, np.inf)))
    if 1 < len(shown) <= MOST_CLASSES:
        metrics += [
            _overlap(f"{name}_{names[k]}", f"{title} ({names[k]})", of, [k], f"'{names[k]}'")
            for k in shown
            for name, title, of in overlaps
        ]
    return tuple(metrics)


def dice_per_class(targets: Targets, prediction: Prediction) -> np.ndarray:
    """(examples, classes) in [0, 1]; NaN where neither mask has the class."""
    both, truth, predicted = _counts(targets, prediction)
    with np.errstate(invalid="ignore"):
        return 2 * both / (truth + predicted)


def iou_per_class(targets: Targets, prediction: Prediction) -> np.ndarray:
    """(examples, classes) in [0, 1]; NaN where neither mask has the class."""
    both, truth, predicted = _counts(targets, prediction)
    with np.errstate(invalid="ignore"):
        return both / (truth + predicted - both)


def distances_per_class(targets: Targets, prediction: Prediction, shown: Sequence[int], in_mm: bool) -> np.ndarray:
    """(examples, classes) 95th-percentile Hausdorff distances >= 0; NaN where neither mask has the class, and for
    classes that are not shown."""
    pairs = zip(targets[MASK], prediction.columns[MASK])
    return np.stack([distances(target, mask, shown, in_mm) for target, mask in pairs])


def over_classes(values: np.ndarray, shown: Sequence[int]) -> np.ndarray:
    """The mean (examples,) over the classes that are defined; NaN where none is."""
    with np.errstate(invalid="ignore"):
        return mean_of_present(values[:, list(shown)])


def _distances(shown: Sequence[int], in_mm: bool) -> PerClass:
    return lambda targets, prediction: distances_per_class(targets, prediction, shown, in_mm)


def _overlap(name: str, title: str, measured: PerClass, shown: Sequence[int], what: str) -> Metric:
    return _metric(name, title, True, _per_picture(measured, shown, what), "", (0.0, 1.0))


def _metric(
    name: str, title: str, greater: bool, measured: PerPicture, unit: str, bounds: tuple[float, float]
) -> Metric:
    score, replicates, support = measured
    return Metric(name, title, greater, score, replicates, unit, bounds, support=support)


def _per_picture(measured: PerClass, shown: Sequence[int], what: str) -> PerPicture:
    """Score, replicates and support of a mean over the pictures with `what`."""

    def per_picture(targets: Targets, prediction: Prediction) -> np.ndarray:
        return over_classes(measured(targets, prediction), shown)

    def score(targets: Targets, prediction: Prediction) -> float:
        values = per_picture(targets, prediction)
        return float(np.mean(values[~np.isnan(values)])) if not np.isnan(values).all() else np.nan

    def replicates(targets: Targets, prediction: Prediction) -> Replicates:
        values = per_picture(targets, prediction)
        defined = ~np.isnan(values)
        return lambda weights: weighted_means(weights[:, defined], values[defined])

    def support(targets: Targets, prediction: Prediction) -> Support:
        return Support("pictures with", [what], csr_array(~np.isnan(per_picture(targets, prediction))[:, None]))

    return score, replicates, support


def _counts(targets: Targets, prediction: Prediction) -> np.ndarray:
    """Pixels that are right, true and predicted, (3, examples, classes)."""
    return np.stack([counts(*pair) for pair in zip(targets[MASK], prediction.columns[MASK])], axis=1)
