"""One cell of the benchmark of pretraining on digits, in a process of its own: a start on one draw of labels.

python -m benchmarks._pretraining_cell START PER_CLASS DRAW SECONDS
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import headstart
from benchmarks._data import own_cache
from benchmarks._drawn_pictures import drawn_pictures, undrawn_pictures
from benchmarks._embedded_cell import RATES, TRAINING

RIVALS = ("scratch", "embedded", "pca")
"""Starts beside a run's folder."""

FINE_TUNING = {**TRAINING, "learning_rate": 3e-4, "renew_statistics": True}

SIDE = 32
"""Of the pictures that scratch and what was learnt see, in pixels."""

COMPONENTS = 64


def fitted(start: str, per_class: int, draw: int, seconds: float) -> float:
    """Test accuracy of fine-tuning."""
    scratch = start == "scratch"
    with own_cache(), tempfile.TemporaryDirectory() as folder:
        run = headstart.fit(
            drawn_pictures("mnist", per_class, draw),
            image="input",
            label="label",
            part="part",
            backbone="embedded" if scratch else start,
            weights="random" if scratch else "pretrained",
            tuning="scratch" if scratch else "lp_ft",
            settings={
                "tuning": TRAINING if scratch else FINE_TUNING,
                **({"backbone": {"image_size": SIDE}} if scratch else {}),
            },
            augmentation="standard",
            budget=seconds * (RATES if scratch else 1),
            scratch=False,
            seed=draw,
            out=Path(folder) / "run",
        )
        return float(run.record.arms["model"].figures["accuracy"].value)


def solved(per_class: int, draw: int) -> float:
    """Test accuracy of a logistic regression on principal components of the unlabelled digits."""
    frame = drawn_pictures("mnist", per_class, draw)
    components = PCA(COMPONENTS, random_state=0).fit(_pixels(undrawn_pictures("mnist")))
    train, test = (frame[frame["part"] == part] for part in ("train", "test"))
    strengths = {"logisticregression__C": np.logspace(-4, 2, 7)}
    model = GridSearchCV(make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)), strengths, cv=5)
    model.fit(components.transform(_pixels(train["input"].tolist())), train["label"])
    return float(model.score(components.transform(_pixels(test["input"].tolist())), test["label"]))


def _pixels(pictures: Sequence[bytes]) -> np.ndarray:
    """(pictures, pixels) in [0, 1]."""
    return np.stack([np.asarray(Image.open(io.BytesIO(one)), np.float32).reshape(-1) / 255 for one in pictures])


if __name__ == "__main__":
    given, number, which, time_given = sys.argv[1:]
    with contextlib.redirect_stdout(sys.stderr):
        found = (
            solved(int(number), int(which))
            if given == "pca"
            else fitted(given, int(number), int(which), float(time_given))
        )
    print(json.dumps({"accuracy": found}))
