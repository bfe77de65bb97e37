"""Generation: a backbone with a pretrained decoder, which writes a text from what its encoder says of an input.

The decoder's layers are the backbone's last stages, so that tunings, adapters, rates by depth and anchors to pretrained
weights reach them. `segment` passes states through them as they are: what a pass keeps is the encoder's states, and the
decoder runs on these, in training with the text before each token (teacher forcing) and else by `generate`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, Self, runtime_checkable

import numpy as np
from pydantic import Field
from torch import Tensor, nn

from headstart.contracts.backbone import Backbone
from headstart.contracts.features import Features
from headstart.contracts.prediction import Prediction
from headstart.contracts.task import BoundTask, FeatureSource, Task, Tensors
from headstart.kernel.settings import Settings


class Decoding(Settings):
    """Search for the text to write."""

    beams: int = Field(default=4, ge=1)
    """Beginnings of texts that are kept in the search; 1 takes the likeliest token each time; >= 1."""
    length_penalty: float = 1.0
    """Power of the length by which a text's log probability is divided: above 0 longer texts, below 0 shorter ones."""
    longest: int = Field(default=128, ge=1)
    """Tokens of a text at most, its end among them; targets are cut there, and counted; >= 1."""


class Scored(NamedTuple):
    """A decoder's view of texts that are there."""

    logits: Tensor
    """(batch, tokens, vocabulary)"""
    states: Tensor
    """(batch, tokens, width): what the logits are made of."""


class Never(Settings):
    """Tokens that a decoder does not write."""

    anywhere: tuple[int, ...] = ()
    first: tuple[int, ...] = ()
    """Not as the first one."""


Change = Callable[[Tensor, Tensor], Tensor]
"""(states (rows, width), scores (rows, vocabulary)) of a step -> other scores."""


class Decoder(Protocol):
    """The part of a backbone that writes, with its vocabulary; its weights are the backbone's."""

    longest: int
    """Tokens of a text that it can write."""
    pad: int
    """The token that fills up texts of a batch."""
    end: int
    """The token that ends a text."""

    def encode(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Return each text as token ids (tokens,) int64, with its end."""
        ...

    def decode(self, tokens: Sequence[np.ndarray]) -> list[str]:
        """Return token ids as texts, without what is no part of a text."""
        ...

    def begins(self) -> tuple[int, ...]:
        """Return the tokens that every text begins with, which are given."""
        ...

    def shifted(self, tokens: Tensor) -> Tensor:
        """Return the decoder's inputs (batch, given + tokens - 1) for texts that are padded with `PADDED_TARGET`."""
        ...

    def after(self, features: Features, written: Tensor) -> Tensor:
        """Return the logits (batch, tokens, vocabulary) of what follows each token of the decoder's inputs."""
        ...

    def never(self) -> Never:
        """Return the tokens that are not written."""
        ...

    def scored(self, features: Features, tokens: Tensor) -> Scored:
        """Score texts (batch, tokens), padded with `PADDED_TARGET`, each token by those before it."""
        ...

    def generate(self, features: Features, decoding: Decoding, change: Change | None = None) -> Tensor:
        """Write texts: (batch, tokens) int64, ended and padded as the library does; `change` is for each step."""
        ...


class Phrase(NamedTuple):
    """Some words that are said in one go."""

    text: str
    """With the space before it."""
    start: float
    """In seconds."""
    end: float
    """In seconds; NaN where the text ends before it is known."""


@runtime_checkable
class TellsTimes(Protocol):
    """A decoder of speech that can also write when each phrase is said."""

    tells_times: bool
    """False where its vocabulary has no times."""

    def timed(self, features: Features, decoding: Decoding) -> list[list[Phrase]]:
        """Write texts (batch,) as phrases with their times."""
        ...


@runtime_checkable
class Searches(Protocol):
    """A bound task whose predictions are texts that a search finds."""

    @property
    def searched(self) -> Decoding:
        """Return how they are searched for."""
        ...


@runtime_checkable
class Generates(Protocol):
    """A backbone with a decoder."""

    def decoder(self) -> Decoder:
        """Return the decoder, which shares the live weights."""
        ...


@runtime_checkable
class LearnsVocabulary(Protocol):
    """A backbone from random weights whose vocabulary is made of texts to train on."""

    def learn_vocabulary(self, texts: Sequence[str]) -> str:
        """Make vocabulary and weights anew; return a sentence on it. Once it has learnt one, '' and nothing changes."""
        ...


@runtime_checkable
class UsesVocabulary(Protocol):
    """A bound task whose targets are made by its backbone's vocabulary."""

    def with_backbone(self, backbone: FeatureSource) -> BoundTask:
        """Return the task with that backbone. Raises BackboneError where it has none."""
        ...


@runtime_checkable
class Drafts(Protocol):
    """A bound task that can also predict quickly and less well, for watching a training."""

    def draft(self, head: nn.Module, features: Features, inputs: Tensors) -> Prediction:
        """Decode the predictions of a batch as `BoundTask.predict` does."""
        ...


def writes_texts(task: Task) -> bool:
    """Return whether a task, bound or not, is for models that write alone: its class says `writes`."""
    return bool(getattr(task, "writes", False))


def blank(task: BoundTask, backbone: Backbone) -> bool:
    """Return whether a model is to write that has learnt nothing yet."""
    return task.needs.generates and backbone.origin == "random"


class DecoderHead(nn.Module):
    """A decoder in the place of a task's head. It has no weights of its own."""

    def __init__(self, decoder: Decoder) -> None:
        """Refer to the live decoder of a backbone."""
        super().__init__()
        self._live = (decoder,)  # in a tuple, so that its weights do not count as the head's

    @property
    def decoder(self) -> Decoder:
        """The live decoder."""
        return self._live[0]

    def __deepcopy__(self, memo: Any) -> Self:
        """Another head of the same live decoder."""
        return type(self)(self.decoder)
