"""A task with a target per token, one of numbers per example, and a backbone with tokens: nothing is one integer.

Words of different length; every letter is tagged vowel or consonant, and the word has its length and its share of
vowels as a pair of numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import torch
from torch import nn

from headstart.contracts.backbone import Backbone
from headstart.contracts.carriers import State, Tap
from headstart.contracts.examples import Examples, Schema
from headstart.contracts.features import Features
from headstart.contracts.metric import SHARE, Metric, Replicates
from headstart.contracts.network import Stage
from headstart.contracts.prediction import Prediction
from headstart.contracts.target_kinds import TAG_SEQUENCES, VALUES
from headstart.contracts.targets import TargetKinds
from headstart.contracts.task import BoundTask, Evaluation, FeatureSource, Needs, Targets, Tensors

LETTERS = "abcdefghijklmnopqrstuvwxyz"
WIDTH = 8


def words(n: int) -> Examples:
    """`n` made-up words of 2 to 9 letters."""
    draws = np.random.default_rng(0)
    made = ["".join(draws.choice(list(LETTERS), draws.integers(2, 10))) for _ in range(n)]
    table = pa.table({"word": made, "origin": [f"row {row}" for row in range(n)]})
    return Examples(table, Schema(modality="text", inputs=("word",), targets={"tags": "word"}, origin="origin"))


class SequenceTask(BoundTask):
    """Tags each letter and measures each word."""

    target_kinds: ClassVar[TargetKinds] = {"tags": TAG_SEQUENCES, "measures": VALUES}

    @property
    def needs(self) -> Needs:
        return Needs("tokens")

    @property
    def evaluation(self) -> Evaluation:
        accuracy = Metric("tag_accuracy", "Tag accuracy", True, _tag_accuracy, _unused, SHARE, (0.0, 1.0))
        return Evaluation((accuracy,))

    def targets(self, examples: Examples) -> Targets:
        tags = np.empty(len(examples), dtype=object)
        for row, word in enumerate(examples.target("tags")):
            tags[row] = np.array([letter in "aeiou" for letter in word], dtype=np.int64)
        return {"tags": tags, "measures": np.array([[len(row) / 10, row.mean()] for row in tags], dtype=np.float32)}

    def head(self, backbone: FeatureSource) -> nn.Module:
        return nn.ModuleDict({"tags": nn.Linear(backbone.width, 2), "measures": nn.Linear(backbone.width, 2)})

    def forward(self, head: nn.Module, features: Features, inputs: Tensors) -> Tensors:
        assert isinstance(head, nn.ModuleDict) and features.tokens is not None and features.mask is not None
        return {
            "tags": head["tags"](features.tokens),
            "mask": features.mask,
            "measures": head["measures"](features.pooled),
        }

    def losses(self, outputs: Tensors, targets: Tensors) -> Tensors:
        return {
            "tags": nn.functional.cross_entropy(outputs["tags"].transpose(1, 2), targets["tags"]),
            "measures": nn.functional.mse_loss(outputs["measures"], targets["measures"]),
        }

    def predict(self, head: nn.Module, features: Features, inputs: Tensors) -> Prediction:
        outputs = self.forward(head, features, inputs)
        tags = np.empty(len(outputs["tags"]), dtype=object)
        for row, (scores, mask) in enumerate(zip(outputs["tags"], outputs["mask"])):
            tags[row] = scores[mask.bool()].argmax(dim=-1).cpu().numpy()
        return Prediction({"tags": tags, "measures": outputs["measures"].cpu().numpy()})


def _tag_accuracy(targets: Targets, prediction: Prediction) -> float:
    truth, found = targets["tags"], prediction.columns["tags"]
    return float(np.mean(np.concatenate([one == other for one, other in zip(truth, found)])))


def _unused(targets: Targets, prediction: Prediction) -> Replicates:
    raise NotImplementedError


class LetterBackbone(Backbone):
    """Words -> a vector per letter, and their mean."""

    modality = "text"
    name, origin = "letters", "random"
    width = WIDTH

    def __init__(self, seed: int = 0) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            layers = [nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.LayerNorm(WIDTH), nn.Tanh()) for _ in range(2)]
            self.module = nn.Sequential(nn.Embedding(len(LETTERS), WIDTH), *layers)
        self.stages = tuple(self.stage_at(k) for k in range(len(self.module)))

    def stage_at(self, k: int) -> Stage:
        return Stage(f"stage{k}", tuple(f"{k}.{name}" for name, _ in self.module[k].named_parameters()), (), (str(k),))

    def prepare(self, raws: Sequence[Any]) -> State:
        codes = [torch.tensor([LETTERS.index(letter) for letter in word]) for word in raws]
        mask = [torch.ones(len(word), dtype=torch.int64) for word in raws]
        pad = nn.utils.rnn.pad_sequence
        return State(pad(codes, batch_first=True), {"attention_mask": pad(mask, batch_first=True)})

    def length(self, raw: Any) -> int:
        return len(raw)

    def preparation(self) -> Mapping[str, Any]:
        return {"letters": LETTERS}

    def segment(self, start: int, stop: int, taps: Sequence[Tap] = ()) -> nn.Module:
        return _Segment(self.module[start:stop])

    def features(self, state: State) -> Features:
        mask = state.context["attention_mask"]
        real = mask.unsqueeze(-1)
        return Features((state.hidden * real).sum(dim=1) / real.sum(dim=1), state.hidden, mask)

    def describe(self) -> dict[str, Any]:
        return {"plugin": "letters", "settings": {}}

    def fresh(self, seed: int) -> LetterBackbone:
        return LetterBackbone(seed)


class _Segment(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, state: State) -> State:
        return State(self.inner(state.hidden), state.context)
