"""A timm architecture with all that rebuilds it: name, arguments and the preprocessing of its weights."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import timm
import torch
from pydantic import Field, field_validator
from timm.data import resolve_data_config
from timm.models import is_model
from torch import Tensor, nn

from headstart.backbones._pooled_places import PoolKind
from headstart.backbones._timm_arguments import Configuration, fault_of
from headstart.backbones._timm_edits import Activation, channel_values, for_channels, with_activation, with_pool
from headstart.contracts.architecture_edits import Swap
from headstart.contracts.declared_size import Stored, weights_at_most
from headstart.contracts.model import linear_of
from headstart.contracts.sound_weights import unsound
from headstart.kernel.errors import BackboneError, SettingsError, first_line, unknown
from headstart.kernel.randomness import draw_seed
from headstart.kernel.settings import Settings
from headstart.kernel.user_settings import build


class Architecture(Settings):
    """Everything about a timm model but its weights, as plain JSON values."""

    name: str
    """timm's name of the architecture, without a tag."""
    arguments: dict[str, Any] = {}
    """Further arguments of its constructor."""
    configuration: dict[str, Any] = {}
    """The entries of timm's `pretrained_cfg` that decide input size, preprocessing and names of layers."""
    dropped: int = Field(default=0, ge=0)
    """Last stages that are left out; >= 0."""
    activation: Activation | None = None
    """In the place of its own activations; None for these."""
    pool: PoolKind | None = None
    """Pooling over places in the place of its own; None for that."""

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        if not re.fullmatch(r"\w+(\.[\w.-]+)?", name) or not is_model(name):  # 'local-dir:FOLDER' would be followed
            raise ValueError(unknown("timm architecture", name, timm.list_models()))
        return name

    @field_validator("arguments")
    @classmethod
    def _allowed(cls, arguments: dict[str, Any]) -> dict[str, Any]:
        fault = fault_of(arguments)
        if fault:
            raise ValueError(fault)
        return arguments

    @field_validator("configuration")
    @classmethod
    def _plain(cls, configuration: dict[str, Any]) -> dict[str, Any]:
        build(Configuration, configuration, where="configuration")
        return configuration

    @classmethod
    def of(
        cls, name: str, arguments: Mapping[str, Any], configuration: Mapping[str, Any], image_size: int | None
    ) -> Architecture:
        """From timm's own description; `image_size` in pixels replaces the size of the weights' training.

        Raises:
            BackboneError: the model does not take RGB images, or it is described by what is not allowed.
        """
        kept = {key: configuration[key] for key in Configuration.model_fields if configuration.get(key) is not None}
        size = kept.setdefault("input_size", (3, 224, 224))
        if not isinstance(size, (list, tuple)) or len(size) != 3:
            raise BackboneError(f"{name}: input_size = {str(size)[:80]} is not [channels, height, width]")
        extra = {key: value for key, value in arguments.items() if key not in ("num_classes", "in_chans")}
        if arguments.get("in_chans", size[0]) != 3 or size[0] != 3:
            raise BackboneError(f"{name} takes images of {arguments.get('in_chans', size[0])} channels; expected 3")
        if image_size is not None:
            kept["input_size"] = (3, image_size, image_size)
            if kept.get("fixed_input_size"):
                extra["img_size"] = image_size
        fault = fault_of(extra)
        if fault:
            raise BackboneError(f"{name}: {fault}")
        values = {"name": name, "arguments": extra, "configuration": kept}
        try:
            return build(cls, json.loads(json.dumps(values)), where=name)
        except SettingsError as error:
            raise BackboneError(str(error)) from error

    @property
    def channels(self) -> int:
        """Channels of the pictures that it reads."""
        return int(self.arguments.get("in_chans", 3))

    @property
    def edited(self) -> bool:
        """Return whether it is another one than its weights were trained in."""
        return self.channels != 3 or bool(self.dropped or self.activation or self.pool)

    def with_edits(self, channels: int, dropped: int, activation: str | None, pool: str | None) -> Architecture:
        """The same for so many channels, without the last stages, with other activations or pooling."""
        arguments = {**self.arguments, **({} if channels == 3 else {"in_chans": channels})}
        update = {"arguments": arguments, "dropped": dropped, "activation": activation, "pool": pool}
        return self.model_copy(update=update)

    def plain(self) -> Architecture:
        """The same without edits."""
        arguments = {name: value for name, value in self.arguments.items() if name != "in_chans"}
        return self.model_copy(update={"arguments": arguments, "dropped": 0, "activation": None, "pool": None})

    def dumped(self) -> dict[str, Any]:
        """As JSON values; edits only where there are some."""
        values = self.model_dump(mode="json")
        return {name: value for name, value in values.items() if value or name not in ("dropped", "activation", "pool")}

    def applied(self, model: nn.Module) -> tuple[nn.Module, tuple[Swap, ...]]:
        """Edit a model of the plain architecture, all but for the stages that are left out; its weights stay.

        Raises:
            BackboneError: there is nothing to edit, such as no activation, or the first layer is not known.
        """
        if self.channels != 3:
            model = self._for_channels(model.state_dict())
        return model, self._swapped(model)

    def _swapped(self, model: nn.Module) -> tuple[Swap, ...]:
        swaps = [with_activation(model, self.activation, self.name)] if self.activation else []
        if self.pool and not self.dropped and (swap := with_pool(model, self.pool)) is not None:
            swaps.append(swap)
        return tuple(swaps)

    def _for_channels(self, state: Mapping[str, Tensor]) -> nn.Module:
        given = self.configuration.get("first_conv") or ()
        first = [f"{name}.weight" for name in ((given,) if isinstance(given, str) else given)]
        if not first or any(name not in state or state[name].shape[1:2] != (3,) for name in first):
            raise BackboneError(
                f"backbone.channels = {self.channels}: it is not known which layer of {self.name} reads the picture"
            )
        std = self.preprocessing()["std"]
        adapted = {name: for_channels(state[name], self.channels, std) for name in first}
        model = self._create(0)
        model.load_state_dict({**state, **adapted})
        return model

    def resized(self, side: int) -> Architecture:
        """The same for square images of `side` pixels. Raises BackboneError where it takes one size only."""
        own = self.configuration["input_size"][1:]
        if self.fixed_size and own != [side, side]:
            raise BackboneError(f"{self.name} takes images of {own[0]}x{own[1]} pixels only, not of {side}x{side}")
        return self.model_copy(update={"configuration": {**self.configuration, "input_size": [3, side, side]}})

    @property
    def fixed_size(self) -> bool:
        """Return whether the model takes images of one size only."""
        return bool(self.configuration.get("fixed_input_size"))

    def preprocessing(self) -> dict[str, Any]:
        """Size, interpolation, crop, mean and deviation of colours, as timm's `create_transform` takes them."""
        return resolve_data_config({}, pretrained_cfg=_tuples(self.configuration))

    def normalisation(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and standard deviation of each channel."""
        found = self.preprocessing()
        return channel_values(found["mean"], self.channels), channel_values(found["std"], self.channels)

    def random(self, seed: int) -> nn.Module:
        """The model without classifier and with random weights, which depend on `seed` alone.

        Raises:
            BackboneError: timm does not build it with these arguments, or it does not fit into memory.
        """
        try:
            with weights_at_most(None):
                model = self._create(seed)
                self._swapped(model)
                return model
        except Exception as error:  # whatever an architecture's constructor raises
            raise BackboneError(f"timm cannot build {self.name}: {_said(error)}") from error

    def downloaded(self) -> nn.Module:
        """The model with the weights that timm fetches from their authors' site. For those that lie on no hub."""
        try:
            return self._create(0, pretrained=True, pretrained_cfg=self.configuration.get("tag"))
        except Exception as error:  # whatever the download raises
            raise BackboneError(
                f"the weights of {self.name} cannot be fetched ({error})."
                " Give a file with --weights FILE, or use random weights with --weights random."
            ) from error

    def filled(self, state: Mapping[str, Tensor], origin: str) -> nn.Module:
        """The model with the weights `state`, whose names may be those of the architecture's authors.

        The weights of a classifier are left out, and so is what the model has no place for.

        Raises:
            BackboneError: weights of the backbone are missing, have another shape or are not numbers; names some.
        """
        model = self._fitted(state, origin)
        fault = unsound(model)
        if fault:
            raise BackboneError(f"{origin} cannot be used: {fault}. Give weights from a training that did not diverge.")
        return model

    def classifier(self, state: Mapping[str, Tensor]) -> nn.Linear | None:
        """The head that weights `state` were trained with; None where they have none of one layer."""
        name = self.configuration.get("classifier")
        return linear_of(state.get(f"{name}.weight"), state.get(f"{name}.bias")) if isinstance(name, str) else None

    def _fitted(self, state: Mapping[str, Tensor], origin: str) -> nn.Module:
        classifiers = self.configuration.get("classifier") or ()
        classifiers = (classifiers,) if isinstance(classifiers, str) else tuple(classifiers)
        body = {k: v for k, v in state.items() if not k.startswith(tuple(f"{name}." for name in classifiers))}
        source = {"source": "", "state_dict": body, "label_offset": 0}
        try:
            with weights_at_most(Stored.of(state)):
                try:
                    # as many classes as the model has, so that timm reports what is missing
                    return self._create(0, pretrained=True, pretrained_cfg_overlay={**source, "num_classes": 0})
                except RuntimeError as error:
                    if _misfits(error):
                        raise
            with weights_at_most(Stored.of(state)):
                # with another number of classes timm leaves out what the model has no place for
                lenient = {**source, "num_classes": 1, "classifier": classifiers or "classifier"}
                return self._create(0, pretrained=True, pretrained_cfg_overlay=lenient)
        except Exception as error:  # timm's converters of foreign names raise whatever a wrong file makes them
            found = _misfits(error)
            names = ", ".join(found[:3])
            what = f"it lacks or misfits {len(found)} weights, such as {names}" if found else _said(error)
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


def _said(error: Exception) -> str:
    """Return what a constructor raised; with its kind, as a KeyError says no more than a name."""
    return first_line(error) if isinstance(error, (BackboneError, RuntimeError)) else repr(error)


def _misfits(error: Exception) -> list[str]:
    """The names of weights that torch's strict loading found missing or of another shape."""
    text = str(error)
    missing = re.search(r"Missing key\(s\) in state_dict: ([^\n]*)", text)
    names = re.findall(r'"([^"]+)"', missing.group(1)) if missing else []
    return names + re.findall(r"size mismatch for (\S+):", text)
