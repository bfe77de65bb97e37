"""Edits of a timm model that leave every other weight as it is: input channels, activations, pooling.

Weights of the first layer for n channels instead of three (red, green, blue, with means m_c and deviations s_c that the
model normalises by): one channel is normalised by the mean of these, s = mean s_c, and gets sum_c w_c s / s_c, which is
the answer to three equal channels but for the means' differences; n channels get w_{i mod 3} 3 / n, as timm has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from timm.layers import SelectAdaptivePool2d, get_act_layer
from torch import Tensor, nn

from headstart.backbones._pooled_places import PooledPlaces, PoolKind
from headstart.contracts.architecture_edits import Swap
from headstart.kernel.errors import BackboneError

Activation = Literal["relu", "leaky_relu", "elu", "gelu", "silu", "mish", "hard_swish"]

_ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "mish": nn.Mish,
    "hard_swish": nn.Hardswish,
}
_OTHERS = ("relu6", "celu", "selu", "gelu", "gelu_tanh", "quick_gelu", "swish", "hard_mish", "prelu")


def for_channels(weight: Tensor, channels: int, std: Sequence[float]) -> Tensor:
    """(out, 3, height, width) -> (out, channels, height, width), see above."""
    if channels == 1:
        scale = torch.tensor(std, dtype=weight.dtype)
        return (weight * (scale.mean() / scale)[:, None, None]).sum(dim=1, keepdim=True)
    return weight[:, [channel % 3 for channel in range(channels)]] * (3 / channels)


def channel_values(values: Sequence[float], channels: int) -> tuple[float, ...]:
    """Mean or deviation of each of so many channels, from those of red, green and blue."""
    if channels == 1:
        return (sum(values) / len(values),)
    return tuple(values[channel % 3] for channel in range(channels))


def with_activation(model: nn.Module, name: Activation, title: str) -> Swap:
    """Put another activation everywhere. Raises BackboneError where there is none to replace."""
    kind = _ACTIVATIONS[name]
    known = (*_ACTIVATIONS.values(), *(get_act_layer(other) for other in _OTHERS))
    found: dict[str, int] = {}
    for parent in list(model.modules()):
        for own, child in list(parent.named_children()):
            if isinstance(child, known) and type(child) is not kind:
                setattr(parent, own, kind())
                found[type(child).__name__] = found.get(type(child).__name__, 0) + 1
    if not found:
        raise BackboneError(
            f"backbone.activation = {name}: {title} has no activation that is another one. Leave it out."
        )
    before = ", ".join(f"{count} {old}" for old, count in found.items())
    return Swap("activations", before, f"{sum(found.values())} {kind.__name__}")


def with_pool(model: nn.Module, kind: PoolKind) -> Swap | None:
    """Pool a map's places in another way, where the model has a module that does it; None where it has none."""
    swap = None
    for path, parent in list(model.named_modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, SelectAdaptivePool2d) and child.pool_type:
                flat = not isinstance(child.flatten, nn.Identity) or bool(getattr(child.pool, "flatten", False))
                last = tuple(getattr(child.pool, "dim", ())) == (1, 2)
                setattr(parent, name, PooledPlaces(kind, int(model.num_features), last=last, flat=flat))  # type: ignore[arg-type]
                swap = Swap(f"{path}.{name}".lstrip("."), child.pool_type, kind)
    return swap
