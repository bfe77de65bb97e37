"""Is a backbone that is trained towards the target worth more than a head on kept features? MCC both ways, on PACS.

Each of six pairs: `headstart fit SOURCE --target T --tuning partial --objective mcc` on the ImageNet MobileNetV2, whose
last stages move, beside the head that the same objective trains on kept features, and beside the source model. The
objective and its settings were fixed beforehand, and no label of the target is read before accuracy is told.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

import headstart
from benchmarks._data import data_folder
from benchmarks._domain_features import pictures_of
from benchmarks._paired import mean_interval
from benchmarks.against_skada_deep import PAIRS
from benchmarks.pacs import NETWORKS
from headstart.contracts.domains import Domains
from headstart.engine.training.on_features import FeatureTraining, train_on_features
from headstart.objectives.mcc import MCC
from headstart.pipeline.adaptation.candidates import logits_of, solver
from headstart.tasks.classification.task import BoundClassification, Classification

EPOCHS = 8


def run(quick: bool, full: bool) -> tuple[dict[str, float | None], dict[str, Any]]:
    """Six pairs (`quick`: one)."""
    del full
    found = [_one(*pair) for pair in (PAIRS[:1] if quick else PAIRS)]
    gains = {key: [one["end_to_end"] - one[key] for one in found] for key in ("source_model", "on_features")}
    measured: dict[str, float | None] = {
        "pacs_end_to_end.gain": float(np.mean(gains["source_model"])),
        "pacs_end_to_end.more": mean_interval(gains["on_features"])[2],
    }
    intervals = {key: [round(value, 2) for value in mean_interval(values)] for key, values in gains.items()}
    return measured, {"epochs": EPOCHS, "gains": intervals, "pairs": found}


def _one(source: str, target: str) -> dict[str, Any]:
    """Accuracies on the target in percent."""
    one, other = pictures_of(source, NETWORKS[0]), pictures_of(target, NETWORKS[0])
    classes = int(one.labels.max()) + 1
    task = BoundClassification(
        settings=Classification(), classes=tuple(map(str, range(classes))), counts=(len(one.labels),) * classes
    )
    domains = Domains(one.features, one.labels, classes, other.features, one.features[:0], one.labels[:0])
    plain = solver(task, None, 0)(one.features, one.labels, None).logits(other.features)
    torch.set_num_threads(2)
    kept = logits_of(train_on_features(domains, MCC(), task, FeatureTraining(), 0).head, other.features)
    seconds, deep = _end_to_end(source, target)
    return {
        "pair": [source, target],
        "source_model": _percent(plain.argmax(axis=1) == other.labels),
        "on_features": _percent(kept.argmax(axis=1) == other.labels),
        "end_to_end": _percent(deep),
        "seconds": round(seconds, 1),
    }


def _end_to_end(source: str, target: str) -> tuple[float, np.ndarray]:
    """Seconds of the training, and for each picture of the target whether it was right."""
    folder = data_folder() / "data" / "da_pacs"
    with tempfile.TemporaryDirectory() as out:
        run = headstart.fit(
            str(folder / source),
            target=str(folder / target),
            out=Path(out) / "run",
            backbone=str(data_folder() / "weights" / NETWORKS[0]),
            tuning="partial",
            objective="mcc",
            settings={"tuning": {"epochs": EPOCHS}},
            scratch=False,
            label_curve=False,
        )
        rows = pd.read_csv(run.folder / "target_predictions.csv")
        truth = [Path(path).parent.name for path in rows["origin"]]
        return run.record.arms["model"].seconds, np.asarray(rows["prediction"].astype(str) == truth)


def _percent(right: np.ndarray) -> float:
    return round(100 * float(np.mean(right)), 2)
