"""One part of the benchmark of speech, in a process of its own.

python -m benchmarks._speech_cell yesno DRAW
python -m benchmarks._speech_cell digits BACKBONE SPEAKERS
python -m benchmarks._speech_cell whisper EPOCHS
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import headstart
from benchmarks._data import data_folder, own_cache
from headstart.kernel.progress import Quiet

TEST, FOLD = 30, 5


def yesno(draw: int) -> dict[str, Any]:
    """Error rate on 30 recordings, in percent, and the seconds of the whole fit, from the files on."""
    with tempfile.TemporaryDirectory() as folder, own_cache():
        table = yesno_table(Path(folder), draw)
        began = time.monotonic()
        rows, lines = pd.read_csv(table), Path(folder) / "lines.txt"
        lines.write_text("\n".join(rows[rows["split"] != "test"]["transcript"]) + "\n", encoding="utf-8")
        run = headstart.fit(
            table,
            out=Path(folder) / "run",
            backbone="log_mel",
            tuning="head_only",
            scratch=False,
            settings={"tuning": {"keep": "last", "refit": True}, "task": {"language": str(lines), "beam": 8}},
            reporter=Quiet(),
        )
        seconds = time.monotonic() - began
        figures = run.metrics["test"]
    return {"draw": draw, "wer": figures["wer"]["value"], "cer": figures["cer"]["value"], "seconds": seconds}


def yesno_table(folder: Path, draw: int) -> Path:
    """A table with paths, transcripts and a split: 30 for the test, 6 for validation, 24 to train on."""
    source = data_folder() / "data" / "speech_yesno"
    frame = pd.read_csv(source / "index.csv")
    order = np.random.default_rng(draw).permutation(len(frame))
    parts = np.array(["train"] * len(frame), dtype=object)
    parts[order[:TEST]], parts[order[TEST : TEST + 6]] = "test", "val"
    frame = frame.assign(split=parts, file=[str(source / name) for name in frame["file"]])
    path = folder / "yesno.csv"
    frame.to_csv(path, index=False)
    return path


def digits(backbone: str, speakers: int) -> dict[str, Any]:
    """Accuracies of the probe on speakers that it has not heard, and on random takes of those that it has."""
    source = data_folder() / "data" / "speech_fsdd"
    frame = pd.read_csv(source / "index.csv").drop(columns="split")
    frame = frame.assign(file=[str(source / name) for name in frame["file"]])
    names = sorted(frame["speaker"].unique())[:speakers]
    found: dict[str, Any] = {"each": {}}
    for name in names:
        parts = np.where(frame["speaker"] == name, "test", "train")
        found["each"][name] = _probe(frame.assign(split=parts), backbone, group="speaker")[0]
    held = np.random.default_rng(0).random(len(frame)) < 1 / FOLD
    found["random"], notes = _probe(frame.assign(split=np.where(held, "test", "train")), backbone)
    found["unseen"] = float(np.mean(list(found["each"].values())))
    found["warned"] = any("both sides of the split" in note for note in notes)
    return found


def _probe(frame: pd.DataFrame, backbone: str, **roles: Any) -> tuple[float, list[str]]:
    with tempfile.TemporaryDirectory() as folder:
        run = headstart.fit(
            frame,
            out=Path(folder) / "run",
            label="label",
            part="split",
            backbone=backbone,
            scratch=False,
            label_curve=False,
            reporter=Quiet(),
            **roles,
        )
        return float(run.metrics["test"]["accuracy"]["value"]), list(run.record.data.notes)


def whisper(epochs: int) -> dict[str, Any]:
    """Error rates before and after, and what an epoch costs with kept states and without."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        table = yesno_table(Path(folder), 1)
        for name, tuning, more in (("kept", "partial", {"depth": "decoder"}), ("all", "full", {})):
            run = headstart.fit(
                table,
                out=Path(folder) / name,
                backbone=os.environ["WHISPER"],
                tuning=tuning,
                scratch=False,
                settings={"tuning": {"epochs": epochs, "patience": epochs, **more}},
                reporter=Quiet(),
            )
            arms = run.record.arms
            # the fine-tuning, whether it is the model or not
            own = max(arms.values(), key=lambda arm: len(arm.history))
            history = own.history
            found[name] = {
                "wer": own.figures["wer"].model_dump(),
                "seconds_each_epoch": float(np.mean([epoch.seconds for epoch in history])) if history else None,
                "epochs": len(history),
                "val_wer": [float(epoch.val_metric) for epoch in history],
                "arms": {key: arm.figures["wer"].model_dump() for key, arm in arms.items()},
                "comparisons": [one.model_dump() for one in run.record.comparisons],
            }
    kept, every = found["kept"], found["all"]
    start = next((one for one in kept["comparisons"] if one["metric"] == "wer"), None)
    found["time"] = kept["seconds_each_epoch"] / every["seconds_each_epoch"]
    found["gain_low"] = None if start is None else start["difference"]["low"]
    found["against_all"] = kept["wer"]["value"] - every["wer"]["value"]
    found["not_worse"] = float(start is not None and start["verdict"] != "worse")
    return found


if __name__ == "__main__":
    kind, *given = sys.argv[1:]
    with contextlib.redirect_stdout(sys.stderr):
        if kind == "digits":
            answer = digits(given[0], int(given[1]))
        else:
            answer = (yesno if kind == "yesno" else whisper)(int(given[0]))
    print(json.dumps(answer))
