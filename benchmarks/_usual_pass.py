"""The usual way from files to pooled features; prints its seconds per image, from the second batch on.

`python -m benchmarks._usual_pass NETWORK`, the paths on standard input, one per line.
"""

from __future__ import annotations

import sys
import time

import timm
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms


class Pictures(Dataset[torch.Tensor]):
    """Pictures as ImageNet's networks take them."""

    def __init__(self, paths: list[str]) -> None:
        """From files."""
        self.paths = paths
        self.transform = transforms.Compose(
            [
                transforms.Resize(256),
                transforms.CenterCrop(224),
                transforms.ToTensor(),
                transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
            ]
        )

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, row: int) -> torch.Tensor:
        with Image.open(self.paths[row]) as picture:
            pixels: torch.Tensor = self.transform(picture.convert("RGB"))
            return pixels


def main() -> None:
    """Measure one pass."""
    model = timm.create_model(sys.argv[1], num_classes=0).eval()
    loader = DataLoader(Pictures(sys.stdin.read().splitlines()), batch_size=32, num_workers=2)
    images, began = 0, 0.0
    with torch.inference_mode():
        for number, batch in enumerate(loader):
            model(batch)
            if number == 0:  # what starting the workers takes, and first calls, is left out
                began = time.perf_counter()
            else:
                images += len(batch)
    print((time.perf_counter() - began) / images)


if __name__ == "__main__":
    main()
