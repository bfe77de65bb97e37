"""Encoder-decoder text models of transformers, which write texts: Marian (OPUS-MT), T5, mBART, NLLB ...

The encoder's states are what is kept; the decoder's layers are the last stages. A model of several languages is told
which to read and to write by the codes of its tokenizer.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field
from torch import nn
from transformers import AutoModelForSeq2SeqLM

from headstart.backbones._licence import licence_beside
from headstart.backbones._seq2seq_backbone import Seq2SeqBackbone
from headstart.backbones._seq2seq_loading import files_of, kind_of, seq2seq_config
from headstart.backbones._text_loading import load_tokenizer, pretrained_model, random_model
from headstart.backbones._text_preparation import LONGEST
from headstart.backbones._text_sources import Kind, find, weights_path
from headstart.contracts.backbone import NO_LICENCE, Backbone
from headstart.kernel.errors import BackboneError, HeadstartError, unknown
from headstart.kernel.files import read_json
from headstart.kernel.settings import Settings

_ON_HUB = (
    "Helsinki-NLP/opus-mt-",
    "google-t5/",
    "google/flan-t5-",
    "facebook/mbart-",
    "facebook/nllb-",
    "facebook/m2m",
)
"""Beginnings of hub ids that are known to be of such models."""
KNOWN = ("Helsinki-NLP/opus-mt-en-de", "facebook/nllb-200-distilled-600M", "google/flan-t5-small")
"""Some translators."""

TRANSLATOR = Kind(
    "encoder-decoder model",
    KNOWN,
    "Give a folder with config.json, the tokenizer files and model.safetensors, or begin with seq2seq_small.",
    tokenizer=True,
)


class HfSeq2Seq(Settings):
    """An encoder-decoder model of transformers."""

    modality: ClassVar[str] = "text"
    writes: ClassVar[bool] = True

    reference: str
    """Local folder, or hub id such as `Helsinki-NLP/opus-mt-en-de`."""
    weights: str = "pretrained"
    """`pretrained`, `random`, or the path of a safetensors file, tensor-only checkpoint or folder of weights."""
    source_language: str = ""
    """Code of the language that is read, as the tokenizer has it (`eng_Latn`, `en_XX`); '' where it has none."""
    target_language: str = ""
    """Code of the language that is written, likewise."""
    max_length: int | None = Field(default=None, ge=8)
    """Tokens kept of a text; by default as many as model and tokenizer allow, at most 512; >= 8."""
    seed: int = 0
    """Seed of random weights."""

    @classmethod
    def suits(cls, reference: str) -> bool:
        """Return whether `reference` is a folder with an encoder-decoder model, or a hub id of a known family."""
        folder = Path(reference).expanduser()
        if not folder.is_dir():
            return reference.startswith(_ON_HUB)
        try:
            config = read_json(folder / "config.json")
        except HeadstartError:
            return False
        return isinstance(config, dict) and bool(config.get("is_encoder_decoder"))

    @classmethod
    def known(cls) -> list[str]:
        """Some translators."""
        return list(KNOWN)

    @classmethod
    def automatic(cls) -> tuple[str, str] | None:
        """Never: the languages must be said."""
        return None

    def load(self) -> Backbone:
        """Load configuration, tokenizer and weights, and verify boundaries and the decoder's start.

        Raises:
            BackboneError: it cannot be loaded, or a language is missing or unknown.
        """
        folder, origin = find(self.reference, with_weights=self.weights == "pretrained", kind=TRANSLATOR)
        config, tokenizer = seq2seq_config(folder), self._in_languages(load_tokenizer(folder))
        licence = licence_beside(folder)
        if self.weights == "random":
            model, origin, licence = random_model(config, self.seed, AutoModelForSeq2SeqLM), "random", NO_LICENCE
        else:
            source = weights_path(self.weights, folder)
            model = pretrained_model(config, source, kind_of(config))
            origin = origin if source is folder else f"file {self.weights}"
        backbone = self.assembled(config, model, tokenizer, files_of(folder, tokenizer), origin)
        backbone.licence = licence
        return backbone

    def rebuild(self, assets: Path) -> Backbone:
        """The architecture alone, from the configuration and tokenizer in `assets`. Raises BackboneError."""
        config, tokenizer = seq2seq_config(assets), self._in_languages(load_tokenizer(assets))
        files = {path.name: path.read_bytes() for path in sorted(assets.iterdir()) if path.is_file()}
        model = random_model(config, self.seed, AutoModelForSeq2SeqLM)
        return self.assembled(config, model, tokenizer, files, f"model in {assets.parent}")

    def assembled(
        self, config: Any, model: nn.Module, tokenizer: Any, files: dict[str, bytes], origin: str
    ) -> Seq2SeqBackbone:
        """Return the backbone of these parts. Raises BackboneError."""
        positions = getattr(config, "max_position_embeddings", None) or LONGEST
        most = int(min(tokenizer.model_max_length, positions))
        if self.max_length is not None and self.max_length > most:
            raise BackboneError(f"max_length {self.max_length} is more than {self.reference} can read: at most {most}")
        settings = self.model_copy(update={"max_length": self.max_length or min(most, LONGEST)})
        return Seq2SeqBackbone(settings.model_dump(mode="json"), config, model, tokenizer, files, origin)

    def _in_languages(self, tokenizer: Any) -> Any:
        """Set the tokenizer to its languages. Raises BackboneError where it has none of that code, or asks for one."""
        codes = list(getattr(tokenizer, "fairseq_language_codes", None) or getattr(tokenizer, "lang_code_to_id", {}))
        known = {*codes, *tokenizer.all_special_tokens, *tokenizer.get_added_vocab()}
        for side, code in (("src_lang", self.source_language), ("tgt_lang", self.target_language)):
            name = "source_language" if side == "src_lang" else "target_language"
            if code and code not in known:
                raise BackboneError(f"backbone.{name}: {unknown('language', code, sorted(known))}")
            if not code and hasattr(tokenizer, side) and codes:
                raise BackboneError(
                    f"{self.reference} reads and writes several languages: give --set backbone.{name}=CODE, such as "
                    f"{codes[0]}"
                )
            if code:
                setattr(tokenizer, side, code)
        return tokenizer
