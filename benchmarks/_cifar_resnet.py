"""ResNet-20 and -56 for CIFAR-10 with parameter-free shortcuts (He et al., 2016, option A), for the given weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from timm.models import build_model_with_cfg, register_model
from torch import Tensor, nn
from torch.nn import functional

SIDE = 32
"""Height and width in pixels that the weights are made for."""


class _Block(nn.Module):
    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.stride = after // before
        self.conv1 = nn.Conv2d(before, after, 3, self.stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, before, height, width) -> (batch, after, height / stride, width / stride)"""
        y = functional.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        if self.stride > 1:
            more = y.shape[1] // 4
            x = functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, more, more))
        return functional.relu(y + x)


class CifarResNet(nn.Module):
    """Pooled features (batch, 64) of pixels (batch, 3, 32, 32)."""

    def __init__(self, depth: int) -> None:
        """`depth` is 20 or 56: 6n + 2 layers."""
        super().__init__()
        blocks = (depth - 2) // 6
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        for number, (before, after) in enumerate(((16, 16), (16, 32), (32, 64)), start=1):
            layers = [_Block(before if k == 0 else after, after) for k in range(blocks)]
            setattr(self, f"layer{number}", nn.Sequential(*layers))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, 3, 32, 32) -> (batch, 64)"""
        return self.forward_head(self.forward_features(x))

    def forward_features(self, x: Tensor) -> Tensor:
        """(batch, 3, 32, 32) -> (batch, 64, 8, 8)"""
        x = functional.relu(self.bn1(self.conv1(x)))
        for number in (1, 2, 3):
            x = getattr(self, f"layer{number}")(x)
        return x

    def forward_head(self, x: Tensor) -> Tensor:
        """(batch, 64, height, width) -> (batch, 64)"""
        return x.mean((2, 3))


def load(path: str, depth: int) -> CifarResNet:
    """The network with the authors' weights, which were saved from a DataParallel wrapper."""
    state = torch.load(path, weights_only=True, map_location="cpu")["state_dict"]
    model = CifarResNet(depth)
    own = {name.removeprefix("module."): value for name, value in state.items()}
    model.load_state_dict({name: value for name, value in own.items() if not name.startswith("linear.")})
    return model.eval()


class _InTimm(CifarResNet):
    num_features, num_classes = 64, 0

    def __init__(self, depth: int, **_: Any) -> None:
        super().__init__(depth)


@register_model
def cifar_resnet20(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """ResNet-20 as timm makes its own."""
    return build_model_with_cfg(_InTimm, "cifar_resnet20", pretrained, depth=20, **kwargs)


@register_model
def cifar_resnet56(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """ResNet-56 likewise."""
    return build_model_with_cfg(_InTimm, "cifar_resnet56", pretrained, depth=56, **kwargs)


def timm_folder(weights: Path, depth: int, folder: Path) -> Path:
    """Write the authors' weights as a folder of timm, which can be read where this module is imported."""
    folder.mkdir()
    usual = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "crop_pct": 1.0, "interpolation": "bilinear"}
    named = {"input_size": [3, SIDE, SIDE], "num_classes": 0, "first_conv": "conv1", "classifier": "linear", **usual}
    described = {"architecture": f"cifar_resnet{depth}", "num_classes": 0, "pretrained_cfg": named}
    (folder / "config.json").write_text(json.dumps(described))
    own = torch.load(weights, weights_only=True, map_location="cpu")["state_dict"]
    head = {name.removeprefix("module."): value for name, value in own.items() if ".linear." in name}
    save_file({**load(str(weights), depth).state_dict(), **head}, folder / "model.safetensors")
    return folder
