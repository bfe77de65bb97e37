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
from torch import Tensor, nn

from headstart.contracts.backbone import Backbone
from headstart.contracts.carriers import Batch, Features, Prediction, State, Tap
from headstart.contracts.examples import Examples, Schema
from headstart.contracts.metric import SHARE, Metric, Replicates
from headstart.contracts.network import Stage
from headstart.contracts.panels import Mistake, Panel
from headstart.contracts.task import PlainTask, Reads, Targets

LETTERS = "abcdefghijklmnopqrstuvwxyz"
WIDTH = 8


def words(n: int) -> Examples:
    """`n` made-up words of 2 to 9 letters."""
    draws = np.random.default_rng(0)
    made = ["".join(draws.choice(list(LETTERS), draws.integers(2, 10))) for _ in range(n)]
    table = pa.table({"word": made, "origin": [f"row {row}" for row in range(n)]})
    return Examples(table, Schema(modality="text", inputs=("word",), targets={"tags": "word"}, origin="origin"))


class SequenceTask(PlainTask):
    """Tags each letter and measures each word."""

    reads: ClassVar[Reads] = "tokens"

    def targets(self, examples: Examples) -> Targets:
        tags = np.empty(len(examples), dtype=object)
        for row, word in enumerate(examples.target("tags")):
            tags[row] = np.array([letter in "aeiou" for letter in word], dtype=np.int64)
        return {"tags": tags, "measures": np.array([[len(row) / 10, row.mean()] for row in tags], dtype=np.float32)}

    def head(self, width: int) -> nn.Module:
        return nn.ModuleDict({"tags": nn.Linear(width, 2), "measures": nn.Linear(width, 2)})

    def apply(self, head: nn.Module, features: Features, batch: Batch) -> Mapping[str, Tensor]:
        assert isinstance(head, nn.ModuleDict) and features.tokens is not None and features.mask is not None
        return {
            "tags": head["tags"](features.tokens),
            "mask": features.mask,
            "measures": head["measures"](features.pooled),
        }

    def losses(self, outputs: Mapping[str, Tensor], batch: Batch) -> Mapping[str, Tensor]:
        return {
            "tags": nn.functional.cross_entropy(outputs["tags"].transpose(1, 2), batch.targets["tags"]),
            "measures": nn.functional.mse_loss(outputs["measures"], batch.targets["measures"]),
        }

    def decode(self, outputs: Mapping[str, Tensor]) -> Prediction:
        tags = np.empty(len(outputs["tags"]), dtype=object)
        for row, (scores, mask) in enumerate(zip(outputs["tags"], outputs["mask"])):
            tags[row] = scores[mask.bool()].argmax(dim=-1).cpu().numpy()
        return Prediction({"tags": tags, "measures": outputs["measures"].cpu().numpy()})

    def finish(self, prediction: Prediction, calibration: Mapping[str, float]) -> Prediction:
        return prediction

    def metrics(self) -> tuple[Metric, ...]:
        return (Metric("tag_accuracy", "Tag accuracy", True, self._tag_accuracy, self._unused, SHARE, (0.0, 1.0)),)

    def _tag_accuracy(self, targets: Targets, prediction: Prediction) -> float:
        truth, found = targets["tags"], prediction.columns["tags"]
        return float(np.mean(np.concatenate([one == other for one, other in zip(truth, found)])))

    def _unused(self, targets: Targets, prediction: Prediction) -> Replicates:
        raise NotImplementedError

    @classmethod
    def suits(cls, examples: Examples) -> str | None:
        return None

    def bind(self, examples: Examples) -> SequenceTask:
        return self

    def strata(self, targets: Targets) -> np.ndarray:
        return np.zeros(len(targets["tags"]), dtype=np.int64)

    def calibrate(self, prediction: Prediction, targets: Targets) -> Mapping[str, float]:
        return {}

    def solve(
        self, features: np.ndarray, targets: Targets, groups: np.ndarray | None, seed: int
    ) -> tuple[nn.Module, dict[str, float]]:
        return self.head(features.shape[1]), {}

    def rows(self, prediction: Prediction) -> Mapping[str, np.ndarray]:
        return prediction.columns

    def panels(self, prediction: Prediction, targets: Targets) -> tuple[Panel, ...]:
        return ()

    def mistakes(self, prediction: Prediction, targets: Targets, most: int) -> tuple[Mistake, ...]:
        return ()


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
        self.stages = tuple(self._stage(k) for k in range(len(self.module)))

    def _stage(self, k: int) -> Stage:
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
