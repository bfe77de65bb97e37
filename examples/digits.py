"""Two starts for few labels without any network: a run of one's own, and the backbone that ships inside.

Real handwritten digits that come with scikit-learn. A small convolutional network learns the digits 0-4 from all their
labels. That run is then the backbone for the digits 5-9 with 5 labels per class, against the same network from scratch:
same labels, same augmentation, the best of three learning rates on the same validation images. Beside them stands a
probe on the embedded backbone, which learnt from generated pictures and has never seen a digit: one frozen pass.

    python examples/digits.py [FOLDER]
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image
from sklearn.datasets import load_digits

import headstart
from headstart.cli.terminal import RichReporter
from headstart.contracts.metric import SHARE
from headstart.pipeline.numbers import figure_text
from headstart.pipeline.record import RunRecord
from headstart.pipeline.run_folder import write_record
from headstart.pipeline.seeds import sum_up
from headstart.present.report.write import report

LABELS_PER_CLASS = 5
DRAWS = 6
SCRATCH = {
    "epochs": 60,
    "patience": 60,
    "learning_rate": 1e-3,
    "head_learning_rate": 1e-3,
    "rates_tried": [0.3, 1.0, 3.0],
    "weight_decay": 0.05,
    "renew_statistics": True,
}
TRANSFER = {**SCRATCH, "rates_tried": [3.0], "renew_statistics": False}
"""The same schedule at one rate only: training from scratch has the better of it. BatchNorm keeps the statistics that
the backbone brings, so that training starts from the head that the probe has solved."""


def write_images(folder: Path) -> pd.DataFrame:
    """Write every digit as a PNG in a folder of its class; returns a frame with the columns image and label."""
    images, labels = load_digits(return_X_y=True)
    rows = []
    for number, (pixels, label) in enumerate(zip(images.reshape(-1, 8, 8), labels)):
        half = "digits-0-4" if label < 5 else "digits-5-9"
        path = folder / half / str(label) / f"{number:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((pixels * 255 / 16).astype(np.uint8)).save(path)
        rows.append((str(path), str(label)))
    return pd.DataFrame(rows, columns=["image", "label"])


def draw_labels(digits: pd.DataFrame, draw: int) -> pd.DataFrame:
    """Five images per class to train on, five to validate on, all others to test."""
    shuffled = digits.sample(frac=1, random_state=draw)
    place = shuffled.groupby("label").cumcount()
    part = np.select([place < LABELS_PER_CLASS, place < 2 * LABELS_PER_CLASS], ["train", "val"], "test")
    return shuffled.assign(part=part)


def fit_draws(digits: pd.DataFrame, folder: Path, name: str, reporter: RichReporter, **how: Any) -> list[headstart.Run]:
    """A run on each draw of labels, fitted as `how` says, in folders that begin with `name`."""
    runs = []
    for draw in range(DRAWS):
        run = headstart.fit(
            draw_labels(digits, draw),
            out=folder / f"{name}-draw-{draw + 1}",
            image="image",
            label="label",
            part="part",
            seed=draw,
            overwrite=True,
            reporter=reporter,
            **how,
        )
        reporter.say(f"draw {draw + 1}: {run.verdict}")
        runs.append(run)
    return runs


def summed_up(runs: list[headstart.Run], folder: Path) -> tuple[RunRecord, Path]:
    """The means over the draws, each of which has a seed of its own, with their report."""
    record = sum_up(runs, folder)
    write_record(folder, record)
    return record, report(folder)


def main(folder: Path) -> None:
    """Run the demonstration in `folder`."""
    started = time.monotonic()
    reporter = RichReporter()
    digits = write_images(folder / "data")
    reporter.say("1. A small network learns the digits 0-4 from scratch, from all their labels")
    source = headstart.fit(
        folder / "data" / "digits-0-4",
        out=folder / "digits-0-4",
        backbone="test_resnet",
        weights="random",
        tuning="scratch",
        augmentation="affine",
        settings={"backbone": {"image_size": 32}, "tuning": {"epochs": 15, "rates_tried": [3.0]}},
        overwrite=True,
        reporter=reporter,
    )
    reporter.say(source.verdict)
    reporter.say(f"2. That run is the backbone for the digits 5-9, {LABELS_PER_CLASS} labels per class, {DRAWS} draws")
    later = digits[digits["label"].isin(list("56789"))]
    recipe = {"augmentation": "affine", "settings": {"tuning": TRANSFER, "scratch": SCRATCH}}
    runs = fit_draws(later, folder, "digits-5-9", reporter, backbone=str(source.folder), tuning="full", **recipe)
    record, page = summed_up(runs, folder)
    reporter.say("3. The same draws with a frozen probe on the backbone that ships inside")
    frozen = fit_draws(later, folder, "embedded", reporter, backbone="embedded", tuning="probe", scratch=False)
    inside, _ = summed_up(frozen, folder / "embedded")
    print()
    arms = {
        "transfer from 0-4": record.arms["model"],
        "frozen probe on 0-4": record.arms["probe"],
        "from scratch": record.arms["scratch"],
        "frozen probe on the embedded backbone": inside.arms["model"],
    }
    for words, arm in arms.items():
        print(f"{words:>37}: accuracy {figure_text(SHARE, arm.figures['accuracy'])}")
    print(f"\n{record.verdict}\nReport: {page}\n({time.monotonic() - started:.0f} s)")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("runs/demo"))
