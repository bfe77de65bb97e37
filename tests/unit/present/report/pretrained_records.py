"""Records of pretrainings that never took place, for the tests of the report."""

from __future__ import annotations

import math

from sample_records import figure, history, stages, thumbnail

from headstart.engine.training.collapse import MONITORS
from headstart.pipeline.pretraining.gain import KNN, KNN_INFO
from headstart.pipeline.pretraining.record import Gain, PretrainRecord, UnlabelledSummary, ViewRow
from headstart.pipeline.record import Arm, BudgetRow, Comparison, DataIssue, Decision, FigureRow, PartRow, StageRow
from metric_infos import metric_infos


def pretrained() -> PretrainRecord:
    """One that gained, on a labelled sample."""
    epochs = tuple(
        epoch.model_copy(
            update={
                "val_metric": math.nan,
                "monitors": {
                    "feature_std": 0.8 - 0.6 / epoch.epoch,
                    "effective_rank": 40.0 + 2 * epoch.epoch,
                    "knn_accuracy": epoch.val_metric,
                },
            }
        )
        for epoch in history(24, 5.4, 3.1, 0.83)
    )
    return PretrainRecord(
        headstart="0.1.0",
        name="scans",
        verdict=(
            "Trained on 11,990 inputs without labels with simclr for 24 epochs. The features use about 88 of 512 "
            "dimensions. A linear probe on it reaches accuracy 84.1 % (79.2–88.4): +12.3 points (+7.1 to +17.4) over "
            "its start."
        ),
        command="headstart pretrain scans --labelled sample --budget 30m",
        started="2026-11-21T10:00:00+00:00",
        seed=0,
        objective="simclr",
        augmentation="crop (scale (0.2, 1.0)) + flip + colour (brightness 0.4) + blur",
        data=UnlabelledSummary(
            source="scans",
            seen="12,000 pictures",
            modality="image",
            trained=11_990,
            held_out=600,
            unreadable=(DataIssue(origin="a/broken.png", reason="is not an image that Pillow can read"),),
            unreadable_count=1,
            notes=("The pictures are in 3 folders: a (400), b (300) and c (20). If these are classes, …",),
        ),
        backbone="resnet18",
        backbone_origin="random",
        width=512,
        stages=stages(0),
        head=StageRow(name="projector", parameters=330_000, trained=330_000, state="trained", learning_rate=1e-3),
        decisions=(Decision(what="objective", value="simclr", reason="two views of a picture are known again"),),
        start={"loss": 5.5, "feature_std": 0.05, "effective_rank": 2.1, "knn_accuracy": 0.41},
        history=epochs,
        rounds=2,
        metrics={**MONITORS, KNN: KNN_INFO},
        chosen={"precision": "bfloat16"},
        stopped="the budget of 1800 s was used",
        seconds=1790.0,
        views=tuple(
            ViewRow(origin=f"a/{n}.png", pictures=tuple(thumbnail(3 * n + k) for k in range(3))) for n in range(6)
        ),
        gain=_gain("better", figure(0.123, 0.051)),
        times={"listing the data": 2.1, "the probe on the start": 11.0, "training": 1795.2},
        budget=BudgetRow(seconds=1800.0, used=1790.0),
        versions={"torch": "2.9"},
        machine={"cores": "2"},
    )


def harmed() -> PretrainRecord:
    """One whose features became worse."""
    return pretrained().model_copy(update={"gain": _gain("worse", figure(-0.09, 0.05)), "verdict": "WORSE"})


def unjudged() -> PretrainRecord:
    """Of texts, in one epoch, with no labelled sample, and with names that try to be more than names."""
    record = pretrained()
    evil = '<script>alert("x")</script>'
    return record.model_copy(
        update={
            "name": evil,
            "gain": None,
            "views": (ViewRow(origin=evil, pictures=("https://elsewhere.example/x.png",)),),
            "history": record.history[:1],
            "decisions": (),
            "start": {},
            "objective": evil,
            "data": record.data.model_copy(update={"notes": (evil * 20,), "source": "x" * 400}),
        }
    )


def _gain(verdict: str, difference: FigureRow) -> Gain:
    arms = {
        "model": Arm(title="probe on the result", figures={"accuracy": figure(0.841, 0.046)}, seconds=1.0),
        "start": Arm(title="probe on the start", figures={"accuracy": figure(0.718, 0.06)}, seconds=1.0),
        "pca": Arm(title="probe on principal components", figures={"accuracy": figure(0.75, 0.06)}, seconds=1.0),
    }
    return Gain(
        source="sample",
        task="classification",
        primary_metric="accuracy",
        metrics=metric_infos("accuracy"),
        parts=(
            PartRow(name="train", examples=300),
            PartRow(name="val", examples=60),
            PartRow(name="test", examples=153),
        ),
        arms=arms,
        comparisons=(
            Comparison(against="start", metric="accuracy", difference=difference, verdict=verdict),
            Comparison(against="pca", metric="accuracy", difference=figure(0.09, 0.05), verdict="better"),
        ),
    )
