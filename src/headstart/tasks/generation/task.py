"""Generation: a text for each example, such as its translation, written by the decoder of an encoder-decoder model.

The loss is the cross-entropy of each token given those before it (teacher forcing), with label smoothing (Szegedy et
al. 2016), as a mean over tokens. Predictions are made by the library's beam search and never see a target. The head has
no weights: the decoder's layers are stages of the backbone, so that tunings reach them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from pydantic import Field, PrivateAttr
from torch import Tensor, nn

from headstart.contracts.examples import Examples
from headstart.contracts.features import Features
from headstart.contracts.generation import Decoder, DecoderHead, Decoding, Generates
from headstart.contracts.modality import HasTexts, modality_named, raws_of
from headstart.contracts.prediction import Prediction
from headstart.contracts.retrieval import Memory, MemoryHead
from headstart.contracts.targets import PADDED_TARGET, TargetKinds
from headstart.contracts.task import BoundTask, Evaluation, FeatureSource, Needs, SplitPolicy, Targets, Tensors
from headstart.contracts.task_capabilities import Choice
from headstart.contracts.written_targets import TEXTS, token_column, written
from headstart.kernel.errors import BackboneError, SettingsError
from headstart.tasks.generation.language_check import frequent, looks_like
from headstart.tasks.generation.metrics import TEXT, generation_metrics, measure
from headstart.tasks.generation.text_labels import TARGET, are_texts, labelled_texts

BEFORE = "written"
"""Head input: the tokens that training shows the decoder, each before the next is asked for; (batch, tokens)."""

BEYOND = 1.25
"""Times the longest text that was bound to, up to which texts are written: what knows no end takes its time."""

FROM_RANDOM, FROM_LEARNT = 1e-3, 1e-4
"""Peak learning rates of a model from random weights and of one that has learnt already."""


class Generation(Decoding):
    """A text for each example, such as its translation."""

    reads_within: ClassVar[bool] = True

    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    """Share of each token's probability that the loss spreads over the vocabulary; in [0, 1)."""

    @classmethod
    def suits(cls, examples: Examples) -> str | None:
        """Return why the labels are texts to write: long and mostly different; None where they are not."""
        schema = examples.schema
        one_text = isinstance(modality_named(schema.modality), HasTexts) and len(schema.inputs) == 1
        return are_texts(examples) if one_text and TARGET in schema.targets else None

    def split_policy(self, examples: Examples) -> SplitPolicy:
        """All texts are of one stratum."""
        return SplitPolicy(np.zeros(len(examples), np.int64), ("texts",))

    def bind(self, examples: Examples, backbone: FeatureSource) -> BoundGeneration:
        """Learn how the backbone's tokenizer writes the texts, and how many are cut.

        Raises:
            DataError: texts are missing or are none.
            BackboneError: the backbone writes no texts.
            SettingsError: sacrebleu is missing.
        """
        measure("chrf")
        texts = labelled_texts(examples)
        decoder = decoder_of(backbone)
        most, lengths = min(self.longest, decoder.longest), [len(row) for row in decoder.encode(texts)]
        cut = sum(length > most for length in lengths)
        fresh = getattr(backbone, "origin", "") == "random"
        read = [str(raw) for raw in raws_of(examples)]
        usual = {"reads": frequent(read, texts), "writes": frequent(texts, read)}
        known = {"texts": len(texts), "cut": cut, "longest_seen": max(lengths), "from_random": fresh}
        bound = BoundGeneration(settings=self, **known, **usual)
        return bound.with_backbone(backbone)

    def restore(self, learnt: Mapping[str, Any]) -> BoundGeneration:
        """Take what was learnt; targets need the backbone as well, by `with_backbone`."""
        return BoundGeneration.model_validate({**learnt, "settings": self})


class BoundGeneration(BoundTask):
    """Generation with the vocabulary of a backbone."""

    target_kinds: ClassVar[TargetKinds] = {TEXT: TEXTS}
    in_sums: ClassVar[bool] = True

    settings: Generation
    texts: int = Field(ge=0)
    """Texts that it was bound to."""
    cut: int = Field(ge=0)
    """Those of them that are longer than may be written."""
    longest_seen: int = Field(ge=1)
    """Tokens of the longest of them."""
    reads: tuple[str, ...] = ()
    """Frequent words of the texts that it was trained to read."""
    writes: tuple[str, ...] = ()
    """Those of the texts to write."""
    memory: Memory | None = None
    """Of decoder states, where retrieval stands beside the decoder."""
    from_random: bool = False
    """Whether the backbone had random weights."""

    _decoder: Decoder | None = PrivateAttr(default=None)

    def __eq__(self, other: object) -> bool:
        """Compare settings and what was learnt; the decoder is the backbone's."""
        return isinstance(other, BoundGeneration) and self.model_dump() == other.model_dump()

    def with_backbone(self, backbone: FeatureSource) -> Self:
        """Return the task with the backbone whose vocabulary makes its targets. Raises BackboneError."""
        found = self.model_copy()
        found._decoder = decoder_of(backbone)
        return found

    @property
    def needs(self) -> Needs:
        """The encoder's states, and a decoder."""
        return Needs("tokens", generates=True)

    @property
    def evaluation(self) -> Evaluation:
        """chrF, BLEU and TER; there is nothing to calibrate."""
        return Evaluation(generation_metrics(), chosen_by="metric")

    def training(self) -> Mapping[str, Any]:
        """A higher rate from random weights, and a warm-up, without which Transformers diverge."""
        rate = FROM_RANDOM if self.from_random else FROM_LEARNT
        return {"learning_rate": rate, "batch_size": 64, "warmup": 0.1}

    def choices(self) -> tuple[Choice, ...]:
        """Tell of texts that are cut."""
        if not self.cut:
            return ()
        reason = f"{self.cut} of {self.texts} are longer and lose their end; task.longest allows more"
        return (Choice("texts to write", f"at most {self._most()} tokens", reason),)

    def warnings(self, examples: Examples) -> tuple[str, ...]:
        """Tell of texts that look like those the model writes, rather than those it reads."""
        found = [str(raw) for raw in raws_of(examples)]
        if not looks_like(found, self.reads, self.writes):
            return ()
        return ("these texts look like the language that the model writes, not like the one that it reads",)

    def split_policy(self, examples: Examples) -> SplitPolicy:
        """As of the settings."""
        return self.settings.split_policy(examples)

    def extended(self, examples: Examples, backbone: FeatureSource) -> Self:
        """The task with more texts. Raises DataError as `bind`."""
        labelled_texts(examples)
        return self.with_backbone(backbone)

    def targets(self, examples: Examples) -> Targets:
        """{"text": (examples,) of `Written`}. Raises DataError as `bind`."""
        texts = labelled_texts(examples)
        return {TEXT: written(texts, self._tokens(texts))}

    def inputs(self, examples: Examples) -> Targets:
        """{"written": (examples,) of (tokens,) int64} where the examples have texts, for training alone; else {}."""
        column = examples.schema.targets.get(TARGET)
        if column is None or examples.table.column(column).null_count:
            return {}
        return {BEFORE: token_column(self.targets(examples)[TEXT])}

    def head(self, backbone: FeatureSource) -> DecoderHead:
        """The backbone's live decoder, with an empty memory where it has one; it has no weights of its own."""
        decoder = decoder_of(backbone)
        return DecoderHead(decoder) if self.memory is None else MemoryHead(decoder, self.memory)

    def with_memory(self, memory: Memory | None) -> Self:
        """Return the task whose decoder asks such a memory, or none."""
        return self.model_copy(update={"memory": memory})

    def entries(self, head: nn.Module, features: Features, inputs: Tensors) -> tuple[Tensor, Tensor, Tensor]:
        """States (tokens, width), tokens (tokens,) and their log probabilities (tokens,) in the texts of a batch."""
        tokens = inputs[BEFORE]
        scored, real = _decoder(head).scored(features, tokens), tokens != PADDED_TARGET
        right = tokens[real]
        log_p = scored.logits[real].float().log_softmax(dim=1)
        return scored.states[real], right, log_p.gather(1, right[:, None])[:, 0]

    def forward(self, head: nn.Module, features: Features, inputs: Tensors) -> Tensors:
        """{"logits": (batch, tokens, vocabulary)} of the texts that are to be written."""
        return {"logits": _decoder(head).scored(features, inputs[BEFORE]).logits}

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
            label_smoothing=self.settings.label_smoothing,
        )
        return {"cross_entropy": total, "tokens": (tokens != PADDED_TARGET).sum()}

    def losses_of(self, sums: Tensors) -> Tensors:
        """Return the mean over tokens."""
        return {"cross_entropy": sums["cross_entropy"] / sums["tokens"].clamp(min=1)}

    def predict(self, head: nn.Module, features: Features, inputs: Tensors) -> Prediction:
        """Columns "text" (examples,) of str, and "unfinished": whether the longest was reached before the end."""
        return self._written(head, features, self.settings)

    def draft(self, head: nn.Module, features: Features, inputs: Tensors) -> Prediction:
        """The same by the likeliest token each time, several times as fast: for the epochs of a training."""
        return self._written(head, features, self.settings.model_copy(update={"beams": 1}))

    def _written(self, head: nn.Module, features: Features, decoding: Decoding) -> Prediction:
        decoder = _decoder(head)
        change = head.mixed if isinstance(head, MemoryHead) else None
        most = min(decoding.longest, decoder.longest, int(BEYOND * self.longest_seen) + 1)
        decoding = decoding.model_copy(update={"longest": most})
        tokens = decoder.generate(features, decoding, change).cpu().numpy()
        texts = np.empty(len(tokens), dtype=object)
        texts[:] = decoder.decode([*tokens])
        full = tokens.shape[1] >= most
        open_end = (tokens[:, -1] != decoder.pad) & (tokens[:, -1] != decoder.end)
        return Prediction({TEXT: texts, "unfinished": open_end if full else np.zeros(len(tokens), bool)})

    def _tokens(self, texts: list[str]) -> list[np.ndarray]:
        """Token ids of texts, cut to the longest that may be written, with their end."""
        if self._decoder is None:
            raise SettingsError("the task has no vocabulary before it is given its backbone")
        most = self._most()
        rows = self._decoder.encode(texts)
        return [row if len(row) <= most else np.append(row[: most - 1], row[-1]) for row in rows]

    def _most(self) -> int:
        limit = self.settings.longest
        return limit if self._decoder is None else min(limit, self._decoder.longest)


def decoder_of(backbone: FeatureSource) -> Decoder:
    """The decoder of a backbone. Raises BackboneError where it has none."""
    if not isinstance(backbone, Generates):
        name = getattr(backbone, "name", "the backbone")
        raise BackboneError(
            f"generation needs a model that writes, and {name} has no decoder. Take seq2seq_small, which learns from "
            "random weights, or an encoder-decoder such as Helsinki-NLP/opus-mt-en-de."
        )
    return backbone.decoder()


def _decoder(head: nn.Module) -> Decoder:
    if not isinstance(head, DecoderHead):
        raise SettingsError("the head of the task generation is its backbone's decoder")
    return head.decoder
