"""Segmentation from the ImageNet MobileNetV2: nuclei with all labels and with 16, blood cells of two laboratories.

Every fit is the product's own, its figures those of its own test part, which nothing was chosen on. With 16 labels the
model and training from scratch see the same pictures, the test part is that of the fit on all labels, and the interval
is over draws of the 16. Training from scratch has what the model leaves of the budget, which is at least about as much.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks._cells import cell
from benchmarks._paired import interval_over_draws

DRAWS = 5
BUDGETS = {"nuclei": 500, "few": 300, "cells": 300}
"""Seconds from the data to the final model; for the nuclei so that judging and report stay within 10 minutes too."""
QUICK = {"nuclei": 60, "few": 120, "cells": 60}


def run(quick: bool, full: bool) -> tuple[dict[str, float | None], dict[str, Any]]:  # noqa: ARG001
    """All figures; with `quick` short trainings and two draws."""
    seconds = QUICK if quick else BUDGETS
    nuclei, cells = _cell("nuclei", seconds["nuclei"]), _cell("cells", seconds["cells"])
    few = [_cell("few", seconds["few"], draw) for draw in range(2 if quick else DRAWS)]
    gain, low, high = interval_over_draws(np.array([one["gain"] for one in few]))
    measured: dict[str, float | None] = {
        "segmentation.nuclei": _figure(nuclei, "dice"),
        "segmentation.nuclei.minutes": nuclei["minutes"],
        "segmentation.nuclei.gain_at_16": gain,
        "segmentation.nuclei.gain_at_16.low": low,
        "segmentation.cells": _figure(cells, "iou"),
    }
    return measured, {"nuclei": nuclei, "few_labels": {"draws": few, "gain": [gain, low, high]}, "cells": cells}


def _cell(*arguments: str | int) -> dict[str, Any]:
    return cell("segmentation", "benchmarks._segmentation_cell", [str(argument) for argument in arguments])


def _figure(found: dict[str, Any], metric: str) -> float:
    return float(found["arms"]["model"]["figures"][metric]["value"])
