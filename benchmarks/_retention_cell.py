"""One fine-tuning of the CIFAR-10 ResNet-20 by an objective, in a process of its own.

python -m benchmarks._retention_cell source SEED OUT         a run on MNIST, whose knowledge others are to keep
python -m benchmarks._retention_cell target OBJECTIVE DATA SHARE SEED BACKBONE

Every class of the target gives that share of at most 100 pictures, drawn by the seed; the test part stays the same.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import headstart
from benchmarks._cifar_resnet import timm_folder
from benchmarks._data import data_folder
from benchmarks._drawn_pictures import drawn_pictures

WEIGHTS = "weights/cifar10_resnet/resnet20-12fca82f.th"
SOURCE, SOURCE_PER_CLASS, PER_CLASS = "mnist", 60, 100
EPOCHS = {"source": 8, "target": 12}


def fit(data: Any, backbone: str, out: Path, objective: str, seed: int, epochs: int) -> Any:
    """Every stage moves, at the same rates and for as many steps with each objective, whose last weights are kept."""
    tuning = {"epochs": epochs, "batch_size": 16, "patience": epochs, "learning_rate": 1e-3, "keep": "last"}
    return headstart.fit(
        data,
        out=out,
        image="input",
        label="label",
        part="part",
        backbone=backbone,
        tuning="full",
        objective=objective,
        seed=seed,
        scratch=False,
        label_curve=False,
        settings={"tuning": tuning},
        overwrite=True,
    )


def target(objective: str, name: str, share: float, seed: int, backbone: str) -> dict[str, Any]:
    """Test accuracy, and that of the old head on the old test part before and after, where the backbone is a run."""
    with tempfile.TemporaryDirectory() as folder:
        frame = drawn_pictures(name, max(2, round(share * PER_CLASS)), seed)
        run = fit(frame, backbone, Path(folder) / "run", objective, seed, EPOCHS["target"])
        old = run.record.forgetting
        forgot = {} if old is None else {"before": old.before["accuracy"].value, "after": old.after["accuracy"].value}
        return {"accuracy": run.metrics["test"]["accuracy"]["value"], "probe": _probe(run), **forgot}


def _probe(run: Any) -> float:
    return float(run.record.arms["probe"].figures["accuracy"].value)


def source(seed: int, out: Path) -> dict[str, Any]:
    """A run on digits in files, so that others can read them again; with the CIFAR-10 head beside it for co-tuning."""
    backbone = (
        timm_folder(data_folder() / WEIGHTS, 20, out / "cifar") if not (out / "cifar").exists() else out / "cifar"
    )
    frame = drawn_pictures(SOURCE, SOURCE_PER_CLASS, seed)
    (out / "digits").mkdir(exist_ok=True)
    for row, content in enumerate(frame["input"]):
        (out / "digits" / f"{row}.png").write_bytes(content)
    frame["input"] = [f"digits/{row}.png" for row in range(len(frame))]
    frame.to_csv(out / "digits.csv", index=False)
    run = fit(str(out / "digits.csv"), str(backbone), out / "run", "supervised", seed, EPOCHS["source"])
    return {"accuracy": run.metrics["test"]["accuracy"]["value"]}


if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):
        if sys.argv[1] == "source":
            answer = source(int(sys.argv[2]), Path(sys.argv[3]))
        else:
            answer = target(sys.argv[2], sys.argv[3], float(sys.argv[4]), int(sys.argv[5]), sys.argv[6])
    print(json.dumps(answer))
