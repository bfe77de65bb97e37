"""The metrics of detection: COCO's average precision, by faster-coco-eval, with intervals over pictures.

AP is the mean over classes and over IoU thresholds .5, .55, ..., .95; AP50 and AP75 are at one threshold, and the
others of boxes of one size or class. For the bootstrap each picture is matched once (`matching.py`), and the precision
is accumulated again under the weights of each resample; with every weight 1 that is what faster-coco-eval says.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from headstart.contracts.box_labels import TARGET as BOXES
from headstart.contracts.metric import Metric, Replicates, Support
from headstart.contracts.prediction import Prediction
from headstart.contracts.task import Targets
from headstart.kernel.errors import SettingsError
from headstart.numerics.boxes import areas
from headstart.tasks._reweighted import mean_of_present
from headstart.tasks.detection.boxes import CLASS, CROWD, EDGES, LABEL, OWN, SCORE, Ragged
from headstart.tasks.detection.matching import MOST, SIZES, THRESHOLDS, Matches, match

THRESHOLD = "threshold"
"""Score from which on a box is shown."""

MOST_CLASSES = 12
"""Classes of which each has figures of its own."""

REMEMBERED = 4
"""Predictions whose matches are kept, since ten metrics ask for them one after the other."""


class Judged:
    """Predictions held against true boxes, each picture matched once."""

    def __init__(self, truths: Ragged, found: Ragged, classes: int) -> None:
        """Of pictures: true boxes (boxes, 10) and predicted ones (boxes, 6), see `boxes.py`."""
        self.truths, self.found, self.classes = truths, found, classes
        self._matches: dict[tuple[str, int], Matches] = {}

    @cached_property
    def reference(self) -> np.ndarray:
        """Average precision by faster-coco-eval, (thresholds, classes, sizes); NaN where there is no true box."""
        return reference_precision(self.truths, self.found, self.classes)

    def matches(self, size: str, label: int) -> Matches:
        """Of one class and size."""
        key = size, label
        if key not in self._matches:
            self._matches[key] = match(self.truths, self.found, label, SIZES[size])
        return self._matches[key]


class _Recent:
    """The last few predictions that were judged."""

    def __init__(self) -> None:
        self._held: list[Judged] = []
        self._lock = threading.Lock()

    def __call__(self, truths: Ragged, found: Ragged, classes: int) -> Judged:
        with self._lock:
            for judged in self._held:
                if judged.truths is truths and judged.found is found and judged.classes == classes:
                    return judged
            self._held = [Judged(truths, found, classes), *self._held[: REMEMBERED - 1]]
            return self._held[0]


judged = _Recent()


def detection_metrics(names: Sequence[str]) -> tuple[Metric, ...]:
    """AP first, then AP50, AP75, AP by size, and AP of each class where there are several."""
    every, all_of_them = range(len(names)), range(len(THRESHOLDS))
    metrics = [
        _precision("ap", "AP", all_of_them, every, "all", names),
        _precision("ap50", "AP50", [0], every, "all", names),
        _precision("ap75", "AP75", [5], every, "all", names),
    ]
    for size in ("small", "medium", "large"):
        metrics.append(_precision(f"ap_{size}", f"AP, {size} boxes", all_of_them, every, size, names))
    if 1 < len(names) <= MOST_CLASSES:
        for k, name in enumerate(names):
            metrics.append(_precision(f"ap_{name}", f"AP ({name})", all_of_them, [k], "all", names))
    return tuple(metrics)


def _precision(
    name: str, title: str, thresholds: Sequence[int], labels: Sequence[int], size: str, names: Sequence[str]
) -> Metric:
    def of(targets: Targets, prediction: Prediction) -> Judged:
        return judged(targets[BOXES], prediction.columns[BOXES], len(names))

    def score(targets: Targets, prediction: Prediction) -> float:
        chosen = of(targets, prediction).reference[np.ix_(thresholds, labels, [[*SIZES].index(size)])]
        return float(np.nanmean(chosen)) if not np.isnan(chosen).all() else np.nan

    def replicates(targets: Targets, prediction: Prediction) -> Replicates:
        matched = [of(targets, prediction).matches(size, label) for label in labels]
        return lambda weights: mean_precision(matched, thresholds, weights)

    def support(targets: Targets, prediction: Prediction) -> Support:
        rows = [of(targets, prediction).matches(size, label).boxes > 0 for label in labels]
        if size != "all":
            return Support("pictures with", [f"{size} boxes"], csr_array(np.any(rows, axis=0)[:, None]))
        return Support("pictures with", [f"'{names[k]}'" for k in labels], csr_array(np.stack(rows, axis=1)))

    return Metric(name, title, True, score, replicates, "", (0.0, 1.0), support=support)


def mean_precision(matched: Sequence[Matches], thresholds: Sequence[int], weights: np.ndarray) -> np.ndarray:
    """The mean over classes with true boxes and thresholds (resamples,), under weights (resamples, pictures)."""
    found = np.array([one.precision(number, weights) for one in matched for number in thresholds])
    with np.errstate(invalid="ignore"):
        return mean_of_present(found.T)


def best_threshold(truths: Ragged, found: Ragged) -> float:
    """The score that boxes are best cut off at: where F1 at an IoU of .5, over the boxes of all classes, is greatest.

    It lies midway to the next lower score; 0 where nothing is found or there is nothing to find.
    """
    labels = {int(k) for one in truths for k in one[:, CLASS]} | {int(k) for one in found for k in one[:, LABEL]}
    matched = [match(truths, found, label, SIZES["all"]) for label in sorted(labels)]
    if not any(one.right[0].any() for one in matched):
        return 0.0
    scores, right, wrong = (
        np.concatenate(parts) for parts in zip(*((one.scores, one.right[0], one.wrong[0]) for one in matched))
    )
    order = np.argsort(-scores, kind="stable")
    hits, misses = np.cumsum(right[order]), np.cumsum(wrong[order])
    total = sum(one.boxes.sum() for one in matched)
    best = int(np.argmax(2 * hits / (hits + misses + total)))
    following = scores[order][best + 1] if best + 1 < len(order) else 0.0
    return float((scores[order][best] + following) / 2)


def require_reference() -> Any:
    """The library that average precision comes from. Raises SettingsError where it is not installed."""
    try:
        import faster_coco_eval
    except ImportError as error:
        raise SettingsError(
            "detection is judged by the library faster-coco-eval: pip install faster-coco-eval"
        ) from error
    return faster_coco_eval


def reference_precision(truths: Ragged, found: Ragged, classes: int) -> np.ndarray:
    """Average precision by faster-coco-eval, (thresholds, classes, sizes); NaN where there is no true box."""
    library = require_reference()
    boxes = [(row, box) for row, one in enumerate(truths) for box in one]
    true = [{**_as_coco(row, box[OWN], box[CLASS]), "iscrowd": int(box[CROWD])} for row, box in boxes]
    boxes = [(row, box) for row, one in enumerate(found) for box in one]
    predicted = [{**_as_coco(row, box[EDGES], box[LABEL]), "score": float(box[SCORE])} for row, box in boxes]
    if not predicted:
        return np.where(_present(truths, classes), 0.0, np.nan)[None].repeat(len(THRESHOLDS), axis=0)
    document = {
        "images": [{"id": row + 1} for row in range(len(truths))],
        "categories": [{"id": k + 1, "name": str(k)} for k in range(classes)],
        "annotations": [{**box, "id": k + 1} for k, box in enumerate(true)],
    }
    truth = library.COCO(document, print_function=_quiet)
    evaluation = library.COCOeval_faster(truth, truth.loadRes(predicted), "bbox", print_function=_quiet)
    evaluation.params.maxDets = [MOST]
    evaluation.evaluate()
    evaluation.accumulate()
    precision = np.asarray(evaluation.eval["precision"])[..., 0]
    return np.asarray(np.where(precision < 0, np.nan, precision).mean(axis=1))


def _as_coco(row: int, edges: np.ndarray, label: float) -> dict[str, Any]:
    """A box (4,) as COCO has it, of the picture in this row."""
    left, top, right, bottom = edges.tolist()
    width, height = right - left, bottom - top
    place = {"bbox": [left, top, width, height], "area": width * height}
    return {"image_id": row + 1, "category_id": int(label) + 1, **place}


def _present(truths: Ragged, classes: int) -> np.ndarray:
    """Return where there are true boxes of each class and size, (classes, sizes)."""
    boxes = np.concatenate(truths)
    boxes = boxes[boxes[:, CROWD] == 0]
    size, label = areas(boxes[:, OWN]), boxes[:, CLASS]
    fits = np.stack([(size >= least) & (size <= most) for least, most in SIZES.values()], axis=1)
    return np.stack([fits[label == k].any(axis=0) for k in range(classes)])


def _quiet(*_: object) -> None:
    """Print nothing."""
