"""Attributes: what is known of examples beside their content."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from headstart.contracts.format import Columns
from headstart.engine.frozen.content_keys import content_keys
from headstart.evidence.attributes import attributes_of
from headstart.evidence.image_fingerprints import fingerprint_images
from headstart.pipeline.data import read_examples


def test_columns_without_a_role_and_lengths_are_those_of_a_text() -> None:
    frame = pd.DataFrame(
        {
            "text": ["one two", "three", "four"],
            "label": ["a", "b", "a"],
            "camera": ["x", None, "y"],
            "age": [1, 2, 3],
            "taken": pd.to_datetime(["2024-01-01", None, "2024-01-02"]),
            "patient": ["p", "q", "r"],
            "site": ["n", "n", "s"],
            "post": [2**60 + 1, 2**60 + 3, 7],  # more than a float holds
        }
    )
    columns = Columns(text=("text",), label="label", group="patient", domain="site")
    examples, _ = read_examples(frame, columns)
    found = attributes_of(examples)
    assert set(found) == {
        *(f"column '{name}'" for name in ("camera", "age", "taken", "site", "post")),
        "number of characters",
        "number of words",
    }
    assert found["column 'camera'"] == ["x", None, "y"] and found["column 'site'"] == ["n", "n", "s"]
    assert np.diff(np.asarray(found["column 'taken'"])[[0, 2]])[0] == 86400 and np.isnan(found["column 'taken'"][1])
    assert found["number of characters"].tolist() == [7, 5, 4] and found["number of words"].tolist() == [2, 1, 1]


def test_pictures_have_sizes_brightness_and_files(tmp_path: Path) -> None:
    for number, (label, site) in enumerate([("a", "north"), ("b", "south"), ("a", "south")]):
        place = tmp_path / label / site
        place.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 20 + number), (90 * number,) * 3).save(place / f"{number}.{'png' if number else 'bmp'}")
    (tmp_path / "a" / "north" / "bad.png").write_bytes(b"nothing")
    examples, _ = read_examples(str(tmp_path), Columns())
    found = attributes_of(examples, fingerprint_images(examples, content_keys(examples).keys))
    rows = [[name.rsplit("/", 1)[-1] for name in examples.origins()].index(f) for f in ("0.bmp", "1.png", "2.png")]
    taken = {name: [values[row] for row in rows] for name, values in found.items()}
    assert taken["mean brightness"] == [0, 90, 180] and taken["contrast"] == [0, 0, 0]
    assert taken["width of the picture"] == [40, 40, 40] and taken["height of the picture"] == [20, 21, 22]
    assert taken["aspect ratio of the picture"] == pytest.approx([2, 40 / 21, 40 / 22])
    assert taken["type of the file"] == [".bmp", ".png", ".png"] and min(taken["size of the file"]) > 0
    assert taken["folder, level 2"] == ["north", "south", "south"]
    assert np.isnan(found["mean brightness"]).sum() == 1  # the file that cannot be read
