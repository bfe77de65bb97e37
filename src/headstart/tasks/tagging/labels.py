"""The labelled spans of texts as entities of their words."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from headstart.contracts.examples import Examples
from headstart.contracts.modality import HasTexts, modality_named
from headstart.kernel.errors import DataError, unknown
from headstart.media.words import Place, covered_words
from headstart.tasks._label_kinds import codes_of
from headstart.tasks.tagging.tags import Entity
from headstart.tasks.tagging.words import word_places

TARGET = "spans"

Span = Mapping[str, Any]
"""{"start", "end", "label"}, in characters."""


def require_texts(examples: Examples) -> None:
    """Refuse what is not one text per example. Raises DataError."""
    schema = examples.schema
    of_texts = isinstance(modality_named(schema.modality), HasTexts)
    if not of_texts or len(schema.inputs) != 1:
        what = "pairs of texts" if of_texts else f"{schema.modality} inputs"
        raise DataError(f"tagging needs one text per example; the data hold {what}")


def labelled_spans(examples: Examples) -> list[list[Span]]:
    """The spans of each text. Raises DataError where the labels are none, or some are missing."""
    if TARGET not in examples.schema.targets:
        have = ", ".join(examples.schema.targets.values()) or "none"
        raise DataError(
            f"tagging needs labelled spans of characters; the labels are: {have}. Write them as lists of "
            '{"start", "end", "label"}, or give a CoNLL file.'
        )
    values = examples.target(TARGET)
    missing = [row for row, value in enumerate(values) if value is None]
    if missing:
        raise DataError(
            f"{column_of(examples)}: {len(missing)} of {len(examples)} texts have no label, first "
            f"{examples.named(missing)}. Write [] where there is no span, or take these rows out."
        )
    return values


def labelled_entities(examples: Examples, types: Sequence[str]) -> list[tuple[list[Entity], list[Place]]]:
    """The entities of each text and the places of its words. Raises DataError on a type that is not among `types`."""
    every = labelled_spans(examples)
    codes = codes_of((span["label"] for spans in every for span in spans), types)
    found = []
    for row, (spans, words) in enumerate(zip(every, word_places(examples))):
        strange = [span["label"] for span in spans if span["label"] not in codes]
        if strange:
            where = f"{column_of(examples)}, {examples.named([row])}"
            raise DataError(f"{where}: {unknown('entity type', strange[0], types)}")
        covered = covered_words(words, [(span["start"], span["end"]) for span in spans])
        pairs = zip(covered, spans)
        found.append(([Entity(c.first, c.stop, codes[span["label"]]) for c, span in pairs if c is not None], words))
    return found


def column_of(examples: Examples) -> str:
    """Return the name of the label column for error messages."""
    return f"column '{examples.schema.targets[TARGET]}'"


def as_json(spans: Sequence[Span]) -> str:
    """Spans as a cell of a table."""
    return json.dumps(list(spans), ensure_ascii=False)
