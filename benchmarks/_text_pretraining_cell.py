"""One cell of the benchmark of pretraining on texts, in a process of its own: a start on one draw of labels.

python -m benchmarks._text_pretraining_cell BACKBONE COUNT DRAW SEEN
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import headstart
from benchmarks._data import own_cache
from benchmarks._reviews import few_reviews

ENCODER = "all-MiniLM-L6-v2"

LENGTH = {"max_length": 128}
"""Tokens of a review that are read, by every start."""


def cell(backbone: str, count: int, draw: int, seen: int) -> dict[str, Any]:
    """Test accuracy of the probe on the frozen start, and of full fine-tuning from it that sees so many texts."""
    with own_cache(), tempfile.TemporaryDirectory() as folder:
        run = headstart.fit(
            few_reviews(count, draw),
            text="text",
            label="label",
            part="part",
            backbone=backbone,
            tuning="full",
            scratch=False,
            seed=draw,
            out=Path(folder) / "run",
            settings={"tuning": {"epochs": seen // count}, **({"backbone": LENGTH} if backbone == ENCODER else {})},
        )
        arms = run.record.arms
    return {
        name: float(arms[arm].figures["accuracy"].value) for name, arm in (("probe", "probe"), ("fine_tuned", "model"))
    }


if __name__ == "__main__":
    start, number, which, texts = sys.argv[1:]
    with contextlib.redirect_stdout(sys.stderr):
        answer = cell(start, int(number), int(which), int(texts))
    print(json.dumps(answer))
