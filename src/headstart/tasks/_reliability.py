"""The panel of how often predictions are right, by how sure they are."""

from __future__ import annotations

import numpy as np

from headstart.contracts.panels import Bin, Reliability
from headstart.numerics.calibration import BINS, confidence_bins


def reliability(confidence: np.ndarray, right: np.ndarray, note: str) -> Reliability:
    """Compare the confidence in [0, 1] of predictions (predictions,) with which of them are right."""
    member = confidence_bins(confidence)
    bins = [
        Bin(confidence=float(confidence[inside].mean()), accuracy=float(right[inside].mean()), n=int(inside.sum()))
        for inside in (member == b for b in range(BINS))
        if inside.any()
    ]
    return Reliability(title="Reliability", note=note, bins=tuple(bins))
