"""Putting peft's low-rank layers into a backbone's live modules, naming its stages' parameters anew, and merging."""

from __future__ import annotations

import copy
import importlib
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from headstart.contracts.network import Network
from headstart.contracts.tuning import N
from headstart.kernel.errors import SettingsError, unknown

ADAPTER = ".lora_"
"""What the names of all parameters of peft's adapters contain, and no others."""

FIRST_FACTOR = ".lora_A."
"""What the names of the matrices A contain, and no others."""

SUITED = (nn.Linear, nn.Conv2d, Conv1D)
"""Classes, not their subclasses: those that change the weights on their way into the product cannot be merged."""


def require_peft() -> Any:
    """The library. Raises SettingsError with what to install."""
    try:
        return importlib.import_module("peft")
    except ImportError as error:
        raise SettingsError("tuning lora needs the library peft: pip install 'headstart[lora]'") from error


def choose_layers(backbone: Network, first: int, ends: Sequence[str]) -> list[str]:
    """Names in `backbone.module` of the layers to adapt: those of stages from `first` on whose names end so.

    Args:
        backbone: as it was loaded.
        first: number of a stage.
        ends: last components of names, one or several ('query', 'attn.qkv'); empty for all layers.

    Raises:
        SettingsError: an end is not that of any layer, or there is no layer to adapt.
    """
    moving = {name for stage in backbone.stages[first:] for name in stage.parameters}
    found = [name for name, layer in backbone.module.named_modules() if _suits(layer) and f"{name}.weight" in moving]
    if not found:
        raise SettingsError(
            f"{backbone.name} has no plain Linear or Conv2d layer from stage {first + 1} on that tuning lora could "
            "adapt. Use --tuning full or --tuning partial."
        )
    for end in ends:
        if not any(_ends(name, end) for name in found):
            raise SettingsError(f"tuning.layers: {unknown('layer', end, {_kind(name) for name in found})}")
    return [name for name in found if not ends or any(_ends(name, end) for end in ends)]


def adapted(backbone: N, layers: Sequence[str], *, rank: int, alpha: float, dropout: float, seed: int) -> N:
    """A twin with the same live modules, in which peft's layers stand around `layers`."""
    peft = require_peft()
    owner = {
        layer: number
        for number, stage in enumerate(backbone.stages)
        for layer in layers
        if f"{layer}.weight" in stage.parameters
    }
    wanted = "|".join(re.escape(layer) for layer in layers)
    plan = peft.LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules=f"({wanted})")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        peft.inject_adapter_in_model(plan, backbone.module)
    for layer in layers:
        _show_whole_weights(backbone.module.get_submodule(layer))
    twin = copy.copy(backbone)
    names = [name for name, _ in backbone.module.named_parameters()]
    twin.stages = tuple(
        replace(stage, parameters=tuple(_renamed(stage.parameters, [n for n in owner if owner[n] == number], names)))
        for number, stage in enumerate(backbone.stages)
    )
    return twin


def merge(module: nn.Module) -> dict[str, int]:
    """W becomes W + alpha / rank * B A, and the layers stand alone again, under their old names.

    Returns:
        {"adapted_layers": how many}, and "layers_not_reached" where a model makes no use of a layer, so that its B is
        still zero.
    """
    layer_type = importlib.import_module("peft.tuners.lora").LoraLayer
    layers = {name: layer for name, layer in module.named_modules() if isinstance(layer, layer_type)}
    idle = sum(not any(bool(part.weight.any()) for part in layer.lora_B.values()) for layer in layers.values())
    for name, layer in layers.items():
        layer.merge()
        module.set_submodule(name, layer.get_base_layer())
    vars(module).pop("peft_config", None)
    return {"adapted_layers": len(layers), **({"layers_not_reached": idle} if idle else {})}


def _show_whole_weights(layer: Any) -> None:
    """Let W + alpha / rank * B A be what a model gets that reads the weights of `layer` and does not call it.

    The attentions of EVA, BEiT and Swin v2 do so, to add biases of their own.
    """
    kind = type(layer)
    layer.__class__ = type(kind.__name__, (kind,), {"weight": property(_whole_weight)})


def _whole_weight(layer: Any) -> torch.Tensor:
    weight: torch.Tensor = layer.get_base_layer().weight
    if layer.merged:
        return weight
    with torch.autocast(weight.device.type, enabled=False):
        return weight + sum(layer.get_delta_weight(name) for name in layer.active_adapters)


def _renamed(parameters: Sequence[str], layers: Sequence[str], names: Sequence[str]) -> list[str]:
    """A stage's parameters as they are called once `layers` are adapted; `names` are all that there then are."""
    below = tuple(f"{layer}." for layer in layers)
    kept = [name for name in parameters if not name.startswith(below)] if below else [*parameters]
    return [*kept, *(name for name in names if below and name.startswith(below))]


def _suits(layer: nn.Module) -> bool:
    """Of convolutions in groups, peft cannot merge the product."""
    return type(layer) in SUITED and getattr(layer, "groups", 1) == 1


def _ends(name: str, end: str) -> bool:
    return f".{name}".endswith(f".{end}")


def _kind(name: str) -> str:
    """The last component of a name that is not a number."""
    return next((part for part in reversed(name.split(".")) if not part.isdigit()), name)
