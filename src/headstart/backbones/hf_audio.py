"""Sound encoders of transformers: wav2vec 2.0, HuBERT, WavLM, data2vec, UniSpeech, Whisper, Moonshine, AST.

A clip's features are the mean of its frames. The front (convolutions, patches) is the first stage and each layer one
more, so that boundary k + 1 lies before layer k. Whether frames depend on how far a clip is padded is found out when
the model is loaded; where they do, fronts run over clips of equal length together and over others apart.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field
from torch import nn
from transformers import MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING, AutoFeatureExtractor

from headstart.backbones._audio_backbone import AudioBackbone, encoder_of, whole_model
from headstart.backbones._ctc_layer import ctc_class, ctc_layer
from headstart.backbones._licence import licence_beside
from headstart.backbones._sound_backbone import LONGEST
from headstart.backbones._sound_encoders import KINDS
from headstart.backbones._text_loading import any_config, load_tokenizer, pretrained_model, quiet, tokenizer_files
from headstart.backbones._text_sources import Kind, cached_folder, find, weights_path
from headstart.contracts.backbone import NO_LICENCE, Backbone
from headstart.contracts.several_stages import Stages
from headstart.kernel.errors import BackboneError, HeadstartError, first_line
from headstart.kernel.files import read_json
from headstart.kernel.settings import Settings

KNOWN = (
    "facebook/wav2vec2-base",
    "facebook/hubert-base-ls960",
    "microsoft/wavlm-base-plus",
    "microsoft/wavlm-large",
    "openai/whisper-tiny.en",
    "openai/whisper-base",
    "UsefulSensors/moonshine-tiny",
    "MIT/ast-finetuned-audioset-10-10-0.4593",
)
SOUND = Kind(
    "sound encoder",
    KNOWN,
    "Give a folder with config.json, preprocessor_config.json and model.safetensors.",
    tokenizer=False,
)

_FILES = ("config.json", "preprocessor_config.json", "generation_config.json")


class HfAudio(Settings):
    """A sound encoder of transformers."""

    modality: ClassVar[str] = "audio"

    reference: str
    """Hub id such as `microsoft/wavlm-base-plus`, or a local folder."""
    weights: str = "pretrained"
    """`pretrained`, `random`, or the path of a safetensors file, tensor-only checkpoint or folder of weights."""
    longest: float = Field(default=LONGEST, gt=0)
    """Seconds of a clip that are read; > 0, and at most what the model can read."""
    decoder: bool = True
    """Whether a model that writes what is said, as Whisper does, keeps its decoder for tasks that write."""
    language: str = ""
    """Code of the language that a model of several writes, such as 'en'."""
    seed: int = 0
    """Seed of random weights."""
    features: Stages = "last"
    """`multi`: means of up to three earlier layers beside those of the last."""

    @classmethod
    def suits(cls, reference: str) -> bool:
        """Return whether `reference` may name a sound encoder: a folder with such a config.json, or a hub id."""
        folder = Path(reference).expanduser()
        if not folder.is_dir():
            return "/" in reference and not reference.endswith(".onnx")
        try:
            return read_json(folder / "config.json").get("model_type") in KINDS
        except (HeadstartError, AttributeError):
            return False

    @classmethod
    def known(cls) -> list[str]:
        """Common ones."""
        return list(KNOWN)

    @classmethod
    def automatic(cls) -> tuple[str, str] | None:
        """The first of the common ones that lies in the cache."""
        for name in KNOWN:
            if cached_folder(name, with_weights=True, tokenizer=False) is not None:
                return name, "it lies in the Hugging Face cache"
        return None

    def load(self) -> Backbone:
        """Load configuration, preprocessing and weights, and verify padding and boundaries. Raises BackboneError."""
        folder, origin = find(self.reference, with_weights=self.weights == "pretrained", kind=SOUND)
        config = _config(folder)
        tokenizer = load_tokenizer(folder) if self._writes(config, folder) else None
        files = {name: (folder / name).read_bytes() for name in _FILES if (folder / name).is_file()}
        files |= {} if tokenizer is None else tokenizer_files(tokenizer)
        characters = None
        if self.weights == "random":
            model = whole_model(config, self.seed, writes=tokenizer is not None)
            origin, licence = "random", NO_LICENCE
        else:
            source = weights_path(self.weights, folder)
            spells = ctc_class(config, folder)
            kind = spells if tokenizer is None else MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING[type(config)]
            whole: Any = pretrained_model(config, source, kind)
            licence = licence_beside(source if source.is_dir() else folder)
            if spells is not None:
                characters, whole = ctc_layer(whole, config, folder), whole.base_model
            model = whole if tokenizer is not None else encoder_of(whole, config)
            origin = origin if source is folder else f"file {self.weights}"
        backbone = self._assembled(config, model, tokenizer, folder, files, origin)
        backbone.licence, backbone.spoken = licence, characters
        return backbone

    def rebuild(self, assets: Path) -> Backbone:
        """The architecture alone, from the files in `assets`. Raises BackboneError."""
        config = _config(assets)
        files = {path.name: path.read_bytes() for path in sorted(assets.iterdir()) if path.is_file()}
        tokenizer = load_tokenizer(assets) if self._writes(config, assets) else None
        model = whole_model(config, self.seed, writes=tokenizer is not None)
        return self._assembled(config, model, tokenizer, assets, files, f"model in {assets.parent}")

    def _writes(self, config: Any, folder: Path) -> bool:
        return self.decoder and config.is_encoder_decoder and (folder / "tokenizer.json").exists()

    def _assembled(
        self, config: Any, model: nn.Module, tokenizer: Any, folder: Path, files: dict[str, bytes], origin: str
    ) -> AudioBackbone:
        try:
            with quiet():
                extractor = AutoFeatureExtractor.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
        except Exception as error:  # transformers raises OSError, ValueError, KeyError and more, by version
            raise BackboneError(f"{folder}: preprocessor_config.json cannot be used: {first_line(error)}") from error
        settings = self.model_dump(mode="json", exclude={"features"})
        backbone = AudioBackbone(settings, config, model, extractor, tokenizer, files, origin)
        return backbone.several() if self.features == "multi" else backbone


def _config(folder: Path) -> Any:
    config = any_config(folder)
    if config.model_type not in KINDS:
        raise BackboneError(
            f"{folder} holds a model of type '{config.model_type}'; of sounds these are read: {', '.join(KINDS)}"
        )
    for extra in ("use_cache", "output_hidden_states", "output_attentions"):
        setattr(config, extra, False)
    return config
