"""Transcripts as tables and reports show them: kinds of errors, words that are confused, and the worst clips."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from headstart.contracts.examples import Examples
from headstart.contracts.panels import Mark, Mistake, Panel, Table
from headstart.contracts.prediction import Prediction
from headstart.contracts.review import Review
from headstart.contracts.task import Targets
from headstart.tasks.transcription.alphabet import NORMALISER, characters
from headstart.tasks.transcription.long_clips import PHRASES
from headstart.tasks.transcription.metrics import TEXT, TRANSCRIPT, edits, jiwer
from headstart.tasks.transcription.task import BoundTranscription
from headstart.tasks.transcription.transcripts import counted_words
from headstart.tasks.transcription.written import WrittenTranscription

SHOWN = 30
"""Confusions in the report."""
KINDS = {"substitute": "instead", "delete": "missing", "insert": "extra"}
"""Names of edits in texts with marks."""


class TranscriptionPresentation(NamedTuple):
    """Transcripts, shown."""

    task: BoundTranscription | WrittenTranscription

    def labels(self, examples: Examples) -> Sequence[Any]:
        """Return the transcripts."""
        return examples.target(TRANSCRIPT)

    def tally(self, labels: Sequence[Any]) -> Mapping[str, int]:
        """Count the words."""
        return counted_words(labels)

    def columns(self, prediction: Prediction) -> Mapping[str, np.ndarray]:
        """ "prediction": the transcript; by CTC "confidence": the probability of its path for each frame, in [0, 1],
        and "words": JSON [{"word", "start"}, ...] in seconds, where the frames have times; of a decoder that tells
        times "phrases": JSON [{"text", "start", "end"}, ...]."""
        texts, starts = prediction.columns[TEXT], prediction.columns.get("starts")
        found = {"prediction": texts}
        if "score" in prediction.columns:
            found["confidence"] = np.exp(prediction.columns["score"])
        if starts is not None and self.task.frame_seconds:
            found["words"] = np.array([_timed(*pair) for pair in zip(texts, starts)], dtype=object)
        if PHRASES in prediction.columns:
            found[PHRASES] = np.array([_phrases(*pair) for pair in zip(texts, prediction.columns[PHRASES])], object)
        return found

    def panels(self, prediction: Prediction, targets: Targets) -> tuple[Panel, ...]:
        """Return kinds of errors, error rates by the length of clips, and the words that are most often confused."""
        truth, found = self.task.read(targets), [*prediction.columns[TEXT]]
        timed = bool(self.task.frame_seconds)
        sizes = prediction.columns["seconds"] if timed else np.array([float(len(text.split())) for text in truth])
        return (
            _kinds(truth, found),
            _by_length(truth, found, sizes, "s" if timed else "words"),
            _confusions(truth, found),
        )

    def mistakes(self, prediction: Prediction, targets: Targets, most: int) -> tuple[Mistake, ...]:
        """Return the clips with the most wrong words, worst first."""
        truth, found = self.task.read(targets), prediction.columns[TEXT]
        wrong = edits(jiwer().process_words, truth, found.tolist())
        order = np.lexsort((-wrong[:, 0] / np.maximum(wrong[:, 1], 1), -wrong[:, 0]))[:most]
        return tuple(_mistake(int(row), truth[row], found[row], wrong[row]) for row in order if wrong[row, 0])


def presentation(task: BoundTranscription | WrittenTranscription) -> TranscriptionPresentation:
    """Show transcripts."""
    return TranscriptionPresentation(task)


def review(examples: Examples) -> Review:
    """Review transcripts: words, characters, and what is empty."""
    given = examples.target(TRANSCRIPT)
    known = [text for text in given if text is not None]
    words, letters = counted_words(known), characters(known)
    empty = sum(not text for text in known)
    told = [f"{len(known)} transcripts with {words.total()} words, {len(words)} of them different"]
    told.append(f"{len(letters)} different characters: {''.join(letters)[:120]!r}")
    odd = [c for c in letters if not c.isalnum() and c not in " '-.,?!"]
    warned = (
        (f"characters that are seldom said, such as {''.join(odd[:20])!r}: are all parts of words?",) if odd else ()
    )
    return Review(
        warnings=(*warned, *((f"transcripts that are empty: {empty}",) if empty else ())),
        notes=tuple(told),
        missing=len(given) - len(known),
        spreads={"words": [len(text.split()) for text in known]},
    )


def _timed(text: str, starts: np.ndarray) -> str:
    begins = [at for at in range(len(text)) if text[at] != " " and (at == 0 or text[at - 1] == " ")]
    words = ({"word": text[at:].split(" ")[0], "start": round(float(starts[at]), 2)} for at in begins)
    return json.dumps([*words], ensure_ascii=False)


def _phrases(text: str, phrases: np.ndarray) -> str:
    ends = [*phrases[1:, 0].astype(int), len(text)]
    told = (
        {"text": text[int(at) : end].strip(), "start": _seconds(start), "end": _seconds(stop)}
        for (at, start, stop), end in zip(phrases.tolist(), ends)
    )
    return json.dumps([*told], ensure_ascii=False)


def _seconds(time: float) -> float | None:
    return None if math.isnan(time) else round(time, 2)


def _kinds(truth: Sequence[str], found: Sequence[str]) -> Table:
    rows = []
    for unit, process in (("words", jiwer().process_words), ("characters", jiwer().process_characters)):
        whole = [process(*pair) for pair in zip(truth, found)]
        kinds = [sum(getattr(one, kind) for one in whole) for kind in ("substitutions", "deletions", "insertions")]
        rows.append((unit, sum(one.hits for one in whole), *kinds))
    return Table(
        title="Kinds of errors",
        note=f"Of transcripts as they are written. Figures called normalised are by the normaliser {NORMALISER}.",
        header=("", "right", "instead of another", "missing", "extra"),
        rows=tuple(rows),
    )


def _by_length(truth: Sequence[str], found: Sequence[str], seconds: np.ndarray, unit: str) -> Table:
    """Of four parts of the clips with about as many each."""
    counts = edits(jiwer().process_words, truth, found)
    bounds = np.unique(np.quantile(seconds, [0, 0.25, 0.5, 0.75, 1]))
    rows = []
    for low, high in pairwise(bounds) if len(bounds) > 1 else [(bounds[0], bounds[0])]:
        inside = (seconds >= low) & ((seconds < high) | (high == bounds[-1]))
        wrong, words = counts[inside].sum(axis=0)
        rows.append((f"{low:.1f} to {high:.1f} {unit}", int(inside.sum()), 100 * wrong / words if words else None))
    return Table(title="By length", header=("clip", "clips", "WER"), units=("", "", "%"), rows=tuple(rows))


def _confusions(truth: Sequence[str], found: Sequence[str]) -> Table:
    pairs: Counter[tuple[str, str]] = Counter()
    for reference, text in zip(truth, found):
        one = jiwer().process_words(reference, text)
        said, heard = reference.split(), text.split()
        for chunk in one.alignments[0]:
            if chunk.type != "equal":
                old = " ".join(said[chunk.ref_start_idx : chunk.ref_end_idx])
                pairs[old, " ".join(heard[chunk.hyp_start_idx : chunk.hyp_end_idx])] += 1
    return Table(
        title="Words that are confused",
        header=("said", "found", "times"),
        rows=tuple((old or "(nothing)", new or "(nothing)", n) for (old, new), n in pairs.most_common(SHOWN)),
    )


def _mistake(row: int, truth: str, found: str, wrong: np.ndarray) -> Mistake:
    said, heard = [], []
    for chunk in jiwer().process_words(truth, found).alignments[0]:
        if chunk.type != "equal":
            said += _mark(truth, chunk.ref_start_idx, chunk.ref_end_idx, KINDS[chunk.type])
            heard += _mark(found, chunk.hyp_start_idx, chunk.hyp_end_idx, KINDS[chunk.type])
    number = int(wrong[0])
    return Mistake(
        row=row,
        truth=truth,
        predicted=found,
        weight=float(number),
        weight_text=f"{number} {'word' if number == 1 else 'words'} wrong of {int(wrong[1])}",
        true_marks=tuple(said),
        predicted_marks=tuple(heard),
        in_answers=True,
    )


def _mark(text: str, first: int, stop: int, label: str) -> list[Mark]:
    """The place in the text of its words from `first` to before `stop`."""
    if first == stop:
        return []
    places, at = [], 0
    for word in text.split():
        at = text.index(word, at)
        places.append((at, at + len(word)))
        at += len(word)
    return [Mark(start=places[first][0], end=places[stop - 1][1], label=label)]
