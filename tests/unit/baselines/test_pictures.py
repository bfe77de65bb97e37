"""The baseline of pictures decodes each of them once, however often it learns and predicts."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from headstart.modalities.image import ImageInput
from headstart.pipeline.baselines import fit_baselines
from headstart.pipeline.data import Given
from headstart.pipeline.plan import Plan
from headstart.pipeline.sequence import start


@pytest.mark.slow
def test_each_picture_is_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(60):
        folder = tmp_path / ("dark", "light")[number % 2]
        folder.mkdir(exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 100, (32, 32, 3)) + 120 * (number % 2)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number}.png")
    settings: dict[str, Any] = {"backbone": {"image_size": 32}}
    plan = Plan(data=str(tmp_path), backbone="test_resnet", weights="random", runner="eager", settings=settings)
    data, decoded = start(Given(str(tmp_path)), plan).data, Counter[Any]()
    real = ImageInput.picture

    def counted(self: ImageInput, raw: Any, at_least: int | None = None) -> Image.Image:
        decoded[raw] += 1
        return real(self, raw, at_least)

    monkeypatch.setattr(ImageInput, "picture", counted)
    classical = fit_baselines(data, 0)[0]
    assert classical.title.startswith("colour and gradient")
    assert len(decoded) == 60 and set(decoded.values()) == {1}
