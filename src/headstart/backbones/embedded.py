"""The image backbone that ships inside: a small ResNet pretrained on generated pictures, for work without a network.

Formula-driven supervised pretraining (Kataoka et al. 2020): no photograph was used, so neither licences nor persons are
involved. The weights lie beside this file, in 16 bits; `recipes/embedded.toml` of the repository reproduces them. Its
features are better than random ones and worse than those of a model pretrained on photographs.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, field_validator
from torch import nn

from headstart.backbones._licence import licence_beside
from headstart.backbones._own_name import OwnName
from headstart.backbones._small_picture_net import CONFIGURATION, SIDE, TIMM_NAME
from headstart.backbones._timm_architecture import Architecture
from headstart.backbones._timm_backbone import TimmBackbone
from headstart.backbones._weights_file import read_weights
from headstart.contracts.backbone import NO_LICENCE, Backbone
from headstart.contracts.several_stages import Stages
from headstart.kernel.errors import BackboneError
from headstart.media.deep_pictures import require_order
from headstart.media.images import Levels

NAME = "embedded"
WEIGHTS = Path(__file__).with_suffix(".safetensors")
ARGUMENTS = {"layers": (2, 2, 2, 1), "channels": (32, 64, 160, 352), "stem_width": 16}


class Embedded(OwnName):
    """The image backbone that ships inside."""

    own_name: ClassVar[str] = NAME
    modality: ClassVar[str] = "image"
    last_resort: ClassVar[bool] = True

    reference: str = NAME
    """'embedded'."""
    weights: str = "pretrained"
    """'pretrained' for those inside, 'random', or a file: safetensors, or a checkpoint of nothing but tensors."""
    image_size: int = Field(default=SIDE, ge=32)
    """Height and width in pixels; >= 32."""
    decode: Literal["fast", "full"] = "fast"
    """'fast': large JPEGs at a reduced size; 'full': as timm does, by Pillow."""
    framing: Literal["crop", "whole"] = "crop"
    """'crop': the middle; 'whole': all of a picture, the rest of a square filled up."""
    features: Stages = "last"
    """'multi': those of up to three earlier stages beside those of the last, and all maps of each stride."""
    levels: Levels | None = None
    """[black, white]: values of pictures of more than 8 bits a channel; by default from the training pictures."""
    seed: int = 0
    """Decides random weights; >= 0."""

    _black_below_white = field_validator("levels")(require_order)

    @classmethod
    def automatic(cls) -> tuple[str, str] | None:
        """Itself where nothing better can be had."""
        return NAME, (
            "it ships inside, and no better one is in the Hugging Face cache or within reach. It learnt from generated "
            "pictures alone: one that learnt from photographs is better on photographs; with a network 'auto' fetches "
            "one, and --backbone FOLDER takes one from a disk"
        )

    def load(self) -> Backbone:
        """Build it with its weights.

        Raises:
            BackboneError: the weights are missing or unfit.
        """
        architecture = self._architecture()
        if self.weights == "random":
            return self._backbone(architecture, architecture.random(self.seed), "random", NO_LICENCE)
        inside = self.weights == "pretrained"
        path = WEIGHTS if inside else Path(self.weights).expanduser()
        if inside and not path.exists():
            raise BackboneError(f"{path.name} is missing from this installation of Headstart: please install it again")
        origin = "inside Headstart, learnt from generated pictures" if inside else f"file {path}"
        module = architecture.filled(read_weights(path), origin)
        licence = "Apache-2.0" if inside else licence_beside(path.parent)
        return self._backbone(architecture, module, origin, licence)

    def rebuild(self, assets: Path) -> Backbone:  # noqa: ARG002
        """The architecture, with random weights to be replaced by the caller."""
        architecture = self._architecture()
        return self._backbone(architecture, architecture.random(self.seed), "saved model", NO_LICENCE)

    def _architecture(self) -> Architecture:
        return Architecture.of(TIMM_NAME, ARGUMENTS, CONFIGURATION, self.image_size)

    def _backbone(self, architecture: Architecture, module: nn.Module, origin: str, licence: str) -> TimmBackbone:
        found = TimmBackbone(NAME, architecture, module, origin, self.decode, self.framing, licence, self.levels)
        return found.several() if self.features == "multi" else found
