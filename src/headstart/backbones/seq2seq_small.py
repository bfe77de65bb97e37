"""A small encoder-decoder for texts, from random weights: the parent of translators that few pairs are there for.

A Transformer (Vaswani et al. 2017) with one vocabulary for both languages, whose byte-level BPE (Sennrich et al. 2016)
is learnt from both sides of the training part, so that no character is unknown, also in another language. The run of
one pair of languages is the backbone of another (Zoph et al. 2016; with the vocabulary kept, Kocmi & Bojar 2018).
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoModelForSeq2SeqLM, GenerationConfig, MarianConfig, PreTrainedTokenizerFast

from headstart.backbones._seq2seq_backbone import Seq2SeqBackbone
from headstart.backbones._seq2seq_loading import files_of, seq2seq_config
from headstart.backbones._text_loading import load_tokenizer, quiet, random_model
from headstart.contracts.backbone import NO_LICENCE, Backbone
from headstart.kernel import registry
from headstart.kernel.errors import BackboneError
from headstart.kernel.settings import Settings

NAME = "seq2seq_small"
PAD, END, UNKNOWN = "<pad>", "</s>", "<unk>"
LONGEST = 256
"""Positions."""


class Seq2SeqSmall(Settings):
    """A small translator, to be trained from random weights."""

    modality: ClassVar[str] = "text"
    writes: ClassVar[bool] = True

    reference: str = NAME
    """Always 'seq2seq_small'."""
    weights: str = "random"
    """'random': what one run has learnt is given to another as `--backbone RUN`."""
    width: int = Field(default=256, ge=8)
    """Width of every layer, a multiple of `heads`; >= 8."""
    layers: int = Field(default=3, ge=1)
    """Layers of the encoder, and as many of the decoder; >= 1."""
    heads: int = Field(default=4, ge=1)
    """Heads of attention; >= 1."""
    vocabulary: int = Field(default=8000, ge=300)
    """Tokens at most that are learnt from the texts of the training part; >= 300."""
    also: tuple[str, ...] = ()
    """Files of further texts, one on each line, from which the vocabulary is learnt too: those of a child language."""
    dropout: float = Field(default=0.2, ge=0, lt=1)
    """Share of activations that is zeroed in training; in [0, 1)."""
    seed: int = 0
    """Decides the weights; >= 0."""

    @classmethod
    def suits(cls, reference: str) -> bool:
        """Return whether it is this one."""
        return reference == NAME

    @classmethod
    def known(cls) -> list[str]:
        """Its name."""
        return [NAME]

    @classmethod
    def automatic(cls) -> tuple[str, str] | None:
        """It learns from nothing but the pairs at hand, where a model is to write."""
        return NAME, "it learns from these texts alone; a pretrained model, or a run, is named with --backbone"

    def load(self) -> Backbone:
        """The network with random weights and a vocabulary of bytes, until texts are there to learn one.

        Raises:
            BackboneError: other weights are asked for, or the width does not suit the heads.
        """
        if self.weights not in ("random", "pretrained"):
            raise BackboneError(f"there are no weights '{self.weights}' for {NAME}: give a run as --backbone RUN")
        if self.width % self.heads:
            raise BackboneError(f"backbone.width = {self.width} is no multiple of backbone.heads = {self.heads}")
        return _Small(self)

    def rebuild(self, assets: Path) -> Backbone:
        """Never called: a saved one is described as one of `hf_seq2seq`. Raises BackboneError."""
        raise BackboneError(f"{NAME} is saved as a model of hf_seq2seq ({assets})")


class _Small(Seq2SeqBackbone):
    def __init__(self, settings: Seq2SeqSmall) -> None:
        self._small, self._learnt = settings, False
        self._build([])

    def _build(self, texts: Sequence[str]) -> None:
        """Make the vocabulary and the weights."""
        small = self._small
        with tempfile.TemporaryDirectory() as folder, quiet():
            tokenizer(texts, small.vocabulary).save_pretrained(folder)
            config_of(small, len(load_tokenizer(Path(folder)))).save_pretrained(folder)
            generation().save_pretrained(folder)
            config, words = seq2seq_config(Path(folder)), load_tokenizer(Path(folder))
            files = files_of(Path(folder), words)
        saved_as = registry.plugin("backbones", "hf_seq2seq")
        settings = saved_as(reference=NAME, weights="random", max_length=LONGEST - 1, seed=small.seed)
        model = random_model(config, small.seed, AutoModelForSeq2SeqLM)
        super().__init__(settings.model_dump(mode="json"), config, model, words, files, "random")
        self.licence = NO_LICENCE

    def learn_vocabulary(self, texts: Sequence[str]) -> str:
        """Learn the vocabulary from texts and the files of `also`, and draw weights for it. Raises BackboneError."""
        if self._learnt:
            return ""
        more = [line for path in self._small.also for line in _lines(path)]
        # as often as the others, so that a small child has a vocabulary of its own (Kocmi & Bojar 2018)
        times = max(1, round(len(texts) / max(1, len(more))))
        self._build([*texts, *(more * times)])
        self._learnt = True
        beside = f" and {len(more)} lines of {len(self._small.also)} other files" if more else ""
        return f"a vocabulary of {self._config.vocab_size} tokens was learnt from {len(texts)} texts{beside}"


def tokenizer(texts: Sequence[str], size: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE of at most so many tokens, which ends texts with `</s>`."""
    words = Tokenizer(models.BPE())
    words.normalizer = normalizers.NFC()
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    words.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=2,
        special_tokens=[PAD, END, UNKNOWN],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    words.train_from_iterator(texts, trainer)
    ends = [(END, words.token_to_id(END))]
    words.post_processor = processors.TemplateProcessing(single=f"$A {END}", special_tokens=ends)
    named = {"pad_token": PAD, "eos_token": END, "unk_token": UNKNOWN, "model_max_length": LONGEST - 1}
    return PreTrainedTokenizerFast(tokenizer_object=words, **named)


def config_of(small: Seq2SeqSmall, size: int) -> MarianConfig:
    """The architecture: Marian's, with sinusoids for positions and one matrix of embeddings on all three places."""
    layers = {f"{part}_layers": small.layers for part in ("encoder", "decoder")}
    heads = {f"{part}_attention_heads": small.heads for part in ("encoder", "decoder")}
    wide = {f"{part}_ffn_dim": 4 * small.width for part in ("encoder", "decoder")}
    return MarianConfig(
        **layers,
        **heads,
        **wide,
        vocab_size=size,
        decoder_vocab_size=size,
        d_model=small.width,
        dropout=small.dropout,
        attention_dropout=0.0,
        activation_function="relu",
        scale_embedding=True,
        init_std=small.width**-0.5,
        max_position_embeddings=LONGEST,
        architectures=["MarianMTModel"],
        **_SPECIAL,
    )


_SPECIAL: dict[str, Any] = {
    "pad_token_id": 0,
    "eos_token_id": 1,
    "bos_token_id": None,
    "decoder_start_token_id": 0,
    "forced_eos_token_id": None,
}


def generation() -> GenerationConfig:
    """The rules of writing: it begins with padding, which is never written again."""
    return GenerationConfig(**_SPECIAL, bad_words_ids=None)


def _lines(path: str) -> list[str]:
    try:
        return [line for line in Path(path).expanduser().read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise BackboneError(f"backbone.also: {path} cannot be read: {error}") from error
