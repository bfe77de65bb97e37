"""Images through timm: ResNet, VGG, Inception, MobileNet, EfficientNet, ConvNeXt, ViT, Swin and about a thousand more.

The model is built without its classifier. Weights come from the Hugging Face hub or its cache, a local folder or file,
or are random. What is a pickle of more than tensors is refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

import timm
from pydantic import Field, field_validator
from torch import Tensor, nn

from headstart.backbones._device_pixels import lacking
from headstart.backbones._licence import licence_beside
from headstart.backbones._pooled_places import PoolKind
from headstart.backbones._timm_architecture import Architecture
from headstart.backbones._timm_backbone import TimmBackbone
from headstart.backbones._timm_edits import Activation
from headstart.backbones._timm_source import OnHub, Source, best_available, fetched, find, is_timm
from headstart.backbones._weights_file import read_weights
from headstart.contracts.architecture_edits import Swap, edits_between
from headstart.contracts.backbone import NO_LICENCE, Backbone
from headstart.contracts.several_stages import Stages
from headstart.kernel.errors import BackboneError
from headstart.kernel.settings import Settings
from headstart.media.deep_pictures import require_order
from headstart.media.images import Levels


class TimmImages(Settings):
    """A timm model for images."""

    modality: ClassVar[str] = "image"

    reference: str
    """timm name, with or without a tag ('resnet50.a1_in1k'), 'hf-hub:OWNER/MODEL', or a timm folder or file in one."""
    weights: str = "pretrained"
    """'pretrained', 'random', or a file: safetensors, or a checkpoint of nothing but tensors."""
    image_size: int | None = Field(default=None, ge=1)
    """Height and width in pixels, position embeddings being resized; >= 1; by default as the weights were trained."""
    channels: int = Field(default=3, ge=1, le=64)
    """Of a picture: 1 for grey, others as they stand in its file; the first weights are adapted; in [1, 64]."""
    drop_stages: int = Field(default=0, ge=0)
    """Last stages that are left out, the features being the mean over places of what is then last; >= 0."""
    activation: Activation | None = None
    """In the place of all of its activations; its own by default."""
    pool: PoolKind | None = None
    """Pooling over places: average, maximum, generalised mean, or a learnt attention; its own by default."""
    decode: Literal["fast", "full", "gpu"] | None = None
    """'fast', the usual: large JPEGs at a reduced size; 'full': as timm does, by Pillow; 'gpu': nvJPEG, with CUDA."""
    framing: Literal["crop", "whole"] = "crop"
    """'crop': the middle, as in the weights' training; 'whole': all of a picture, the rest of a square filled up."""
    features: Stages = "last"
    """'multi': those of up to three earlier stages beside those of the last, and all maps of each stride."""
    levels: Levels | None = None
    """[black, white]: values of pictures of more than 8 bits a channel; by default from the training pictures."""
    seed: int = 0
    """Decides random weights; >= 0."""
    architecture: Architecture | None = None
    """What a saved model keeps in place of looking `reference` up; not meant to be given by hand."""

    _black_below_white = field_validator("levels")(require_order)

    @classmethod
    def suits(cls, reference: str) -> bool:
        """Return whether timm knows the name, or it is a timm folder, a file of weights, or a repository on the hub."""
        return is_timm(reference)

    @classmethod
    def known(cls) -> list[str]:
        """timm's architectures."""
        return list(timm.list_models())

    @classmethod
    def automatic(cls) -> tuple[str, str] | None:
        """The best of some good models in the Hugging Face cache; else a small one, if the hub can be reached."""
        return best_available()

    def load(self) -> Backbone:
        """Build it with its weights.

        Raises:
            BackboneError: an unknown name, weights out of reach or unfit, a file that is refused, no GPU to decode on.
        """
        if self.decode == "gpu" and lacking():
            raise BackboneError(f"decode = 'gpu' is not available: {lacking()}. Use decode = 'fast'.")
        source = self._source()
        edited, old_head = source.architecture, None
        architecture = edited if self.weights == "random" else edited.plain()
        if self.weights == "random":
            module, origin, licence = architecture.random(self.seed), "random", NO_LICENCE
        elif self.weights == "pretrained" and source.weights is None and source.elsewhere:
            module, origin, licence = architecture.downloaded(), "the authors' site, by timm", source.licence
        else:
            path, origin = self._file(source)
            state = read_weights(path)
            module, old_head = architecture.filled(state, origin), architecture.classifier(state)
            licence = source.licence if self.weights == "pretrained" else licence_beside(path.parent)
        before: dict[str, Tensor] = self._before(module)
        swaps: tuple[Swap, ...] = ()
        if architecture is not edited:
            module, swaps = edited.applied(module)
        decode, framing = self.decode or "fast", self.framing
        found = TimmBackbone(self.reference, edited, module, origin, decode, framing, licence, self.levels)
        if old_head is not None and old_head.in_features == found.width:
            found.source_head = old_head
        if before:
            found.edits = edits_between(before, found.module, swaps)
            plain = {"channels": 3, "drop_stages": 0, "activation": None, "pool": None}
            found.unedited = self.model_copy(update=plain).load if edited.edited else None
        return found.several() if self.features == "multi" else found

    def rebuild(self, assets: Path) -> Backbone:  # noqa: ARG002
        """The architecture, with random weights to be replaced by the caller; it decodes as it can on this machine."""
        architecture = self._source().architecture
        module = architecture.random(0)
        # models saved before there was a choice were trained on pictures decoded in full
        decode = self.decode or "full"
        lack = lacking() if decode == "gpu" else ""
        decode = "fast" if lack else decode
        backbone = TimmBackbone(self.reference, architecture, module, "saved model", decode, self.framing)
        backbone.decode_by(self.levels)
        if lack:
            backbone.notices = (f"Pictures are decoded with 'fast' in place of the model's 'gpu': {lack}.",)
        return backbone.several() if self.features == "multi" else backbone

    def _before(self, module: nn.Module) -> dict[str, Tensor]:
        """The weights before edits and resizing, where there are any of these; of what is resized the shapes alone."""
        source = self._source().architecture
        if self.weights == "random" or not (source.edited or self.image_size):
            return {}
        state = {name: value.clone() for name, value in module.state_dict().items()}
        if self.image_size and source.fixed_size:
            trained = find(self.reference, None).architecture.random(0).state_dict()
            state |= {name: value for name, value in trained.items() if value.shape != state[name].shape}
        return state

    def _source(self) -> Source:
        if self.architecture is not None:
            return Source(self.architecture, None)
        found = find(self.reference, self.image_size)
        edits = self.channels, self.drop_stages, self.activation, self.pool
        return found._replace(architecture=found.architecture.with_edits(*edits))

    def _file(self, source: Source) -> tuple[Path, str]:
        """The file of weights and where it came from, in words."""
        if self.weights != "pretrained":
            path = Path(self.weights).expanduser()
            return path, f"file {path}"
        if isinstance(source.weights, OnHub):
            tag = source.architecture.configuration.get("tag")
            where = f"timm hub, tag {tag}" if tag and ":" not in self.reference else f"hub, {source.weights.repository}"
            return fetched(source.weights), where
        if source.weights is None:
            raise BackboneError(
                f"there are no pretrained weights for '{self.reference}'."
                " Give a file with --weights FILE, or use random weights with --weights random."
            )
        return source.weights, f"file {source.weights}"
