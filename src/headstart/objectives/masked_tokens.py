"""Masked tokens: words that were taken out of a text are guessed from the rest of it.

Devlin et al. 2019 ("BERT: pre-training of deep bidirectional transformers"); on texts of one's own subject before a
task is learned, Gururangan et al. 2020 ("Don't stop pretraining: adapt language models to domains and tasks"). 15 % of
a text's tokens are chosen, at least one: of these 80 % become the mask token, 10 % any other, and 10 % stay.

    loss = mean over the chosen tokens of -log softmax(E norm(gelu(W h + b)) + c)[token]

h is the token's vector and E the backbone's own embedding of words (Press & Wolf 2017). The transform W and the biases
are new: encoders are seldom published with theirs. Special tokens and padding are never chosen, and what is chosen is
another in every epoch (Liu et al. 2019, "RoBERTa").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, cast

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from headstart.contracts.advice import Advice, Suggestion
from headstart.contracts.carriers import LENGTH_MASK, Batch, State
from headstart.contracts.inputs import Tokens
from headstart.contracts.network import Network
from headstart.contracts.objective import TARGET, Objective, Step
from headstart.kernel.errors import SettingsError, TrainingError
from headstart.objectives._draws import draws_for
from headstart.objectives._vocabulary import sees_later_tokens, word_embedding


class MaskedTokens(Objective):
    """Guessing the words that are hidden in a text."""

    streams: ClassVar[tuple[str, ...]] = (TARGET,)
    modalities: ClassVar[tuple[str, ...]] = ("text",)
    gathers: ClassVar[bool] = True
    advice: ClassVar[Advice] = Advice(
        pretrains={"text": Suggestion(0, "an encoder learns the words of a subject by guessing them")},
        training={"epochs": 3, "batch_size": 32, "learning_rate": 5e-5},
    )

    rate: float = Field(default=0.15, gt=0, lt=1)
    """Share of a text's tokens that are guessed; in (0, 1)."""
    masked: float = Field(default=0.8, ge=0, le=1)
    """Share of these that are replaced by the mask token; in [0, 1]."""
    swapped: float = Field(default=0.1, ge=0, le=1)
    """Share of these that are replaced by a random token; the rest stays; in [0, 1]."""

    def first_stage(self, stages: int) -> int:  # noqa: ARG002
        """It changes inputs."""
        return 0

    def check(self, backbone: Network) -> None:
        """Refuse what has no mask token, or cannot look at both sides of a word. Raises SettingsError."""
        kind = backbone.input_kind()
        if not isinstance(kind, Tokens) or kind.mask is None:
            raise SettingsError(f"masked_tokens needs a mask token, but {backbone.name} has none")
        if not sees_later_tokens(backbone):
            raise SettingsError(
                f"{backbone.name} reads from left to right, and masked_tokens asks for what stands on both sides of a "
                "word. Use --objective simcse, or an encoder such as bert-base-uncased."
            )
        if self.masked + self.swapped > 1:
            raise SettingsError(f"masked {self.masked} and swapped {self.swapped} add up to more than 1")

    def additions(self, backbone: Network) -> Mapping[str, nn.Module]:
        """The decoder from vectors to words."""
        name = word_embedding(backbone)
        words = backbone.module.get_submodule(name)
        return {"decoder": _Decoder(name, backbone.width, *words.weight.shape)}  # type: ignore[misc]

    def losses(self, step: Step) -> Mapping[str, Tensor]:
        """ "words", a scalar (); 0 of texts that have none."""
        batch, decoder = step.batches[TARGET], step.additions["decoder"]
        ids = batch.state.hidden
        hidden, chosen = self.hide(step, batch)
        vectors = step.features(replace(batch, state=hidden)).tokens
        if vectors is None:
            raise TrainingError(f"{step.backbone.name} gives one vector per text and none per token")
        with step.computing():
            scores = decoder(vectors[chosen], step.backbone.module)
        of_words = nn.functional.cross_entropy(scores.to(vectors.dtype), ids[chosen], reduction="sum")
        total, words = step.gathered(torch.stack([of_words, chosen.sum().to(of_words)])[None]).sum(dim=0)
        return {"words": total / words.clamp(min=1)}

    def hide(self, step: Step, batch: Batch) -> tuple[State, Tensor]:
        """Hide tokens of the texts of a step; return the texts, and which tokens were chosen (batch, length)."""
        kind, state = step.backbone.input_kind(), batch.state
        if not isinstance(kind, Tokens) or kind.mask is None:
            raise TrainingError(f"{step.backbone.name} has no mask token")
        draws, ids = draws_for(step, batch, "tokens hidden"), state.hidden.cpu().numpy()
        readable = (state.context[LENGTH_MASK].cpu().numpy() != 0) & ~np.isin(ids, kind.special)
        # a text's numbers must not depend on how far it is padded
        numbers = np.stack([own.random((1 + ids.shape[1], 3)) for own in draws])
        chosen = chosen_tokens(readable, self.rate, numbers[:, :, 0])
        fate, word = numbers[:, 1:, 1], numbers[:, 1:, 2]
        decoder = cast(_Decoder, step.additions["decoder"])
        words = np.setdiff1d(np.arange(decoder.words), np.array(kind.special))
        swapped = chosen & (fate >= self.masked) & (fate < self.masked + self.swapped)
        others = words[(word * len(words)).astype(np.int64)]
        found = np.where(swapped, others, np.where(chosen & (fate < self.masked), kind.mask, ids))
        device = state.hidden.device
        hidden = State(torch.from_numpy(found).to(device), state.context, state.taps)
        return hidden, torch.from_numpy(chosen).to(device)


def chosen_tokens(readable: np.ndarray, rate: float, numbers: np.ndarray) -> np.ndarray:
    """Choose among the readable tokens (batch, length): `rate` of a text's on average, at least one, if any.

    `numbers` (batch, 1 + length) are drawn from [0, 1): one for each text, then one for each of its tokens.
    """
    order = np.where(readable, numbers[:, 1:], 2.0).argsort(axis=1, kind="stable").argsort(axis=1)
    wanted = np.floor(rate * readable.sum(axis=1) + numbers[:, 0])
    return readable & (order < np.maximum(wanted, 1)[:, None])


class _Decoder(nn.Module):
    """Vectors to words by the backbone's embedding called `name`, of `words` vectors of `depth` numbers."""

    def __init__(self, name: str, width: int, words: int, depth: int) -> None:
        super().__init__()
        self.name, self.words = name, words
        self.transform = nn.Sequential(nn.Linear(width, depth), nn.GELU(), nn.LayerNorm(depth))
        self.bias = nn.Parameter(torch.zeros(words))

    def forward(self, vectors: Tensor, backbone: nn.Module) -> Tensor:
        """(tokens, width) -> (tokens, words)"""
        embedding: Any = backbone.get_submodule(self.name)
        return nn.functional.linear(self.transform(vectors), embedding.weight, self.bias)
