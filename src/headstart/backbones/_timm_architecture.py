"""A timm architecture with all that rebuilds it: name, arguments and the preprocessing of its weights."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import timm
import torch
from timm.data import resolve_data_config
from torch import Tensor, nn

from headstart.kernel.errors import BackboneError
from headstart.kernel.randomness import draw_seed
from headstart.kernel.settings import Settings

_KEPT = (
    "architecture tag input_size fixed_input_size min_input_size interpolation crop_pct crop_mode mean std num_classes"
    " pool_size first_conv classifier"
).split()


class Architecture(Settings):
    """What of a timm model is no weight. Plain JSON values throughout."""

    name: str
    """timm's name of the architecture, without a tag."""
    arguments: dict[str, Any] = {}
    """Further arguments of its constructor."""
    configuration: dict[str, Any] = {}
    """The entries of timm's `pretrained_cfg` that decide input size, preprocessing and names of layers."""

    @classmethod
    def of(
        cls, name: str, arguments: Mapping[str, Any], configuration: Mapping[str, Any], image_size: int | None
    ) -> Architecture:
        """From timm's own description; `image_size` in pixels replaces the size of the weights' training.

        Raises:
            BackboneError: the model does not take RGB images.
        """
        kept = {key: configuration[key] for key in _KEPT if configuration.get(key) is not None}
        size = kept.setdefault("input_size", (3, 224, 224))
        extra = {key: value for key, value in arguments.items() if key not in ("num_classes", "in_chans")}
        if arguments.get("in_chans", size[0]) != 3 or size[0] != 3:
            raise BackboneError(f"{name} takes images of {arguments.get('in_chans', size[0])} channels; 3 are allowed")
        if image_size is not None:
            kept["input_size"] = (3, image_size, image_size)
            if kept.get("fixed_input_size"):
                extra["img_size"] = image_size
        return cls(name=name, arguments=json.loads(json.dumps(extra)), configuration=json.loads(json.dumps(kept)))

    def resized(self, side: int) -> Architecture:
        """The same for square images of `side` pixels. Raises BackboneError where it takes one size only."""
        own = self.configuration["input_size"][1:]
        if self.fixed_size and own != [side, side]:
            raise BackboneError(f"{self.name} takes images of {own[0]}x{own[1]} pixels only, not of {side}x{side}")
        return self.model_copy(update={"configuration": {**self.configuration, "input_size": [3, side, side]}})

    @property
    def fixed_size(self) -> bool:
        """Whether the model takes images of one size only."""
        return bool(self.configuration.get("fixed_input_size"))

    def preprocessing(self) -> dict[str, Any]:
        """Size, interpolation, crop, mean and standard deviation, as timm's `create_transform` takes them."""
        return resolve_data_config({}, pretrained_cfg=_tuples(self.configuration))

    def random(self, seed: int) -> nn.Module:
        """The model without classifier and with random weights, which depend on `seed` alone.

        Raises:
            BackboneError: timm does not build it with these arguments.
        """
        try:
            return self._create(seed)
        except Exception as error:  # whatever an architecture's constructor raises
            raise BackboneError(f"timm cannot build {self.name}: {error}") from error

    def downloaded(self) -> nn.Module:
        """The model with the weights that timm fetches from their authors' site. For those that lie on no hub."""
        try:
            return self._create(0, pretrained=True, pretrained_cfg=self.configuration.get("tag"))
        except Exception as error:  # whatever the download raises
            raise BackboneError(
                f"the weights of {self.name} cannot be fetched ({error})."
                " Give a file with --weights FILE, or start without any with --weights random."
            ) from error

    def filled(self, state: Mapping[str, Tensor], origin: str) -> nn.Module:
        """The model with the weights `state`, whose names may be those of the architecture's authors.

        The weights of a classifier are left out, and so is what the model has no place for.

        Raises:
            BackboneError: weights of the backbone are missing or have another shape; names some.
        """
        classifiers = self.configuration.get("classifier") or ()
        classifiers = (classifiers,) if isinstance(classifiers, str) else tuple(classifiers)
        body = {k: v for k, v in state.items() if not k.startswith(tuple(f"{name}." for name in classifiers))}
        source = {"source": "", "state_dict": body, "label_offset": 0}
        try:
            try:
                # as many classes as the model has, so that timm reports what is missing
                return self._create(0, pretrained=True, pretrained_cfg_overlay={**source, "num_classes": 0})
            except RuntimeError as error:
                if _misfits(error):
                    raise
            # with another number of classes timm leaves out what the model has no place for
            lenient = {**source, "num_classes": 1, "classifier": classifiers or "classifier"}
            return self._create(0, pretrained=True, pretrained_cfg_overlay=lenient)
        except Exception as error:  # timm's converters of foreign names raise whatever a wrong file makes them
            found = _misfits(error)
            what = f"it lacks or misfits {len(found)} weights, such as {', '.join(found[:3])}" if found else str(error)
            raise BackboneError(f"{origin} does not fit the architecture {self.name}: {what}") from error

    def _create(self, seed: int, **options: Any) -> nn.Module:
        options.setdefault("pretrained_cfg", _tuples(self.configuration))
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(draw_seed(seed, "backbone weights"))
            model = timm.create_model(self.name, num_classes=0, **_tuples(self.arguments), **options)
        model.pretrained_cfg.pop("state_dict", None)  # timm would keep a second copy of the weights alive
        created: nn.Module = model.eval()
        return created


def _tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}


def _misfits(error: Exception) -> list[str]:
    """The names of weights that torch's strict loading found missing or of another shape."""
    text = str(error)
    missing = re.search(r"Missing key\(s\) in state_dict: ([^\n]*)", text)
    names = re.findall(r'"([^"]+)"', missing.group(1)) if missing else []
    return names + re.findall(r"size mismatch for (\S+):", text)
