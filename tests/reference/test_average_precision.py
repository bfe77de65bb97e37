"""Average precision from matches made once: against faster-coco-eval, pycocotools, and pictures that are repeated."""

from __future__ import annotations

import numpy as np
import pytest

from headstart.contracts.prediction import Prediction
from headstart.tasks.detection.matching import SIZES, THRESHOLDS
from headstart.tasks.detection.metrics import Judged, detection_metrics, mean_precision

CLASSES = 3


def world(seed: int, pictures: int = 30) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """True and predicted boxes of all sizes: crowds, doubles, ties of scores, empty pictures, a rare class."""
    draws = np.random.default_rng(seed)
    truths, found = [], []
    for _ in range(pictures):
        count, others = draws.integers(0, 9), draws.integers(0, 12)
        first, sides = draws.uniform(0, 300, (count, 2)), np.exp(draws.uniform(np.log(5), np.log(200), (count, 2)))
        truth = np.zeros((count, 10))
        truth[:, 6:] = np.concatenate([first, first + sides], axis=1)
        truth[:, 4] = draws.choice(CLASSES, count, p=[0.6, 0.35, 0.05])
        truth[:, 5] = draws.random(count) < 0.1
        near = np.tile(truth[:, 6:], (2, 1)) + draws.normal(0, 0.07, (2 * count, 4)) * np.tile(sides, (2, 2))
        place = draws.uniform(0, 300, (others, 2))
        edges = np.concatenate([near, np.concatenate([place, place + draws.uniform(5, 80, (others, 2))], axis=1)])
        labels = np.concatenate([truth[:, 4], truth[:, 4], draws.integers(0, CLASSES, others)])
        boxes = np.column_stack([edges, draws.random(len(edges)).round(2), labels])
        boxes = boxes[(edges[:, 2] > edges[:, 0]) & (edges[:, 3] > edges[:, 1])]
        truths.append(truth)
        found.append(boxes[np.argsort(-boxes[:, 4], kind="stable")])
    return truths, found


def own(judged: Judged, weights: np.ndarray) -> np.ndarray:
    """(thresholds, classes, sizes) under the weights (1, pictures)."""
    return np.array(
        [
            [[judged.matches(size, k).precision(n, weights)[0] for size in SIZES] for k in range(CLASSES)]
            for n in range(len(THRESHOLDS))
        ]
    )


@pytest.mark.parametrize("seed", range(3))
def test_with_every_weight_one_it_is_what_faster_coco_eval_says(seed: int) -> None:
    truths, found = world(seed)
    judged = Judged(truths, found, CLASSES)
    np.testing.assert_allclose(own(judged, np.ones((1, len(truths)))), judged.reference, rtol=0, atol=1e-12)


def test_it_is_what_pycocotools_says() -> None:
    coco = pytest.importorskip("pycocotools.coco", reason="pycocotools is not installed")
    from pycocotools.cocoeval import COCOeval

    truths, found = world(5)

    def boxes(some: list[np.ndarray], edges: slice, label: int) -> list[dict]:
        return [
            {
                "id": 100 * row + k + 1,
                "image_id": row + 1,
                "category_id": int(box[label]) + 1,
                "bbox": [*box[edges][:2], *(box[edges][2:] - box[edges][:2])],
                "area": float(np.prod(box[edges][2:] - box[edges][:2])),
                "iscrowd": int(box[5]) if label == 4 else 0,
                "score": float(box[4]),
            }
            for row, one in enumerate(some)
            for k, box in enumerate(one)
        ]

    truth = coco.COCO()
    truth.dataset = {
        "images": [{"id": row + 1} for row in range(len(truths))],
        "categories": [{"id": k + 1, "name": str(k)} for k in range(CLASSES)],
        "annotations": boxes(truths, slice(6, 10), 4),
    }
    truth.createIndex()
    evaluation = COCOeval(truth, truth.loadRes(boxes(found, slice(0, 4), 5)), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    precision = evaluation.eval["precision"][..., -1]
    expected = np.where(precision < 0, np.nan, precision).mean(axis=1)
    judged = Judged(truths, found, CLASSES)
    np.testing.assert_allclose(judged.reference, expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(own(judged, np.ones((1, len(truths)))), expected, rtol=0, atol=1e-12)


def test_a_picture_of_weight_three_counts_as_three_pictures() -> None:
    truths, found = world(7)
    for row, boxes in enumerate(found):  # of equal scores the order decides, and repeating a picture changes that
        boxes[:, 4] += np.arange(len(boxes))[::-1] * 1e-6 + row * 1e-4
    counts = np.random.default_rng(0).integers(0, 4, len(truths))
    rows = np.repeat(np.arange(len(truths)), counts)
    repeated = Judged([truths[row] for row in rows], [found[row] for row in rows], CLASSES)
    weighted = own(Judged(truths, found, CLASSES), counts[None].astype(float))
    np.testing.assert_allclose(weighted, repeated.reference, rtol=0, atol=1e-12)


def test_a_class_that_no_resample_holds_is_left_out_of_the_mean() -> None:
    truths, found = world(8)
    judged = Judged(truths, found, CLASSES)
    rare = np.array([(truth[:, 4] == 2).any() for truth in truths])
    weights = np.stack([np.ones(len(truths)), ~rare]).astype(float)
    value = mean_precision([judged.matches("all", k) for k in range(CLASSES)], range(10), weights)
    assert value[1] == pytest.approx(own(judged, weights[1:])[:, :2, 0].mean(), abs=1e-12)


def test_without_any_prediction_it_is_zero_and_without_any_box_undefined() -> None:
    truths, _ = world(9)
    nothing = np.empty(len(truths), dtype=object)
    nothing[:] = [np.empty((0, 6))] * len(truths)
    column = np.empty(len(truths), dtype=object)
    column[:] = truths
    metric, *_ = detection_metrics(["a", "b", "c"])
    assert metric.score({"boxes": column}, Prediction({"boxes": nothing})) == 0.0
    bare = np.empty(len(truths), dtype=object)
    bare[:] = [np.empty((0, 10))] * len(truths)
    assert np.isnan(metric.score({"boxes": bare}, Prediction({"boxes": nothing})))
