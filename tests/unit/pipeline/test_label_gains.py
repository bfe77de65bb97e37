"""The transfer gain in labels, from the probe's curve and what another arm reaches with all labels."""

from __future__ import annotations

import math

import numpy as np
import pytest

from headstart.contracts.figures import MetricInfo
from headstart.evidence.label_curve import LabelCurve, Measured
from headstart.pipeline.label_gains import with_gains
from headstart.pipeline.record import Arm, DataSummary, FigureRow, LabelCurveRow, RunRecord

SIZES, LABELLED = np.array([100, 200, 400, 800]), 1000


def curve() -> LabelCurve:
    """A probe whose error is 0.08 + 0.12 (m / 800)^-0.5 of 2000 examples, with hardly any noise."""
    errors = 0.08 + 0.12 * (SIZES / 800) ** -0.5
    noise = np.random.default_rng(0).normal(0, 0.002, (300, 4))
    return LabelCurve(Measured(SIZES, 1 - errors, 1 - errors + noise, 2000, (0.0, 1.0), True))


def gains(shortcoming: str = "", **accuracies: float) -> LabelCurveRow:
    arms = {}
    for key, value in accuracies.items():
        figure = FigureRow(value=value, low=value - 0.004, high=value + 0.004, n=500)
        arms[key] = Arm(title=f"{key} arm", figures={"accuracy": figure}, seconds=1, shortcoming=shortcoming)
    record = RunRecord(
        headstart="0", name="run", verdict="", command="", started="", seed=0, backbone="", backbone_origin="",
        stages=(), decisions=(), task="classification", primary_metric="accuracy",
        metrics={"accuracy": MetricInfo(title="Accuracy", unit="share")},
        data=DataSummary(source="", seen="", modality="table", parts=()), arms=arms,
    )  # fmt: skip
    return with_gains(LabelCurveRow(metric="accuracy", labelled=LABELLED), curve(), record)


@pytest.mark.parametrize("labels", [150, 400, 700])
def test_an_arm_needs_all_labels_where_the_probe_needs_those_on_its_curve(labels: int) -> None:
    (gain,) = gains(scratch=1 - (0.08 + 0.12 * (labels / 800) ** -0.5)).gains
    assert gain.value == pytest.approx(LABELLED / labels, rel=0.12)
    assert gain.low < LABELLED / labels < gain.high
    assert f"it needs {gain.value:.2g} times as many as the probe ({gain.low:.2g} to {gain.high:.2g}" in gain.sentence


@pytest.mark.parametrize(
    ("accuracy", "value", "words"),
    [
        (0.5, math.inf, "for its Accuracy 50.0 % it needs more than 10 times as many as the probe."),
        (0.999, 0.0, "no number of them is expected to give the probe its Accuracy 99.9 %."),
    ],
)
def test_off_the_curve_a_bound_is_said(accuracy: float, value: float, words: str) -> None:
    (gain,) = gains(classical=accuracy).gains
    assert gain.value == value
    assert gain.sentence == f"Labels against classical arm: {words}"


def test_a_scratch_that_was_cut_short_gives_an_upper_bound() -> None:
    first, second = gains("cut off after 1 of 67 epochs", scratch=0.75, classical=0.7).gains
    assert first.sentence.endswith("; scratch was cut off after 1 of 67 epochs, so this is an upper bound.")
    assert (first.against, second.against) == ("scratch", "classical")


def test_without_an_interval_there_is_no_gain() -> None:
    assert gains(scratch=math.nan).gains == ()
