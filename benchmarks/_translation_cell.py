"""One fit of the benchmark of translation, in a process of its own.

python -m benchmarks._translation_cell parent SECONDS PAIRS CHILDREN
python -m benchmarks._translation_cell child SECONDS DRAW PAIRS PARENT
python -m benchmarks._translation_cell scratch SECONDS DRAW PAIRS
python -m benchmarks._translation_cell all SECONDS PAIRS
python -m benchmarks._translation_cell kept PARENT PAIRS
python -m benchmarks._translation_cell retrieval CHILD PAIRS
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from benchmarks._data import data_folder
from benchmarks._harness import CELLS
from headstart import Run, fit
from headstart.contracts.targets import PADDED_TARGET
from headstart.contracts.written_targets import TEXTS
from headstart.engine.streams import Stream
from headstart.pipeline.context import FitContext
from headstart.pipeline.data import Given
from headstart.pipeline.embed import source_from
from headstart.pipeline.plan import Plan
from headstart.pipeline.sequence import start
from headstart.tasks.generation.metrics import TEXT

TEST = "test_2016_flickr"
FEW_JUDGED = 200
"""Pairs of the validation file that a child, and its training from scratch, are judged on: they have few labels."""
SMALL = {"width": 192, "layers": 3, "vocabulary": 8000, "dropout": 0.1}
"""Less dropout than the default: in so little time nothing is learnt by heart."""
LARGE = {**SMALL, "width": 256, "vocabulary": 4000}
"""For all pairs: half of the vocabulary, whose layer takes a third of a step. After three epochs with batches of 64,
8000 tokens and a dropout of 0.2 chrF on validation was 38, with these 43; no others were tried."""
BATCH = 32
RATES = {"scratch": 1e-3, "child": 5e-4}
"""Those of the first trial on draw 0, which is not reported; no others were tried."""
TOPIC = r"\b(?:dogs?|puppy|water|ocean|beach|pool|river|lake|snow|snowy|ski|skiing|surf|surfing|swim|swimming)\b"
KEPT_FROM = 5000
"""The first training row of the memory's pairs: those before are the children's."""
LONG = 60.0
"""Seconds from which a fit is none of a quick run."""
MANY = 200
"""Epochs that a budget ends long before."""


def runs() -> Path:
    """The folder in which runs stay, so that a benchmark that goes on finds its parent."""
    return Path(os.environ.get("TRANSLATION_RUNS", str(CELLS / "translation")))


def lines(name: str, language: str) -> list[str]:
    """The lines of one of Multi30k's files."""
    path = data_folder() / "data" / "mt_multi30k" / f"{name}.{language}.gz"
    return gzip.open(path, "rt", encoding="utf-8").read().split("\n")[:-1]


def pairs(target: str, first: int, last: int, judged: int | None = None, tested: int | None = None) -> pd.DataFrame:
    """English texts and their translations: rows of the training file, and both other files or their beginnings."""
    rows = []
    for part, name, start_at, stop in (
        ("train", "train", first, last),
        ("val", "val", 0, judged),
        ("test", TEST, 0, tested),
    ):
        both = [*zip(lines(name, "en"), lines(name, target), strict=True)][start_at:stop]
        rows += [(one, other, part) for one, other in both]
    return pd.DataFrame(rows, columns=["en", target, "part"])


def tested(seconds: float) -> int | None:
    """Test texts of a fit: the first hundred of a quick one, which is judged for longer than it trains."""
    return None if seconds >= LONG else 100


def fitted(
    frame: pd.DataFrame, name: str, backbone: str, seconds: float, tuning: Mapping[str, Any], also: str = ""
) -> dict[str, Any]:
    """A fit of everything in so many seconds: its figures on the test part, its texts there and its minutes.

    `also` is a file of texts whose words a new vocabulary has as well.
    """
    target, began = str(frame.columns[1]), time.monotonic()
    settings: dict[str, Any] = {"tuning": {"epochs": MANY, "patience": MANY, **tuning}}
    if backbone == "seq2seq_small":
        settings["backbone"] = {**(LARGE if name.startswith("all") else SMALL), "also": [also] if also else []}
    run = fit(
        frame,
        out=runs() / name,
        overwrite=True,
        text="en",
        label=target,
        part="part",
        backbone=backbone,
        tuning="full",
        budget=seconds,
        scratch=False,
        label_curve=False,
        settings=settings,
    )
    return {"minutes": (time.monotonic() - began) / 60, **summed(run)}


def summed(run: Run) -> dict[str, Any]:
    """Figures of the model and of its start, and what was written for the test part."""
    arms = {key: {name: row.model_dump() for name, row in arm.figures.items()} for key, arm in run.record.arms.items()}
    written = pd.read_csv(run.folder / "test_predictions.csv", keep_default_na=False)
    chosen = dict(run.record.arms["model"].chosen)
    return {"arms": arms, "chosen": chosen, "texts": written["prediction"].tolist(), "sentence": run.record.cut_off}


def few(kind: str, seconds: float, draw: int, count: int, parent: str = "") -> dict[str, Any]:
    """English to German with few pairs, from the run `parent` or from random weights, in the same time."""
    frame = pairs("de", draw * count, (draw + 1) * count, FEW_JUDGED, tested(seconds))
    backbone = str(runs() / parent) if parent else "seq2seq_small"
    tuning = {"learning_rate": RATES[kind], "batch_size": BATCH}
    return fitted(frame, f"{kind}-{draw}-{count}", backbone, seconds, tuning)


def retrieval(child: str, count: int) -> dict[str, Any]:
    """A memory of pairs about water, snow and dogs beside a child; captions of anything else are the kept domain."""
    first, last = KEPT_FROM, len(lines("train", "en"))
    frame = pairs("de", first, last)
    about = frame["en"].str.lower().str.contains(TOPIC, regex=True)
    other = frame[~about & (frame["part"] == "val")][["en", "de"]]
    wanted = frame[about]
    train = wanted[wanted["part"] == "train"].head(count)
    runs().mkdir(parents=True, exist_ok=True)
    keep = runs() / "kept.csv"
    other.to_csv(keep, index=False)
    run = fit(
        pd.concat([train, wanted[wanted["part"] != "train"]]),
        out=runs() / f"retrieval-{count}",
        overwrite=True,
        text="en",
        label="de",
        part="part",
        backbone=str(runs() / child),
        tuning="nearest_tokens",
        scratch=False,
        keep=keep,
    )
    against = {one.against: one.difference.model_dump() for one in run.record.comparisons if one.metric == "chrf"}
    notes = [one.model_dump() for one in run.record.decisions if one.what.startswith(("memory", "kept domain"))]
    found = summed(run)
    return {"arms": found["arms"], "chosen": found["chosen"], "against": against, "decisions": notes}


def kept(parent: str, count: int) -> dict[str, Any]:
    """Seconds of an epoch: of the decoder on kept states, with the encoder run in every step, and of all stages."""
    found = {}
    for name, first in (("kept", None), ("encoder run", 0), ("everything", -1)):
        context = _context(parent, count)
        found[name] = _epoch(context, first)
    return {"seconds": found}


def _context(parent: str, count: int) -> FitContext:
    plan = Plan(
        data="<frame>",
        backbone=str(runs() / parent),
        tuning="partial",
        settings={"tuning": {"depth": "decoder"}},
        columns={"text": ("en",), "label": "fr", "part": "part"},
    )
    return start(Given(pairs("fr", 0, count, 50, 50)), plan).embedded()


def _epoch(context: FitContext, first: int | None) -> float:
    """Seconds of the steps of an epoch; `first` None for kept states, 0 to run a frozen encoder, -1 to move all."""
    backbone, task, data = context.backbone, context.data.task, context.data
    end = len(backbone.stages)
    cut = end - backbone.decoder_stages
    boundary, source = source_from(context, backbone, cut if first is None else 0)
    moving = {name for stage in backbone.stages[(0 if first == -1 else cut) :] for name in stage.parameters}
    for name, parameter in backbone.module.named_parameters():
        parameter.requires_grad_(name in moving)
    optimiser = torch.optim.AdamW([p for p in backbone.module.parameters() if p.requires_grad], 1e-5, fused=True)
    lengths = pd.Series(data.examples.column("en")).str.len().to_numpy()
    stream = Stream(
        "source", data.split.train, data.targets, source, 64, 0, None, task.inputs(data.examples), lengths,
        target_kinds={TEXT: TEXTS},
    )  # fmt: skip
    backbone.module.train()
    segment, head = backbone.segment(boundary, end), task.head(backbone)
    batches, seconds = stream.order(0), 0.0
    for number, rows in enumerate(batches):
        began = time.monotonic()
        batch = stream.batch(rows)
        with torch.set_grad_enabled(first == -1):
            features = backbone.features(segment(batch.state))
        losses = task.losses(task.forward(head, features, batch.head_inputs), batch.targets)
        torch.stack([*losses.values()]).sum().backward()
        optimiser.step()
        optimiser.zero_grad()
        seconds += (time.monotonic() - began) if number else 0.0
    if not (batch.targets[TEXT] != PADDED_TARGET).any():
        raise SystemExit("a batch had no text to write")
    return seconds


def answer(kind: str, arguments: Sequence[str]) -> dict[str, Any]:
    """What the cell prints."""
    if kind in ("kept", "retrieval"):
        return (kept if kind == "kept" else retrieval)(arguments[0], int(arguments[1]))
    seconds = float(arguments[0])
    if kind in ("child", "scratch"):
        return few(kind, seconds, int(arguments[1]), int(arguments[2]), *arguments[3:])
    target, count = ("fr", int(arguments[1])) if kind == "parent" else ("de", int(arguments[1]))
    last = len(lines("train", "en"))
    # a parent takes the pairs from the end: its English texts are none of a child's
    frame = pairs(target, last - count, last, FEW_JUDGED if kind == "parent" else None, tested(seconds))
    tuning = {"learning_rate": RATES["scratch"], "batch_size": BATCH}
    also = ""
    if kind == "parent":
        runs().mkdir(parents=True, exist_ok=True)
        also = str(runs() / "german.txt")
        Path(also).write_text("\n".join(lines("train", "de")[: int(arguments[2])]) + "\n", encoding="utf-8")
    found = fitted(frame, f"{kind}-{count}", "seq2seq_small", seconds, tuning, also)
    return {**found, "texts": []}


if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):
        said = answer(sys.argv[1], sys.argv[2:])
    print(json.dumps(said))
