"""Texts written by a backbone's decoder: learnt with the text before each token (teacher forcing), found by its search.

The loss is the cross-entropy of each token given those before it, with label smoothing (Szegedy et al. 2016), as a mean
over tokens. Predictions never see a target. The head has no weights: the decoder's layers are stages of the backbone.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Self

import numpy as np
from pydantic import PrivateAttr
from torch import nn

from headstart.contracts.examples import Examples
from headstart.contracts.features import Features
from headstart.contracts.generation import Change, Decoder, DecoderHead, Decoding, Generates
from headstart.contracts.prediction import Prediction
from headstart.contracts.targets import PADDED_TARGET, TargetKinds
from headstart.contracts.task import BoundTask, FeatureSource, Needs, Targets, Tensors
from headstart.contracts.written_targets import TEXTS, token_column, written
from headstart.kernel.errors import BackboneError, SettingsError

TEXT = "text"
"""The target, and the column of predictions."""

BEFORE = "written"
"""Head input: the tokens that training shows the decoder, each before the next is asked for; (batch, tokens)."""


class TeacherForced(BoundTask):
    """Base of bound tasks whose texts a decoder writes."""

    target_kinds: ClassVar[TargetKinds] = {TEXT: TEXTS}
    in_sums: ClassVar[bool] = True

    _decoder: Decoder | None = PrivateAttr(default=None)

    @property
    @abstractmethod
    def decoding(self) -> Decoding:
        """Return how texts are searched for."""

    @property
    def searched(self) -> Decoding:
        """Return how predictions are searched for, which may be shorter than what may be written."""
        return self.decoding

    @property
    @abstractmethod
    def smoothing(self) -> float:
        """Return the share of each token's probability that the loss spreads over the vocabulary."""

    @abstractmethod
    def labelled_texts(self, examples: Examples) -> list[str]:
        """Return the texts to write. Raises DataError where one is missing."""

    @abstractmethod
    def has_texts(self, examples: Examples) -> bool:
        """Return whether the examples have texts."""

    def __eq__(self, other: object) -> bool:
        """Compare settings and what was learnt; the decoder is the backbone's."""
        if not isinstance(other, TeacherForced) or type(other) is not type(self):
            return False
        return self.model_dump() == other.model_dump()

    def with_backbone(self, backbone: FeatureSource) -> Self:
        """Return the task with the backbone whose vocabulary makes its targets. Raises BackboneError."""
        found = self.model_copy()
        found._decoder = decoder_of(backbone)
        return found

    @property
    def needs(self) -> Needs:
        """The encoder's states, and a decoder."""
        return Needs("tokens", generates=True)

    def targets(self, examples: Examples) -> Targets:
        """{"text": (examples,) of `Written`}. Raises DataError on a missing one."""
        texts = self.labelled_texts(examples)
        return {TEXT: written(texts, self.tokens(texts))}

    def inputs(self, examples: Examples) -> Targets:
        """{"written": (examples,) of (tokens,) int64} where the examples have texts, for training alone; else {}."""
        return {BEFORE: token_column(self.targets(examples)[TEXT])} if self.has_texts(examples) else {}

    def head(self, backbone: FeatureSource) -> DecoderHead:
        """The backbone's live decoder; it has no weights of its own."""
        return DecoderHead(decoder_of(backbone))

    def forward(self, head: nn.Module, features: Features, inputs: Tensors) -> Tensors:
        """{"logits": (batch, tokens, vocabulary)} of the texts that are to be written."""
        return {"logits": live_decoder(head).scored(features, inputs[BEFORE]).logits}

    def losses(self, outputs: Tensors, targets: Tensors) -> Tensors:
        """{"cross_entropy": scalar}, the mean over tokens."""
        return self.losses_of(self.sums(outputs, targets))

    def sums(self, outputs: Tensors, targets: Tensors) -> Tensors:
        """{"cross_entropy": (), "tokens": ()}: the sum over tokens, and their number."""
        tokens = targets[TEXT]
        total = nn.functional.cross_entropy(
            outputs["logits"].flatten(0, 1),
            tokens.flatten(),
            ignore_index=PADDED_TARGET,
            reduction="sum",
            label_smoothing=self.smoothing,
        )
        return {"cross_entropy": total, "tokens": (tokens != PADDED_TARGET).sum()}

    def losses_of(self, sums: Tensors) -> Tensors:
        """Return the mean over tokens."""
        return {"cross_entropy": sums["cross_entropy"] / sums["tokens"].clamp(min=1)}

    def predict(self, head: nn.Module, features: Features, inputs: Tensors) -> Prediction:
        """Columns "text" (examples,) of str, and "unfinished": whether the longest was reached before the end."""
        return self._found(head, features, self.searched)

    def draft(self, head: nn.Module, features: Features, inputs: Tensors) -> Prediction:
        """The same by the likeliest token each time, several times as fast: for the epochs of a training."""
        return self._found(head, features, self.searched.model_copy(update={"beams": 1}))

    def tokens(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Token ids of texts, cut to the longest that may be written, with their end."""
        if self._decoder is None:
            raise SettingsError("the task has no vocabulary before it is given its backbone")
        most = self.most()
        rows = self._decoder.encode(texts)
        return [row if len(row) <= most else np.append(row[: most - 1], row[-1]) for row in rows]

    def most(self) -> int:
        """Return how many tokens a text may have."""
        limit = self.decoding.longest
        return limit if self._decoder is None else min(limit, self._decoder.longest)

    def change(self, head: nn.Module) -> Change | None:
        """Return what changes the scores of each step: nothing."""
        return None

    def _found(self, head: nn.Module, features: Features, decoding: Decoding) -> Prediction:
        decoder = live_decoder(head)
        tokens = decoder.generate(features, decoding, self.change(head)).cpu().numpy()
        texts = np.empty(len(tokens), dtype=object)
        texts[:] = decoder.decode([*tokens])
        full = tokens.shape[1] >= min(decoding.longest, decoder.longest)
        open_end = (tokens[:, -1] != decoder.pad) & (tokens[:, -1] != decoder.end)
        return Prediction({TEXT: texts, "unfinished": open_end if full else np.zeros(len(tokens), bool)})


def writes(backbone: FeatureSource) -> bool:
    """Return whether a backbone has a decoder."""
    return isinstance(backbone, Generates) and getattr(backbone, "decoder_stages", 0) > 0


def decoder_of(backbone: FeatureSource) -> Decoder:
    """The decoder of a backbone. Raises BackboneError where it has none."""
    if not (isinstance(backbone, Generates) and writes(backbone)):
        name = getattr(backbone, "name", "the backbone")
        raise BackboneError(
            f"this task needs a model that writes, and {name} has no decoder. Take seq2seq_small, which learns from "
            "random weights, or an encoder-decoder such as Helsinki-NLP/opus-mt-en-de or openai/whisper-tiny."
        )
    return backbone.decoder()


def live_decoder(head: nn.Module) -> Decoder:
    """The decoder in the place of a head. Raises SettingsError where there is none."""
    if not isinstance(head, DecoderHead):
        raise SettingsError("the head of a task that writes is its backbone's decoder")
    return head.decoder
