"""The transfer gain in labels: how many times as many labels another arm needs as the probe for the same accuracy.

What training from scratch reaches with all labels at hand, on the test part, the probe reaches with fewer; its label
curve says with how many. No curve of the other arm is needed, and nothing is extrapolated where the probe is better.
"""

from __future__ import annotations

import math

from headstart.contracts.figures import MetricInfo
from headstart.evidence.label_curve import LabelCurve
from headstart.numerics.bootstrap import quantile
from headstart.pipeline.numbers import value_text
from headstart.pipeline.record import CLASSICAL, Arm, LabelCurveRow, LabelGain, RunRecord


def with_gains(row: LabelCurveRow, curve: LabelCurve | None, record: RunRecord) -> LabelCurveRow:
    """Return the row with the gains over training from scratch and the classical model, if these have an interval."""
    arms = [(key, record.arms[key]) for key in ("scratch", CLASSICAL) if key in record.arms]
    gains = [] if curve is None else [_gain(key, arm, row, curve, record.info(row.metric)) for key, arm in arms]
    return row.model_copy(update={"gains": tuple(gain for gain in gains if gain is not None)})


def _gain(key: str, arm: Arm, row: LabelCurveRow, curve: LabelCurve, info: MetricInfo) -> LabelGain | None:
    figure = arm.figures[row.metric]
    if not math.isfinite(figure.high - figure.low):
        return None
    needed = curve.labels_for(figure.value, (figure.high - figure.low) / (2 * quantile(figure.n)))
    value, low, high = (_times(row.labelled, labels) for labels in (needed.value, needed.high, needed.low))
    gain = LabelGain(against=key, value=value, low=low, high=high)
    most = row.labelled / curve.measured.sizes[0]
    return gain.model_copy(update={"sentence": _sentence(gain, arm, info, figure.value, most)})


def _times(labelled: int, labels: float) -> float:
    """Return all labels as a multiple of those that the probe needs; infinite where its smallest subset does."""
    return labelled / labels if labels else math.inf


def _sentence(gain: LabelGain, arm: Arm, info: MetricInfo, value: float, most: float) -> str:
    """Return "Labels against TF-IDF ...: for its Accuracy 65.2 % it needs 3.1 times as many as the probe ..."."""
    lead = f"Labels against {arm.title}: "
    its = f"for its {info.title} {value_text(info.unit, value)}"
    interval = f"{_text(gain.low, most)} to {_text(gain.high, most)}"
    if gain.low == 0 and math.isinf(gain.high):
        return f"{lead}undecided {its} ({interval} times those of the probe, 90 % interval)."
    if gain.value == 0:
        return f"{lead}no number of them is expected to give the probe {its.removeprefix('for ')}."
    surely = "" if math.isinf(gain.low) else f" ({interval}, 90 % interval)"
    short = f"; scratch was {arm.shortcoming}, so this is an upper bound" if arm.shortcoming else ""
    return f"{lead}{its} it needs {_text(gain.value, most)} times as many as the probe{surely}{short}."


def _text(times: float, most: float) -> str:
    return f"more than {most:.2g}" if math.isinf(times) else f"{times:.2g}" if times < 10 else f"{times:.0f}"
