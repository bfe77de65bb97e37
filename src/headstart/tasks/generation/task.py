"""Generation: a text for each example, such as its translation, written by the decoder of an encoder-decoder model.

How it is learnt and found is in `tasks/_teacher_forced.py`; predictions are made by the library's beam search.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from pydantic import Field
from torch import Tensor, nn

from headstart.contracts.examples import Examples
from headstart.contracts.features import Features
from headstart.contracts.generation import Change, DecoderHead, Decoding
from headstart.contracts.modality import HasTexts, modality_named, raws_of
from headstart.contracts.retrieval import Memory, MemoryHead
from headstart.contracts.targets import PADDED_TARGET
from headstart.contracts.task import Evaluation, FeatureSource, SplitPolicy, Tensors
from headstart.contracts.task_capabilities import Choice
from headstart.tasks._teacher_forced import BEFORE, TeacherForced, decoder_of, live_decoder
from headstart.tasks.generation.language_check import frequent, looks_like
from headstart.tasks.generation.metrics import generation_metrics, measure
from headstart.tasks.generation.text_labels import TARGET, are_texts, labelled_texts

BEYOND = 1.25
"""Times the longest text that was bound to, up to which texts are written: what knows no end takes its time."""

FROM_RANDOM, FROM_LEARNT = 1e-3, 1e-4
"""Peak learning rates of a model from random weights and of one that has learnt already."""


class Generation(Decoding):
    """A text for each example, such as its translation."""

    reads_within: ClassVar[bool] = True
    writes: ClassVar[bool] = True

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


class BoundGeneration(TeacherForced):
    """Generation with the vocabulary of a backbone."""

    settings: Generation
    texts: int = Field(ge=0)
    """Texts that it was bound to."""
    cut: int = Field(ge=0)
    """Those of them that are longer than may be written."""
    longest_seen: int = Field(default=1024, ge=1)
    """Tokens of the longest of them."""
    reads: tuple[str, ...] = ()
    """Frequent words of the texts that it was trained to read."""
    writes: tuple[str, ...] = ()
    """Those of the texts to write."""
    memory: Memory | None = None
    """Of decoder states, where retrieval stands beside the decoder."""
    from_random: bool = False
    """Whether the backbone had random weights."""

    @property
    def decoding(self) -> Decoding:
        """The settings."""
        return self.settings

    @property
    def searched(self) -> Decoding:
        """The settings, with texts not much longer than those it was bound to."""
        most = int(BEYOND * self.longest_seen) + 1
        return self.settings.model_copy(update={"longest": min(self.settings.longest, most)})

    @property
    def smoothing(self) -> float:
        """As of the settings."""
        return self.settings.label_smoothing

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
        return (Choice("texts to write", f"at most {self.most()} tokens", reason),)

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

    def labelled_texts(self, examples: Examples) -> list[str]:
        """The texts. Raises DataError as `bind`."""
        return labelled_texts(examples)

    def has_texts(self, examples: Examples) -> bool:
        """True where no text is missing."""
        column = examples.schema.targets.get(TARGET)
        return column is not None and not examples.table.column(column).null_count

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
        scored, real = live_decoder(head).scored(features, tokens), tokens != PADDED_TARGET
        right = tokens[real]
        log_p = scored.logits[real].float().log_softmax(dim=1)
        return scored.states[real], right, log_p.gather(1, right[:, None])[:, 0]

    def change(self, head: nn.Module) -> Change | None:
        """Return what a memory makes of each step's scores; None without one."""
        return head.mixed if isinstance(head, MemoryHead) else None
