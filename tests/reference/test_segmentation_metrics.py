"""Dice, IoU and the Hausdorff distance against longhand versions, scikit-learn and MONAI, on real shapes and at their
edges."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score, jaccard_score

from head_shapes import SHAPES
from headstart.contracts.panels import Table
from headstart.contracts.prediction import Prediction
from headstart.contracts.presentation import presentation_of
from headstart.evidence.comparison import figures
from headstart.media.framing import Whole
from headstart.media.masks import encode_mask
from headstart.tasks.segmentation import mask_overlap
from headstart.tasks.segmentation.mask_overlap import hausdorff95
from headstart.tasks.segmentation.task import Segmentation
from masked_pictures import blobs_mask, masked_pictures


def border(area: np.ndarray) -> list[tuple[int, int]]:
    """Pixels of an area with a neighbour outside it or outside the picture."""
    height, width = area.shape
    found = []
    for y, x in zip(*np.nonzero(area)):
        around = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
        if any(not (0 <= a < height and 0 <= b < width) or not area[a, b] for a, b in around):
            found.append((int(y), int(x)))
    return found


def longhand(one: np.ndarray, other: np.ndarray, spacing: tuple[float, float]) -> float:
    """Every distance between two borders, then the percentiles."""
    first, second = border(one), border(other)

    def nearest(place: tuple[int, int], places: list[tuple[int, int]]) -> float:
        return min(math.hypot((place[0] - y) * spacing[0], (place[1] - x) * spacing[1]) for y, x in places)

    there, back = [nearest(p, second) for p in first], [nearest(p, first) for p in second]
    return float(max(np.percentile(there, 95), np.percentile(back, 95)))


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.7, 2.5)])
@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(range(5), 2)))
def test_the_hausdorff_distance_is_that_of_all_pairs_of_border_pixels(
    one: int, other: int, spacing: tuple[float, float]
) -> None:
    first, second = blobs_mask(one) > 0, blobs_mask(other) > 0
    assert hausdorff95(first, second, spacing) == pytest.approx(longhand(first, second, spacing), abs=1e-9)


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.7, 2.5)])
def test_monai_finds_the_same_distances(spacing: tuple[float, float]) -> None:
    monai = pytest.importorskip("monai.metrics", reason="monai is not installed: pip install 'headstart[bench]'")
    areas = [blobs_mask(seed, 40) == 1 for seed in range(6)]
    first, second = (torch.from_numpy(np.stack(some))[:, None].float() for some in (areas[:5], areas[1:]))
    expected = monai.compute_hausdorff_distance(
        first, second, include_background=True, percentile=95, spacing=list(spacing)
    )
    found = [hausdorff95(one, other, spacing) for one, other in itertools.pairwise(areas)]
    np.testing.assert_allclose(found, expected[:, 0].numpy(), rtol=1e-5)


def test_known_distances() -> None:
    square, moved, none = np.zeros((3, 20, 20), bool)
    square[5:10, 5:10] = True
    moved[5:10, 8:13] = True
    assert hausdorff95(square, square, (1.0, 1.0)) == 0
    assert hausdorff95(square, moved, (1.0, 1.0)) == 3
    assert hausdorff95(square, moved, (1.0, 0.5)) == 1.5
    assert hausdorff95(square, none, (1.0, 1.0)) == pytest.approx(math.hypot(20, 20))
    assert math.isnan(hausdorff95(none, none, (1.0, 1.0)))


def scored(
    truths: list[int], predictions: list[np.ndarray], spacing: tuple[float, float] | None = None
) -> dict[str, float]:
    examples = masked_pictures(6, spacing)
    task = Segmentation(classes=("background", "outer", "inner")).bind(examples, SHAPES)
    targets = {"mask": task.targets(examples)["mask"][truths]}
    masks = np.empty(len(predictions), dtype=object)
    masks[:] = [encode_mask(Whole(task.image_side).classes(values, 0)) for values in predictions]
    return {metric.name: metric.score(targets, Prediction({"mask": masks})) for metric in task.evaluation.metrics}


def test_the_truth_itself_is_perfect() -> None:
    found = scored([0, 1, 2], [blobs_mask(k) for k in (0, 1, 2)])
    assert all(value == 1 for name, value in found.items() if name.startswith(("dice", "iou")))
    assert found["hd95_px"] == 0


def test_overlaps_are_means_over_pictures_of_means_over_classes() -> None:
    truths, predictions = [blobs_mask(1), blobs_mask(2)], [blobs_mask(4), blobs_mask(5)]
    dice, iou = [], []
    for truth, predicted in zip(truths, predictions):
        counts = [((truth == k) & (predicted == k), truth == k, predicted == k) for k in (1, 2)]
        dice.append(np.mean([2 * both.sum() / (t.sum() + p.sum()) for both, t, p in counts]))
        iou.append(np.mean([both.sum() / (t | p).sum() for both, t, p in counts]))
    found = scored([1, 2], predictions)
    assert found["dice"] == pytest.approx(np.mean(dice)) and found["iou"] == pytest.approx(np.mean(iou))


@pytest.mark.parametrize("seed", [1, 2, 4])
def test_scikit_learn_finds_the_same_overlaps(seed: int) -> None:
    truth, predicted = blobs_mask(seed).ravel(), np.roll(blobs_mask(seed), 3, axis=0)
    found = scored([seed], [predicted])
    for number, name in ((1, "outer"), (2, "inner")):
        pair = truth == number, predicted.ravel() == number
        assert found[f"dice_{name}"] == pytest.approx(f1_score(*pair))
        assert found[f"iou_{name}"] == pytest.approx(jaccard_score(*pair))


def test_a_class_that_neither_mask_has_counts_nowhere_and_one_that_is_only_predicted_scores_zero() -> None:
    assert not (blobs_mask(0) == 2).any() and not (blobs_mask(3) == 2).any()
    found = scored([0, 3], [blobs_mask(0), blobs_mask(3)])
    assert found["dice"] == 1 and math.isnan(found["dice_inner"])
    wrong = blobs_mask(0)
    wrong[0, 0] = 2
    found = scored([0, 3], [wrong, blobs_mask(3)])
    first = 2 * found["dice_outer"] - 1  # of the two pictures the second is perfect
    assert found["dice_inner"] == 0 and found["dice"] == pytest.approx((first / 2 + 1) / 2)


def test_distances_are_in_millimetres_where_pixels_have_a_size() -> None:
    moved = np.roll(blobs_mask(0), 3, axis=1)
    in_pixels, in_mm = scored([0], [moved]), scored([0], [moved], spacing=(2.0, 0.5))
    assert "hd95_mm" not in in_pixels and "hd95_px" not in in_mm
    truth = blobs_mask(0) == 1
    assert in_mm["hd95_mm"] == pytest.approx(longhand(truth, moved == 1, (2.0, 0.5)))
    assert in_pixels["hd95_px"] == pytest.approx(longhand(truth, moved == 1, (1.0, 1.0)))


def test_each_picture_and_class_that_counts_is_measured_once_for_all_metrics_and_exhibits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    measured = []
    monkeypatch.setattr(mask_overlap, "hausdorff95", lambda *pair: measured.append(pair) or hausdorff95(*pair))
    examples = masked_pictures(6)
    task = Segmentation(classes=("background", "outer", "inner")).bind(examples, SHAPES)
    targets, masks = task.targets(examples), np.empty(6, dtype=object)
    masks[:] = [encode_mask(np.roll(blobs_mask(k), 2, axis=0)) for k in range(6)]
    prediction = Prediction({"mask": masks})
    figures(task.evaluation.metrics, targets, prediction, seed=0, resamples=10)
    table = presentation_of(task).panels(prediction, targets)[0]
    figures(task.evaluation.metrics, {"mask": targets["mask"][1:]}, prediction.take(range(1, 6)), seed=0, resamples=10)
    assert len(measured) == 6 * 2
    assert isinstance(table, Table) and table.rows[0][3] is None and table.rows[1][3] is not None
