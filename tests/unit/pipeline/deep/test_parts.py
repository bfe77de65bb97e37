"""Tags and masks that look wrong: `inspect --deep` on texts with tagged words and pictures with masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import headstart
from masked_pictures import blobs_mask, picture_of
from tiny_text_models import save_tiny


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_tiny(tmp_path_factory.mktemp("bert") / "bert", "bert"))


@pytest.mark.slow
def test_a_tag_that_looks_wrong_is_named_with_its_word(bert: str, tmp_path: Path) -> None:
    draws, lines = np.random.default_rng(0), list[str]()
    for row in range(120):
        words = draws.choice(["cat", "mat", "rain"], 4).tolist()
        words[row % 4] = "model"
        tags = ["B-thing" if word == "model" else "O" for word in words]
        if row == 50:
            tags = ["O", "O", "O", "B-thing"]
        lines += [f"{word} {tag}" for word, tag in zip(words, tags)] + [""]
    (tmp_path / "all.conll").write_text("\n".join(lines))
    found = headstart.inspect(tmp_path / "all.conll", deep=True, backbone=bert)
    assert found.deep is not None
    worst = next(fault for fault in found.deep.faults if fault.kind == "wrong tag")
    assert worst.origin == "all.conll:251" and worst.score is not None and worst.score < 0.1
    assert (worst.given.split(", ")[0], worst.likely.split(", ")[0]) == ("'cat' B-thing", "'cat' O")
    assert any(" texts look wrong, such as " in one.text for one in found.findings)


@pytest.mark.slow
def test_a_mask_with_a_wrong_region_is_named_with_its_place(tmp_path: Path) -> None:
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    for row in range(24):
        mask = np.kron(blobs_mask(row, 24, 2), np.ones((4, 4), np.uint8))
        Image.fromarray(picture_of(mask, row)).save(tmp_path / "images" / f"{row}.png")
        if row == 7:
            mask[:30, :40] = 1
        Image.fromarray(mask).save(tmp_path / "masks" / f"{row}.png")
    found = headstart.inspect(tmp_path, deep=True, format="mask_folder", backbone="embedded")
    assert found.deep is not None
    worst = next(fault for fault in found.deep.faults if fault.kind == "wrong mask")
    assert worst.origin.endswith("7.png") and (worst.given, worst.likely) == ("foreground", "background")
    assert " of the picture, at 0 to 4" in worst.detail and "% of its width" in worst.detail
