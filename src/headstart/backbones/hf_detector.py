"""Pretrained detectors of transformers: DETR, RT-DETR, RT-DETR v2, D-FINE and RF-DETR.

Their network of pictures and their encoder give the maps that are kept; the decoder is the head that a task of boxes
trains, from its pretrained weights, with new classes. On the decoder: Carion et al. 2020, "End-to-end object detection
with transformers". Pictures are framed whole in squares; the library stretches those of RT-DETR and D-FINE instead.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field
from safetensors.torch import load
from transformers import MODEL_FOR_OBJECT_DETECTION_MAPPING, AutoConfig, AutoModelForObjectDetection

from headstart.backbones._detector_backbone import DECODER, DetectorBackbone, preprocessing_of
from headstart.backbones._detector_halves import KINDS
from headstart.backbones._licence import licence_beside
from headstart.backbones._text_folder import require_own_files
from headstart.backbones._text_loading import pretrained_model, quiet, random_model
from headstart.backbones._text_sources import Kind, cached_folder, find, weights_path
from headstart.contracts.backbone import NO_LICENCE, Backbone
from headstart.kernel.errors import BackboneError, HeadstartError, first_line
from headstart.kernel.files import read_json
from headstart.kernel.settings import Settings

KNOWN = (
    "PekingU/rtdetr_v2_r18vd",
    "PekingU/rtdetr_v2_r50vd",
    "PekingU/rtdetr_r18vd_coco_o365",
    "ustc-community/dfine-small-coco",
    "ustc-community/dfine-medium-obj2coco",
    "Roboflow/rf-detr-base",
    "facebook/detr-resnet-50",
)
"""Common detectors, small ones first."""

DETECTOR = Kind("detector", KNOWN, "Give a folder with config.json and model.safetensors.", tokenizer=False)

_ON_HUB, _NAMED = re.compile(r"[\w.-]+/[\w.-]+"), re.compile(r"detr|d[-_]?fine", re.IGNORECASE)

CONFIG, PREPROCESSOR = "config.json", "preprocessor_config.json"


class HfDetector(Settings):
    """A detector of transformers."""

    modality: ClassVar[str] = "image"

    reference: str
    """Hub id such as `PekingU/rtdetr_v2_r18vd`, or a local folder."""
    weights: str = "pretrained"
    """`pretrained`, `random`, or the path of a safetensors file, tensor-only checkpoint or folder of weights."""
    image_size: int | None = Field(default=None, ge=32)
    """Side of the square that pictures are seen in, in pixels; by default the detector's own; >= 32."""
    seed: int = 0
    """Seed of random weights; >= 0."""

    @classmethod
    def suits(cls, reference: str) -> bool:
        """Return whether it may name a detector: a folder with the config.json of one, or one on the hub, by its name
        where it was not downloaded before."""
        folder = Path(reference).expanduser()
        if not folder.exists() and _ON_HUB.fullmatch(reference):
            cached = cached_folder(reference, with_weights=False, tokenizer=False)
            if cached is None:
                return _NAMED.search(reference) is not None
            folder = cached
        try:
            return read_json(folder / CONFIG).get("model_type") in KINDS
        except (HeadstartError, OSError, AttributeError):
            return False

    @classmethod
    def known(cls) -> list[str]:
        """Common detectors."""
        return list(KNOWN)

    @classmethod
    def automatic(cls) -> tuple[str, str] | None:
        """A detector is never chosen silently: pictures of most tasks have no boxes."""
        return None

    def load(self) -> Backbone:
        """Load configuration and weights, and take the detector apart. Raises BackboneError."""
        folder, origin = find(self.reference, with_weights=self.weights == "pretrained", kind=DETECTOR)
        config = _config(folder)
        if self.weights == "random":
            detector, origin, licence = (
                random_model(config, self.seed, AutoModelForObjectDetection),
                "random",
                NO_LICENCE,
            )
        else:
            path = weights_path(self.weights, folder)
            detector = pretrained_model(config, path, MODEL_FOR_OBJECT_DETECTION_MAPPING[type(config)])
            origin = origin if self.weights == "pretrained" else f"file {self.weights}"
            licence = licence_beside(path if path.is_dir() else path.parent)
        found = self._assembled(config, detector, folder, origin)
        found.licence = licence
        return found

    def rebuild(self, assets: Path) -> Backbone:
        """The architecture alone, with the decoder that it was pretrained with. Raises BackboneError."""
        config = _config(assets)
        detector = random_model(config, self.seed, AutoModelForObjectDetection)
        found = self._assembled(config, detector, assets, f"model in {assets.parent}")
        found.take_decoder(load((assets / DECODER).read_bytes()))
        return found

    def _assembled(self, config: Any, detector: Any, folder: Path, origin: str) -> DetectorBackbone:
        names = [name for name in (CONFIG, PREPROCESSOR) if (folder / name).is_file()]
        files = {name: (folder / name).read_bytes() for name in names}
        preprocessing = preprocessing_of(config, files.get(PREPROCESSOR), self.image_size)
        random = partial(random_model, config, kind=AutoModelForObjectDetection)
        settings = self.model_dump(mode="json")
        return DetectorBackbone(settings, detector, random, files, preprocessing, origin)


def _config(folder: Path) -> Any:
    """The configuration of a detector. Raises BackboneError."""
    require_own_files(folder)
    try:
        with quiet():
            config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except Exception as error:  # transformers raises OSError, ValueError, KeyError and more, by version
        raise BackboneError(f"{folder}: its config.json cannot be used: {first_line(error)}") from error
    if config.model_type not in KINDS:
        raise BackboneError(
            f"{folder} holds a '{config.model_type}'; detectors that can be used are {', '.join(KINDS)}"
        )
    # every layer learns; maps of any size are read; no queries of noisy boxes
    for name, value in {
        "auxiliary_loss": True,
        "anchor_image_size": None,
        "eval_size": None,
        "num_denoising": 0,
    }.items():
        if hasattr(config, name):
            setattr(config, name, value)
    return config
