"""Text encoders, and decoders used as encoders, of transformers: BERT, RoBERTa, DistilBERT, ELECTRA, DeBERTa, GPT-2 ...

A text's features are its token vectors, pooled over the real tokens (Reimers & Gurevych 2019 for the mean). The stages
are the embeddings and then the layers, so that boundary k + 1 lies before layer k.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator
from torch import nn

from headstart.backbones._licence import licence_beside
from headstart.backbones._text_backbone import TextBackbone
from headstart.backbones._text_edits import with_activation, with_window, without_last
from headstart.backbones._text_loading import (
    load_config,
    load_tokenizer,
    pretrained_model,
    random_model,
    tokenizer_files,
)
from headstart.backbones._text_pooling import declared_pooling
from headstart.backbones._text_preparation import LONGEST, TextPreparation, longest_readable
from headstart.backbones._text_sources import KNOWN, best_available, find, weights_path
from headstart.contracts.architecture_edits import Swap, edits_between
from headstart.contracts.backbone import NO_LICENCE, Backbone, Pairs
from headstart.contracts.several_stages import Stages
from headstart.kernel.errors import BackboneError, HeadstartError
from headstart.kernel.files import read_json
from headstart.kernel.settings import Settings


class HfText(Settings):
    """A text model of transformers."""

    modality: ClassVar[str] = "text"

    reference: str
    """Hub id such as `bert-base-uncased`, a local folder, or `all-MiniLM-L6-v2` from the extra `offline`."""
    weights: str = "pretrained"
    """`pretrained`, `random`, or the path of a safetensors file, tensor-only checkpoint or folder of weights."""
    pool: Literal["auto", "mean", "cls", "last"] = "auto"
    """Pooling over real tokens; `auto` is what the model's sentence-transformers folder declares, else the mean."""
    max_length: int | None = Field(default=None, ge=8)
    """Tokens kept of a text; by default as many as model and tokenizer allow, at most 512; more than these makes learnt
    positions longer; >= 8."""
    drop_stages: int = Field(default=0, ge=0)
    """Last layers that are left out; >= 0."""
    activation: Literal["relu", "gelu", "gelu_new", "silu", "quick_gelu"] | None = None
    """In the place of the layers' own; that by default."""
    seed: int = 0
    """Seed of random weights."""
    places: bool = False
    """Whether each token says where in the text it lies, for tasks that read words."""
    pairs: Pairs = "auto"
    """How the two texts of an example are read: `joint` as one text, `apart` each by itself and then compared; `auto`
    is what a probe on each does better with."""
    features: Stages = "last"
    """`multi`: those of up to three earlier layers beside those of the last; pairs are then read jointly."""

    @model_validator(mode="after")
    def _joint_if_several(self) -> Self:
        if self.features == "multi" and self.pairs == "apart":
            raise ValueError("features = multi reads pairs jointly: leave pairs = apart out")
        return self

    @classmethod
    def suits(cls, reference: str) -> bool:
        """Return whether `reference` may name a text model: a folder with a transformers config.json, or a hub id."""
        folder = Path(reference).expanduser()
        if not folder.is_dir():
            return not reference.startswith(("timm/", "hf-hub:", "hf_hub:"))
        try:
            return "model_type" in read_json(folder / "config.json")
        except HeadstartError:
            return False

    @classmethod
    def known(cls) -> list[str]:
        """Common text models."""
        return list(KNOWN)

    @classmethod
    def automatic(cls) -> tuple[str, str] | None:
        """The installed MiniLM, else what lies in the cache, else MiniLM from the hub if that answers at once."""
        return best_available()

    def load(self) -> Backbone:
        """Load configuration, tokenizer and weights, and verify the boundaries. Raises BackboneError."""
        folder, origin = find(self.reference, with_weights=self.weights == "pretrained")
        config, tokenizer = load_config(folder), load_tokenizer(folder)
        plain, (config, swaps) = config, self._edited(config)
        if self.weights == "random":
            model, origin, licence = random_model(config, self.seed), "random", NO_LICENCE
        elif self.weights == "pretrained":
            model, licence = pretrained_model(config, folder), licence_beside(folder)
        else:
            path = weights_path(self.weights, folder)
            model, origin = pretrained_model(config, path), f"file {self.weights}"
            licence = licence_beside(path if path.is_dir() else path.parent)
        before = model.state_dict()
        if self.max_length is not None:
            config, model = with_window(config, model, self.max_length)
            tokenizer.model_max_length = max(tokenizer.model_max_length, self.max_length)
        written = (folder / "config.json").read_bytes() if config is plain else config.to_json_string().encode()
        files = {"config.json": written, **tokenizer_files(tokenizer)}
        settled = self.model_copy(update={"pool": declared_pooling(folder)}) if self.pool == "auto" else self
        backbone = settled._assembled(config, model, tokenizer, files, origin)
        backbone.licence = licence
        if config is not plain and self.weights != "random":
            lost = (Swap(f"last {self.drop_stages} layers", "", "left out"),) if self.drop_stages else ()
            backbone.edits = edits_between(before, model, (*lost, *swaps))
            update = {"drop_stages": 0, "activation": None, "max_length": None}
            backbone.unedited = self.model_copy(update=update).load
        return settled._as_read(backbone)

    def rebuild(self, assets: Path) -> Backbone:
        """The architecture alone, from the configuration and tokenizer in `assets`. Raises BackboneError."""
        config, tokenizer = load_config(assets), load_tokenizer(assets)
        files = {path.name: path.read_bytes() for path in sorted(assets.iterdir()) if path.is_file()}
        model, origin = random_model(config, self.seed), f"model in {assets.parent}"
        return self._as_read(self._assembled(config, model, tokenizer, files, origin))

    def _as_read(self, backbone: TextBackbone) -> TextBackbone:
        if self.features == "multi":
            return backbone.several()
        return (backbone.apart() or backbone) if self.pairs == "apart" else backbone

    def _edited(self, config: Any) -> tuple[Any, tuple[Swap, ...]]:
        swaps: tuple[Swap, ...] = ()
        if self.drop_stages:
            config = without_last(config, self.drop_stages)
        if self.activation is not None:
            config, swap = with_activation(config, self.activation)
            swaps = (swap,)
        return config, swaps

    def _assembled(
        self, config: Any, model: nn.Module, tokenizer: Any, files: dict[str, bytes], origin: str
    ) -> TextBackbone:
        most = longest_readable(tokenizer, config, model)
        if self.max_length is not None and self.max_length > most:
            raise BackboneError(f"max_length {self.max_length} is more than {self.reference} can read: at most {most}")
        length = self.max_length or min(most, LONGEST)
        done = {"pairs", "features", "drop_stages", "activation"}  # the configuration has these edits
        settings = self.model_copy(update={"max_length": length}).model_dump(mode="json", exclude=done)
        preparation = TextPreparation(tokenizer, files, config, length, places=self.places)
        return TextBackbone(settings, config, model, preparation, files, origin).verified()
