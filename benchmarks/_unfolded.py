"""The real MobileNetV2 with BatchNorm that has statistics, which its weights were saved without.

Its BatchNorm was folded into the convolutions: mean 0 and variance 1 stand where statistics were, so that a library
that trains BatchNorm by the batch, as most do, would begin with a network that is spoilt. With the mean m and variance
v of what each layer gets on some hundred pictures, m, v, w sqrt(v + eps) and b + w m compute the same as 0, 1, w and b.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

from benchmarks._data import data_folder
from benchmarks._harness import CELLS

FOLDED = "weights/mobilenetv2_100_imagenet"
PICTURES, BATCH = 192, 32


def unfolded() -> Path:
    """The folder with the network as timm reads it, made where it is not there from another cell."""
    kept = CELLS / "mobilenetv2"
    if not kept.exists():
        CELLS.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CELLS) as folder:
            _write(Path(folder) / kept.name).rename(kept)
    return kept


def _write(folder: Path) -> Path:
    source = data_folder() / FOLDED
    model = timm.create_model(f"local-dir:{source}", pretrained=True).eval()
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    sums = [torch.zeros(3, norm.num_features, dtype=torch.float64) for norm in norms]
    handles = [norm.register_forward_hook(_adding(total)) for norm, total in zip(norms, sums)]
    with torch.inference_mode():
        for batch in _pictures(model):
            model(batch)
    for handle in handles:
        handle.remove()
    with torch.no_grad():
        for norm, (count, total, squares) in zip(norms, sums):
            _restate(norm, total / count, squares / count - (total / count) ** 2)
    folder.mkdir(parents=True)
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, folder / "model.safetensors")
    shutil.copyfile(source / "config.json", folder / "config.json")
    return folder


def _pictures(model: Any) -> list[Tensor]:
    """Prepared ones of no data set that anything is compared on."""
    paths = sorted((data_folder() / "data" / "da_pacs").rglob("*.jpg"))
    transform = timm.data.create_transform(**timm.data.resolve_data_config({}, model=model))
    drawn = paths[:: len(paths) // PICTURES][:PICTURES]
    return list(torch.stack([transform(Image.open(path).convert("RGB")) for path in drawn]).split(BATCH))


def _adding(sums: Tensor) -> Callable[..., None]:
    """A hook that adds the count, the sum and the sum of squares of a layer's inputs to the rows of `sums`."""

    def add(_: nn.Module, inputs: tuple[Tensor, ...], __: Tensor) -> None:
        values = inputs[0].double()
        sums[0] += values.numel() / values.shape[1]
        sums[1] += values.sum(dim=(0, 2, 3))
        sums[2] += values.square().sum(dim=(0, 2, 3))

    return add


def _restate(norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor) -> None:
    """The same function with other statistics."""
    if norm.running_mean is None or norm.running_var is None:
        raise TypeError("BatchNorm has no statistics")
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    shift = norm.bias - scale * norm.running_mean
    norm.weight.copy_(scale * (variance + norm.eps).sqrt())
    norm.bias.copy_(shift + scale * mean)
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
