"""The usual way to a tagger: the recipe of transformers' run_ner example, written out, at its defaults.

Words are cut into tokens one by one, the first token of each has the label; AdamW at 5e-5, linear decay to 0, three
epochs in batches of 8 sentences, gradients clipped at 1, no weight decay, no warm-up, the last weights; tags by argmax.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForTokenClassification, AutoTokenizer

LEARNING_RATE, CLIP, IGNORED = 5e-5, 1.0, -100


@dataclass(frozen=True)
class Sentences:
    """Words and the numbers of their tags."""

    words: Sequence[Sequence[str]]
    tags: Sequence[Sequence[int]]


class RunNer:
    """One training."""

    def __init__(self, folder: Path, tags: int, seed: int) -> None:
        """A pretrained encoder with a fresh head for so many tags; the seed decides head, order and dropout."""
        torch.manual_seed(seed)
        self.tokenizer = AutoTokenizer.from_pretrained(folder, add_prefix_space=True)
        self.model = AutoModelForTokenClassification.from_pretrained(folder, num_labels=tags).float()

    def train(self, data: Sentences, *, epochs: int, batch_size: int) -> float:
        """Train and return the seconds it took."""
        started = time.monotonic()
        steps = epochs * -(-len(data.words) // batch_size)
        optimiser = torch.optim.AdamW(self.model.parameters(), lr=LEARNING_RATE, weight_decay=0.0)
        decay = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: 1 - step / steps)
        self.model.train()
        for _ in range(epochs):
            for rows in torch.randperm(len(data.words)).split(batch_size):
                inputs, labels, _ = self._batch(data, rows.tolist())
                loss = self.model(**inputs, labels=labels).loss
                loss.backward()
                torch.nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
                optimiser.step()
                decay.step()
                optimiser.zero_grad()
        return time.monotonic() - started

    def predict(self, data: Sentences) -> list[list[int]]:
        """The tags of every word; 0 for a word without a token."""
        self.model.eval()
        found: list[list[int]] = []
        for rows in torch.arange(len(data.words)).split(64):
            inputs, _, first = self._batch(data, rows.tolist())
            with torch.no_grad():
                best = self.model(**inputs).logits.argmax(dim=-1).tolist()
            found += [[best[at][place] if place >= 0 else 0 for place in places] for at, places in enumerate(first)]
        return found

    def _batch(self, data: Sentences, rows: Sequence[int]) -> tuple[dict[str, Any], torch.Tensor, list[list[int]]]:
        words = [list(data.words[row]) for row in rows]
        inputs = self.tokenizer(words, is_split_into_words=True, truncation=True, padding=True, return_tensors="pt")
        labels = torch.full(inputs["input_ids"].shape, IGNORED)
        first = [list(_first_tokens(inputs.word_ids(at), len(row))) for at, row in enumerate(words)]
        for at, (row, places) in enumerate(zip(rows, first)):
            for tag, place in zip(data.tags[row], places):
                if place >= 0:
                    labels[at, place] = tag
        return dict(inputs), labels, first


def _first_tokens(word_of_token: Sequence[int | None], words: int) -> Iterator[int]:
    """The first token of each word, -1 for none."""
    first: dict[int, int] = {}
    for token, word in enumerate(word_of_token):
        if word is not None:
            first.setdefault(word, token)
    yield from (first.get(word, -1) for word in range(words))
