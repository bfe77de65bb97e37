"""Records of runs that never took place, for the tests of the report."""

from __future__ import annotations

import base64
import io
import math
from pathlib import Path

import numpy as np
from PIL import Image

from headstart.contracts.panels import Bin, Matrix, Reliability, Table
from headstart.kernel.files import write_json
from headstart.pipeline.record import (
    Arm,
    Card,
    Comparison,
    DataIssue,
    DataSummary,
    Decision,
    Epoch,
    FigureRow,
    FrozenPass,
    PartRow,
    RunRecord,
    SliceRow,
    StageRow,
)
from metric_infos import metric_infos


def write_record(run: Path, record: RunRecord) -> None:
    write_json(run / "record.json", record.model_dump(mode="json"))


def figure(value: float, half: float, n: int = 153, *, most: float = math.inf) -> FigureRow:
    return FigureRow(value=value, low=value - half, high=min(value + half, most), n=n)


def history(epochs: int, start: float, end: float, best: float) -> tuple[Epoch, ...]:
    rows = []
    for epoch in range(1, epochs + 1):
        done = 1 - math.exp(-4 * epoch / epochs)
        rows.append(
            Epoch(
                epoch=epoch,
                train_loss=start + (end - start) * done,
                val_loss=start + (0.25 + end - start) * done + 0.2 * (epoch / epochs) ** 3,
                val_metric=0.5 + (best - 0.5) * done + 0.01 * math.sin(3 * epoch),
                learning_rate=1e-3 * (1 + math.cos(math.pi * epoch / epochs)) / 2,
                seconds=3.2 + 0.1 * math.sin(epoch),
            )
        )
    return tuple(rows)


def thumbnail(seed: int, size: int = 96) -> str:
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(40, 230, (6, 8, 3), dtype=np.uint8))
    stream = io.BytesIO()
    small.resize((size * 4 // 3, size), Image.Resampling.BICUBIC).save(stream, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()


def matrix(names: tuple[str, ...], seed: int = 0) -> Matrix:
    rng = np.random.default_rng(seed)
    counts = rng.poisson(2.2, (len(names), len(names))) + np.diag(rng.integers(20, 60, len(names)))
    return Matrix(
        title="Confusion matrix",
        note="True classes in rows, predicted ones in columns.",
        names=names,
        counts=tuple(tuple(int(count) for count in row) for row in counts),
    )


def reliability() -> Reliability:
    sizes = (3, 5, 9, 12, 31, 93)
    bins = [Bin(confidence=0.5 + 0.085 * i, accuracy=min(0.42 + 0.1 * i, 0.97), n=n) for i, n in enumerate(sizes)]
    return Reliability(title="Reliability", note="Confidence after temperature scaling.", bins=tuple(bins))


def stages(frozen: int = 4) -> tuple[StageRow, ...]:
    sizes = (9_536, 147_968, 525_568, 2_099_712, 8_393_728)
    return tuple(
        StageRow(
            name=name,
            parameters=size,
            state="frozen" if i < frozen else "trained",
            learning_rate=0 if i < frozen else 1e-4,
        )
        for i, (name, size) in enumerate(zip(("stem", "layer1", "layer2", "layer3", "layer4"), sizes))
    )


def classification(names: tuple[str, ...] = ("ants", "bees")) -> RunRecord:
    """A run with all three arms, in which transfer helps."""
    arms = {
        "model": Arm(
            title="resnet18, fine-tuned from layer4",
            figures={
                "accuracy": figure(0.954, 0.032, most=1),
                "balanced_accuracy": figure(0.951, 0.034, most=1),
                "macro_f1": figure(0.953, 0.033, most=1),
                "roc_auc": figure(0.987, 0.012, most=1),
                "log_loss": figure(0.142, 0.061),
                "ece": figure(0.031, 0.018),
            },
            history=history(20, 0.70, 0.05, 0.955),
            seconds=83.4,
            chosen={"best_epoch": 13, "temperature": 1.31, "learning_rate": 0.0003},
            stopped="no better for 7 epochs",
        ),
        "probe": Arm(
            title="linear probe on resnet18",
            figures={
                "accuracy": figure(0.915, 0.043),
                "balanced_accuracy": figure(0.911, 0.044),
                "macro_f1": figure(0.914, 0.043),
                "roc_auc": figure(0.971, 0.021),
                "log_loss": figure(0.221, 0.072),
                "ece": figure(0.042, 0.02),
            },
            seconds=4.1,
            chosen={"regularisation": 0.1},
        ),
        "scratch": Arm(
            title="resnet18 from scratch",
            figures={
                "accuracy": figure(0.686, 0.072),
                "balanced_accuracy": figure(0.681, 0.073),
                "macro_f1": figure(0.675, 0.074),
                "roc_auc": figure(0.744, 0.08),
                "log_loss": figure(0.631, 0.09),
                "ece": figure(0.093, 0.035),
            },
            history=history(25, 0.71, 0.55, 0.69),
            seconds=215.0,
            chosen={"best_epoch": 21, "learning_rate": 0.01},
            stopped="the time budget was used up",
        ),
    }
    comparisons = (
        Comparison(against="probe", metric="accuracy", difference=figure(0.039, 0.041), verdict="not significant"),
        Comparison(against="scratch", metric="accuracy", difference=figure(0.268, 0.074), verdict="better"),
        Comparison(against="probe", metric="log_loss", difference=figure(0.079, 0.05), verdict="better"),
        Comparison(against="scratch", metric="log_loss", difference=figure(0.489, 0.09), verdict="better"),
    )
    return RunRecord(
        headstart="0.1.0",
        name="ants-bees",
        verdict="Transfer helps: fine-tuned resnet18 names 95.4 % of the test images rightly, 26.8 points more than "
        "training from scratch. Against the frozen probe no difference is shown.",
        command="headstart fit photos/ --out runs/ants-bees --backbone resnet18 --seed 7",
        started="2026-11-21T14:03:22+00:00",
        seed=7,
        task="classification",
        primary_metric="accuracy",
        metrics=metric_infos("accuracy", "balanced_accuracy", "macro_f1", "roc_auc", "log_loss", "ece"),
        data=data(names),
        backbone="resnet18",
        backbone_origin="timm/resnet18.a1_in1k, weights from the local hub cache",
        backbone_licence="apache-2.0",
        stages=stages(),
        decisions=(
            Decision(what="backbone", value="resnet18", reason="the best of 3 probed models on validation"),
            Decision(what="first trained stage", value="layer4", reason="the last stage suffices for 244 examples"),
            Decision(what="runner", value="eager float32", reason="no faster runner is installed"),
        ),
        arms=arms,
        comparisons=comparisons,
        slices=(
            SliceRow(column="camera", value="phone", n=88, figures={"accuracy": figure(0.966, 0.04, 88, most=1)}),
            SliceRow(column="camera", value="museum scan", n=43, figures={"accuracy": figure(0.977, 0.05, 43, most=1)}),
            SliceRow(column="camera", value="microscope", n=22, figures={"accuracy": figure(0.818, 0.15, 22)}),
        ),
        worst_slice="camera = microscope",
        panels=(matrix(names), reliability(), per_class(names)),
        mistakes=image_mistakes(names, 14),
        frozen_pass=FrozenPass(computed=1800, reused=200, seconds={"prepare": 20.1, "runner": 18.2, "store": 0.3}),
        times={"scan": 1.3, "features": 21.7, "probe": 4.1, "fine-tuning": 83.4, "from scratch": 215.0, "report": 0.4},
        versions={"python": "3.11.9", "torch": "2.9.0", "timm": "1.0.20", "scikit-learn": "1.7.2"},
        machine={"processor": "2 cores, AVX-512", "memory": "16 GB", "accelerator": "none", "system": "Linux 6.1"},
    )


def data(names: tuple[str, ...]) -> DataSummary:
    return DataSummary(
        source="photos/",
        seen=f"a folder of {len(names)} class folders",
        modality="image",
        parts=tuple(
            PartRow(name=part, examples=n * len(names), groups=n, classes={name: n + i for i, name in enumerate(names)})
            for part, n in (("train", 98), ("val", 24), ("test", 76))
        ),
        unreadable=(
            DataIssue(origin="ants/IMG_0031.jpg", reason="is empty (0 bytes)"),
            DataIssue(origin="bees/holiday copy (2).jpg", reason="is not an image that Pillow can read"),
        ),
        duplicates=6,
        notes=("5 images are larger than 4000 pixels and were decoded at reduced size.",),
    )


def per_class(names: tuple[str, ...]) -> Table:
    rows = tuple((name, 70 + i, 0.9 + 0.005 * i, 0.88, 0.891, None) for i, name in enumerate(names))
    header = ("class", "n", "precision", "recall", "f1", "average error")
    return Table(title="Figures per class", header=header, rows=rows)


def image_mistakes(names: tuple[str, ...], count: int) -> tuple[Card, ...]:
    return tuple(
        Card(
            row=i,
            truth=names[i % len(names)],
            predicted=names[(i + 1) % len(names)],
            weight=0.99 - 0.02 * i,
            weight_text=f"{99 - 2 * i} % sure",
            origin=f"test/{names[i % len(names)]}/IMG_{1000 + 37 * i}.jpg",
            thumbnail=thumbnail(i),
        )
        for i in range(count)
    )
