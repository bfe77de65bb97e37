"""Is it worth learning from digits without labels before ten of each get one?

The embedded backbone goes on learning by VICReg on 9600 digits of MNIST, without labels, for ten minutes. Its views
are crops of half a digit at least, turned and bent a little and never mirrored, of 32 pixels. Then come 10 labels per
class, in several draws: fine-tuning with the probe's head (LP-FT) from what was learnt and from the embedded weights
as they were, and from scratch (the same network, the best of three learning rates on validation, each for as long as
the fine-tuning), all with the same augmentation; and a logistic regression on principal components of the same
digits. Objective, views, way of fine-tuning and the side that each start sees digits at (32 pixels, but 64 for the
embedded weights as they were) did best on scikit-learn's digits. The same 400 other digits test them all. Two
fine-tunings run at a time, with a core each. Differences are paired by draw; their 95 % intervals are Student's over
the draws. Finished cells are kept in `results/cells/pretraining.json`, and what was learnt in the folder of temporary
files, so that an interrupted run goes on.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import headstart
from benchmarks._cells import cells
from benchmarks._drawn_pictures import undrawn_pictures
from benchmarks._paired import interval_over_draws
from benchmarks._pretraining_cell import RIVALS, SIDE

PER_CLASS = 10
VIEWS = {
    "simclr": {"flip": False, "scale": [0.5, 1.0]},
    "affine": {"rotation": 15.0},
    "elastic": {"magnitude": 0.04},
}


def run(quick: bool, full: bool) -> tuple[dict[str, float | None], dict[str, Any]]:
    """10 minutes without labels, 5 draws, 20 s of fine-tuning; `full`: 30, 10, 60 s; `quick`: 0.5, 2, 10 s."""
    minutes, draws, seconds = (0.5, 2, 10.0) if quick else (30.0, 10, 60.0) if full else (10.0, 5, 20.0)
    learnt = _learnt(60 * minutes)
    ours = _accuracies(str(learnt), draws, seconds)
    found = {rival: _accuracies(rival, draws, seconds) for rival in RIVALS}
    gains = {rival: interval_over_draws(ours - theirs) for rival, theirs in found.items()}
    measured: dict[str, float | None] = {
        "pretraining.over_scratch": gains["scratch"][0],
        "pretraining.over_pca": gains["pca"][1],
        "pretraining.over_embedded": gains["embedded"][1],
    }
    means = {name: round(float(values.mean()), 1) for name, values in {"learnt": ours, **found}.items()}
    rounded = {rival: [round(value, 1) for value in gain] for rival, gain in gains.items()}
    said = headstart.load(learnt).verdict
    details = {"minutes": minutes, "draws": draws, "seconds": seconds, "accuracy": means, "gains": rounded}
    return measured, {**details, "said": said}


def _learnt(seconds: float) -> Path:
    """The run of the backbone that learnt without labels."""
    folder = Path(tempfile.gettempdir(), f"headstart-mnist-{seconds:g}")
    if (folder / "record.json").exists():
        return folder
    with tempfile.TemporaryDirectory() as home:
        for number, picture in enumerate(undrawn_pictures("mnist")):
            Path(home, f"{number:05d}.png").write_bytes(picture)
        headstart.pretrain(
            home,
            backbone="embedded",
            objective="vicreg",
            augmentation="+".join(VIEWS),
            settings={"augmentation": VIEWS, "training": {"batch_size": 128}, "backbone": {"image_size": SIDE}},
            budget=seconds,
            out=folder,
        )
    return folder


def _accuracies(start: str, draws: int, seconds: float) -> np.ndarray:
    """(draws,) in percent."""
    names = [[start, str(PER_CLASS), str(draw), f"{seconds:g}"] for draw in range(draws)]
    return 100 * np.array([one["accuracy"] for one in cells("pretraining", "benchmarks._pretraining_cell", names)])
