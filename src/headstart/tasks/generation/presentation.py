"""Texts as tables and reports show them: how they are judged, where they fall short, and the worst of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from headstart.contracts.examples import Examples
from headstart.contracts.modality import raws_of
from headstart.contracts.panels import Mistake, Panel, Table
from headstart.contracts.prediction import Prediction
from headstart.contracts.review import Review
from headstart.contracts.task import Targets
from headstart.contracts.written_targets import texts_of
from headstart.tasks._text_differences import differences
from headstart.tasks.generation.language_check import warnings_of
from headstart.tasks.generation.metrics import MEASURES, TEXT, counts, each_text, of_counts, signature
from headstart.tasks.generation.task import BoundGeneration
from headstart.tasks.generation.text_labels import TARGET

BANDS = 4
"""Bands of length in the table of figures by length."""


class GenerationPresentation:
    """Written texts, shown."""

    def labels(self, examples: Examples) -> Sequence[Any]:
        """Return the texts."""
        return examples.target(TARGET)

    def tally(self, labels: Sequence[Any]) -> Mapping[str, int]:
        """Count texts and their words."""
        return {"texts": len(labels), "words": sum(len(str(label).split()) for label in labels)}

    def columns(self, prediction: Prediction) -> Mapping[str, np.ndarray]:
        """ "prediction": the text; "unfinished": whether it was stopped at the longest that may be written."""
        return {"prediction": prediction.columns[TEXT], "unfinished": prediction.columns["unfinished"]}

    def panels(self, prediction: Prediction, targets: Targets) -> tuple[Panel, ...]:
        """Return how texts are judged, and figures by length."""
        found, truth = prediction.columns[TEXT].tolist(), texts_of(targets[TEXT])
        return _signatures(found, truth), _by_length(found, truth, prediction.columns["unfinished"])

    def mistakes(self, prediction: Prediction, targets: Targets, most: int) -> tuple[Mistake, ...]:
        """Return the texts with the lowest chrF, the worst first."""
        found, truth = prediction.columns[TEXT].tolist(), texts_of(targets[TEXT])
        scores = each_text("chrf", found, truth)
        worst = [int(row) for row in np.argsort(scores, kind="stable")[:most] if found[row] != truth[row]]
        return tuple(_mistake(row, truth[row], found[row], float(scores[row])) for row in worst)


def presentation(task: BoundGeneration) -> GenerationPresentation:  # noqa: ARG001
    """Show texts as they are."""
    return GenerationPresentation()


def review(examples: Examples) -> Review:
    """Review texts to write: their length, languages that look exchanged, and tokenised texts."""
    rows = [row for row, text in enumerate(examples.target(TARGET)) if text is not None]
    known = examples.take(rows)
    texts = [str(text) for text in known.target(TARGET)]
    names = examples.schema.inputs[0], examples.schema.targets[TARGET]
    warnings = warnings_of([str(raw) for raw in raws_of(known)], texts, names, known.origins())
    words = [len(text.split()) for text in texts]
    said = (
        f"{len(texts)} texts to write, {np.mean(words or [0]):.0f} words in the mean, {max(words, default=0)} at most"
    )
    missing = len(examples) - len(texts)
    return Review(warnings=warnings, missing=missing, notes=(said,), spreads={"words to write": words})


def _mistake(row: int, truth: str, found: str, score: float) -> Mistake:
    missing, extra = differences(truth, found)
    return Mistake(
        row=row,
        truth=truth,
        predicted=found,
        weight=100 - score,
        weight_text=f"chrF {score:.0f}",
        in_answers=True,
        true_marks=missing,
        predicted_marks=extra,
    )


def _signatures(found: Sequence[str], truth: Sequence[str]) -> Table:
    rows = tuple((name, signature(name, found, truth)) for name in MEASURES)
    note = "Computed by sacrebleu; figures are comparable where signature and test texts are the same."
    return Table(title="How texts are judged", note=note, header=("metric", "signature"), rows=rows)


def _by_length(found: Sequence[str], truth: Sequence[str], unfinished: np.ndarray) -> Table:
    """Figures of texts in bands of the length of what is true."""
    words = np.array([len(text.split()) for text in truth])
    cuts = np.unique(np.quantile(words, np.linspace(0, 1, BANDS + 1)).round())
    band = np.clip(np.searchsorted(cuts, words, side="right") - 1, 0, max(0, len(cuts) - 2))
    of_each = {name: counts(name, found, truth) for name in ("chrf", "bleu")}
    ratio = np.array([len(text.split()) for text in found]) / np.maximum(words, 1)
    rows: list[tuple[str | float | int | None, ...]] = []
    for number in np.unique(band):
        here = band == number
        low, high = int(words[here].min()), int(words[here].max())
        scores = (float(of_counts(name, each[here].sum(axis=0)[None])[0]) for name, each in of_each.items())
        rows.append((f"{low}–{high}", int(here.sum()), *scores, float(ratio[here].mean()), int(unfinished[here].sum())))
    return Table(
        title="By length",
        note="Bands of the number of words of the true text. 'Words written' is their number over that of the true "
        "text; 'unfinished' texts reached the longest that may be written (task.longest) before their end.",
        header=("words", "texts", "chrF", "BLEU", "words written / true", "unfinished"),
        rows=tuple(rows),
    )
