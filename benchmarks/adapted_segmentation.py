"""Does a model of one laboratory's blood cells segment another's better when it adapts to their pictures unlabelled?

A probe on a frozen backbone is fit on the first laboratory's pictures and predicts all of the second's, as it is and
with each adaptation at test time, at their defaults: nothing was chosen on the second laboratory. The difference in
mean IoU is paired by picture. `full` has a fine-tuned model beside the probe.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from benchmarks._data import data_folder
from headstart import Run, fit
from headstart.contracts.metric import Metric
from headstart.evidence.comparison import compare
from headstart.kernel.errors import DataError
from headstart.kernel.progress import Quiet
from headstart.pipeline.adapted_prediction import predictor_of
from headstart.pipeline.data import read_examples
from headstart.pipeline.unusable import predict_usable

CELLS = Path("data") / "seg_wbc"
WEIGHTS = ("mobilenetv2_100_imagenet", "tf_efficientnet_lite0")
ADAPTATIONS = ("adaptive_batch_norm", "tent")
TUNINGS: dict[str, dict[str, Any]] = {
    "probe": {},
    "full": {"tuning": "full", "augmentation": "affine", "budget": 240, "settings": {"tuning": {"batch_size": 8}}},
}


def run(quick: bool, full: bool) -> tuple[dict[str, float | None], dict[str, Any]]:
    """Two backbones and two adaptations (`quick`: the first of each; `full`: fine-tuned too)."""
    names, kinds = (WEIGHTS[:1], ADAPTATIONS[:1]) if quick else (WEIGHTS, ADAPTATIONS)
    tunings = [*TUNINGS] if full else ["probe"]
    details = {tuning: {name: _moved(name, tuning, kinds) for name in names} for tuning in tunings}
    gain = details["probe"][WEIGHTS[0]][ADAPTATIONS[0]]["gain"]
    return {"adapted_segmentation.gain": gain[0], "adapted_segmentation.gain.low": gain[1]}, details


def _moved(weights: str, tuning: str, kinds: tuple[str, ...]) -> dict[str, Any]:
    """Adaptation -> mean IoU with and without it, and the gain in points with its 95 % interval."""
    with tempfile.TemporaryDirectory() as out:
        backbone = str(data_folder() / "weights" / weights)
        plan = {"backbone": backbone, "scratch": False, "label_curve": False, **TUNINGS[tuning]}
        fitted = fit(data_folder() / CELLS / "dataset1", out=Path(out) / "run", **plan)
        return {kind: _gain(fitted, kind) for kind in kinds}


def _gain(fitted: Run, kind: str) -> dict[str, Any]:
    task, settings = fitted.model.task, fitted.plan.settings.get("format", {})
    examples, _ = read_examples(data_folder() / CELLS / "dataset2", fitted.model.columns, settings=settings)
    targets, iou = task.targets(examples), _iou(task.evaluation.metrics)
    both = []
    for name in (kind, None):
        predictor, notes = predictor_of(fitted, name, {}, Quiet())
        found = predict_usable(predictor, examples)
        if found.prediction is None or found.failures:
            raise DataError(f"pictures of the second laboratory cannot be read: {found.failures}")
        both.append((found.prediction, notes()))
    difference = compare(iou, targets, both[0][0], both[1][0], seed=0).figure
    adapted, plain = (round(100 * iou.score(targets, prediction), 2) for prediction, _ in both)
    gain = [round(100 * end, 2) for end in (difference.value, difference.low, difference.high)]
    return {"iou": adapted, "iou as trained": plain, "gain": gain, "pictures": len(examples), "notes": both[0][1]}


def _iou(metrics: tuple[Metric, ...]) -> Metric:
    return next(metric for metric in metrics if metric.name == "iou")
