"""Records beside the usual one: a regression, negative transfer, and hostile strings everywhere."""

from __future__ import annotations

import math

import numpy as np
from sample_records import classification, data, figure

from headstart.contracts.panels import Scatter, Table
from headstart.pipeline.record import Arm, Card, Comparison, DataIssue, Decision, RunRecord, SliceRow, StageRow
from metric_infos import metric_infos

HOSTILE = '<script>alert("x")</script>&\'"> <img src=http://evil.example/x.png onerror=alert(1)> 🐝🦋'


def regression() -> RunRecord:
    """A run without steps of training, on texts, with numbers to predict."""
    rng = np.random.default_rng(3)
    truth = rng.normal(50, 12, 400)
    predicted = truth + rng.normal(0, 5, 400)
    figures = {"r2": figure(0.812, 0.06, 400), "mae": figure(4.127, 0.4, 400), "rmse": figure(1512.6, 40, 400)}
    text = "A long walk through the old town, with many steps and few benches; bring water. " * 3
    cards = tuple(
        Card(
            row=i,
            truth="71.2",
            predicted="52.0",
            weight=19.2,
            weight_text="off by 19.2",
            origin=f"r.csv:{i}",
            text=text,
        )
        for i in range(5)
    )
    scatter = Scatter(
        title="True against predicted",
        x_label="true value",
        y_label="predicted value",
        x=tuple(truth.tolist()),
        y=tuple(predicted.tolist()),
    )
    base = classification()
    return base.model_copy(
        update={
            "name": "walks",
            "task": "regression",
            "verdict": "The probe explains 81 % of the variance.",
            "primary_metric": "r2",
            "metrics": metric_infos("r2", "mae", "rmse"),
            "arms": {"model": Arm(title="linear probe on MiniLM", figures=figures, seconds=2.0)},
            "comparisons": (),
            "slices": (),
            "worst_slice": "",
            "panels": (scatter,),
            "mistakes": cards,
            "data": data(()),
        }
    )


def negative_transfer() -> RunRecord:
    """Ten classes; scratch is better, the test part has been read thrice, and the split leaks."""
    base = classification(tuple("zero one two three four five six seven eight nine".split()))
    worse = Comparison(against="scratch", metric="accuracy", difference=figure(-0.041, 0.03), verdict="worse")
    leaks = tuple(DataIssue(origin=f"test/{i}.png", reason=f"is a copy of train/{i}.png") for i in range(3))
    return base.model_copy(
        update={
            "name": "digits",
            "verdict": "Transfer hurts here: training from scratch is 4.1 points better. Do not use this model.",
            "negative_transfer": True,
            "comparisons": (worse, *base.comparisons[:1]),
            "test_reads": 3,
            "data": base.data.model_copy(update={"leaks": leaks}),
        }
    )


def hostile() -> RunRecord:
    """Names and texts that would break a careless page, in every place that a user's strings can reach."""
    long = "a-very-long-name-without-any-space" * 12
    base = classification((HOSTILE, long, "bees"))
    card = Card(
        row=0,
        truth=HOSTILE,
        predicted=long,
        weight=1.0,
        weight_text=HOSTILE,
        origin=HOSTILE,
        text=HOSTILE * 20,
        thumbnail="http://evil.example/x.png",
    )
    quoted = card.model_copy(update={"thumbnail": 'data:image/png;base64,AAAA" onerror="alert(1)'})
    return base.model_copy(
        update={
            "name": HOSTILE,
            "verdict": HOSTILE + long,
            "command": f"headstart fit '{HOSTILE}' " + long,
            "backbone": long,
            "backbone_origin": HOSTILE,
            "mistakes": (card, quoted),
            "decisions": (Decision(what=HOSTILE, value=long, reason=HOSTILE),),
            "stages": (StageRow(name=HOSTILE, parameters=0, state=HOSTILE, learning_rate=0.1),),
            "slices": (SliceRow(column=HOSTILE, value=long, n=3, figures={"accuracy": figure(0.5, 0.2)}),),
            "worst_slice": f"{HOSTILE}={long}",
            "times": {HOSTILE: 0.0},
            "versions": {HOSTILE: long},
            "machine": {HOSTILE: HOSTILE},
            "arms": {**base.arms, HOSTILE: base.arms["probe"].model_copy(update={"title": long, "stopped": HOSTILE})},
            "data": base.data.model_copy(
                update={
                    "source": HOSTILE,
                    "seen": long,
                    "notes": (HOSTILE, long),
                    "unreadable": tuple(DataIssue(origin=f"{i}{HOSTILE}", reason=HOSTILE) for i in range(120)),
                }
            ),
            "panels": (
                *base.panels,
                Scatter(title=HOSTILE, note=long, x_label=HOSTILE, y_label=long, x=(1.0, math.nan), y=(2.0, 1.0)),
                Table(title=HOSTILE, header=(HOSTILE, long), rows=((HOSTILE, math.nan), (long, 3.5))),
            ),
        }
    )
