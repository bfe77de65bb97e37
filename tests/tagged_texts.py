"""Small texts with labelled spans, and token vectors in which their tags can be found linearly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import torch

from headstart.contracts.carriers import PLACES, State
from headstart.contracts.examples import Examples, Schema
from headstart.contracts.features import Features
from headstart.contracts.modality import raws_of
from headstart.media.words import words_of

PEOPLE, PLACE_NAMES = ("Ann Lee", "Bo", "Ira von Ost"), ("Rome", "Oslo", "New York")
FILLERS = ("today", "it rained", "we met", "and then", "by the sea", "again")


def tagged_texts(n: int) -> Examples:
    """`n` texts of 2 to 12 words with persons and places; some have none."""
    draws = np.random.default_rng(0)
    texts, labels = [], []
    for row in range(n):
        text, spans = f"{row}", []
        for kind in draws.integers(0, 3, draws.integers(1, 5)).tolist():
            piece = str(draws.choice((FILLERS, PEOPLE, PLACE_NAMES)[kind]))
            if kind:
                spans.append(span(len(text) + 1, len(text) + 1 + len(piece), ("", "person", "place")[kind]))
            text += f" {piece}"
        texts.append(text)
        labels.append(spans)
    return examples_of(texts, labels)


def examples_of(texts: list[str], labels: list[list[dict[str, Any]] | None]) -> Examples:
    """Texts and their spans as a format hands them over."""
    table = pa.table({"text": texts, "spans": labels, "origin": [f"row {row}" for row in range(len(texts))]})
    return Examples(table, Schema(modality="text", inputs=("text",), targets={"spans": "spans"}, origin="origin"))


def span(start: int, end: int, label: str) -> dict[str, Any]:
    """One labelled span."""
    return {"start": start, "end": end, "label": label}


def token_state(examples: Examples, width: int) -> State:
    """A state with two tokens per word and one before all of them; the first token of a word shows its tag."""
    places, vectors = [], []
    for text, spans in zip(raws_of(examples), examples.target("spans")):
        tokens = [(0, 0, -1)]
        for start, end in words_of(str(text)):
            code = next((_code(s, start) for s in spans if s["start"] <= start < s["end"]), 0)
            middle = start + max(1, (end - start) // 2)
            tokens += [(start, middle, code), (middle, end, -1)]
        draws = np.random.default_rng(len(text))
        found = draws.normal(0, 0.4, (len(tokens), width)).astype(np.float32)
        for at, (_, _, code) in enumerate(tokens):
            if code >= 0:
                found[at, code] += 2
        places.append(torch.tensor([token[:2] for token in tokens]))
        vectors.append(torch.from_numpy(found))
    pad = torch.nn.utils.rnn.pad_sequence
    mask = pad([torch.ones(len(place), dtype=torch.int64) for place in places], batch_first=True)
    return State(pad(vectors, batch_first=True), {"attention_mask": mask, PLACES: pad(places, batch_first=True)})


def token_features(state: State) -> Features:
    """What a backbone would make of `token_state`."""
    mask, places = state.context["attention_mask"], state.context[PLACES]
    return Features(state.hidden.mean(dim=1), state.hidden, mask, places=places)


def _code(of: dict[str, Any], start: int) -> int:
    return (1 if of["label"] == "person" else 3) + int(start > of["start"])
