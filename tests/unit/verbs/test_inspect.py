from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from headstart.kernel.errors import DataError
from headstart.pipeline.inspection import Inspection
from headstart.verbs.inspect import inspect

TEXTS = ["one of the best films", "one of the worst films", "I slept all along", "what a story"]


def picture(path: Path, seed: int, size: tuple[int, int] = (40, 30)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 255, (5, 5, 3), dtype=np.uint8)
    Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC).save(path)
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for part, seeds in {"train": range(12), "val": range(12, 16), "test": range(16, 20)}.items():
        for label in ("cats", "dogs"):
            for seed in seeds:
                picture(tmp_path / part / label / f"{seed}.png", 100 * (label == "dogs") + seed)
    return tmp_path


def sentences(found: Inspection, severity: str) -> str:
    return "\n".join(finding.text for finding in found.findings if finding.severity == severity)


def test_sound_images_have_notes_only(photos: Path) -> None:
    found = inspect(photos)
    assert {finding.severity for finding in found.findings} == {"note"}
    assert found.examples == 40
    assert found.classes == {"cats": 20, "dogs": 20}
    assert found.parts == {"train": 24, "val": 8, "test": 8}
    assert found.spreads["width"].minimum == found.spreads["width"].maximum == 40
    assert json.loads(found.model_dump_json())["seen"] == "2 class folders with 40 images in test, train, val"


def test_every_kind_of_bad_image_is_named(photos: Path) -> None:
    (photos / "train/cats/zero.png").write_bytes(b"")
    (photos / "train/cats/text.jpg").write_text("no image")
    whole = picture(photos / "train/cats/cut.png", 7).read_bytes()
    (photos / "train/cats/cut.png").write_bytes(whole[: len(whole) // 2])
    Image.new("RGB", (9, 9), "blue").save(photos / "train/dogs/plain.png")
    found = inspect(photos)
    assert {trouble.origin.rsplit("/", 1)[1] for trouble in found.unreadable} == {"zero.png", "text.jpg", "cut.png"}
    assert "3 files cannot be read: " in sentences(found, "warning")
    assert "train/cats/zero.png is empty (0 bytes)" in sentences(found, "warning")
    assert found.constant_images == ("train/dogs/plain.png",)
    assert found.examples == 44


def test_copies_leaks_and_contradictions_are_found(photos: Path) -> None:
    original = Image.open(photos / "train/cats/3.png")
    original.save(photos / "test/cats/copy.png", optimize=True, compress_level=1)
    (photos / "train/dogs/wrong.png").write_bytes((photos / "train/cats/4.png").read_bytes())
    found = inspect(photos)
    assert [(leak.one, leak.other) for leak in found.leaks] == [("test/cats/copy.png", "train/cats/3.png")]
    assert found.conflicts[0].origins == ("train/cats/4.png", "train/dogs/wrong.png")
    assert found.conflicts[0].labels == ("cats", "dogs")
    assert (found.exact_duplicates, found.near_duplicates) == (1, 1)
    warnings = sentences(found, "warning")
    assert "1 example outside the train part with a copy in it" in warnings
    assert "test/cats/copy.png of train/cats/3.png" in warnings
    assert "1 input with copies that have different labels" in warnings
    assert "1 exact and 1 near duplicates" in warnings


def test_one_class_is_an_error_among_the_findings_and_not_raised(tmp_path: Path) -> None:
    for seed in range(3):
        picture(tmp_path / "cats" / f"{seed}.png", seed)
    found = inspect(tmp_path)
    assert (
        sentences(found, "error").count("all 3 labels are 'cats'") == 1 == len(sentences(found, "error").splitlines())
    )
    assert found.findings[0].severity == "error"
    assert found.classes == {"cats": 3}
    assert "all 4 labels are 'a'" in sentences(inspect(pd.DataFrame({"text": TEXTS, "label": ["a"] * 4})), "error")


def test_a_flat_folder_is_still_looked_at(tmp_path: Path) -> None:
    picture(tmp_path / "a.png", 0)
    found = inspect(tmp_path)
    assert "Labels are wanted" in sentences(found, "error")
    assert found.spreads["height"].median == 30


def test_missing_and_mixed_labels_and_empty_texts_are_findings() -> None:
    frame = pd.DataFrame({"text": [*TEXTS, "", None], "label": ["good", None, np.nan, "bad", "Good", "bad"]})
    found = inspect(frame)
    assert found.missing_labels == 2
    assert [trouble.reason for trouble in found.unusable] == ["is empty"] * 2
    assert "2 of 6 examples have no label" in sentences(found, "error")
    assert "2 of 6 examples cannot be learnt from: " in sentences(found, "warning")
    assert "classes that differ only in case or spaces: 'Good', 'good'" in sentences(found, "warning")
    mixed = inspect(frame.assign(label=[1, "good", 2, "bad", 1, 2]))
    assert "mixes values of several kinds" in sentences(mixed, "error")
    assert mixed.examples == 6


def test_missing_columns_are_an_error_among_the_findings() -> None:
    found = inspect(pd.DataFrame({"text": TEXTS, "stars": [1, 2, 3, 4]}), label="star")
    assert "Did you mean 'stars'" in sentences(found, "error")
    assert found.spreads["words"].maximum == 5


def test_tiny_and_unequal_classes_are_told() -> None:
    frame = pd.DataFrame({"text": [f"text number {k}" for k in range(33)], "label": ["often"] * 30 + ["seldom"] * 3})
    warnings = sentences(inspect(frame), "warning")
    assert "1 class with fewer than 10 examples: 'seldom' (3)" in warnings
    assert "the largest class is 10 times the smallest" in warnings


def test_classes_that_train_lacks_are_told() -> None:
    frame = pd.DataFrame({"text": TEXTS, "label": ["a", "b", "a", "c"], "split": ["train", "train", "test", "test"]})
    assert "classes in test that are missing from train: c" in sentences(inspect(frame), "warning")


def test_quantities_have_a_range_and_no_classes() -> None:
    frame = pd.DataFrame({"x": [1.0, 2.0, np.nan], "y": [0, 1, 1], "target": [0.5, 1.25, 9.0]})
    found = inspect(frame)
    assert found.modality == "table"
    assert found.classes == {}
    assert found.spreads["target"].maximum == 9
    assert found.spreads["x"].median == 1.5
    assert found.unusable == ()


def test_groups_on_two_sides_of_a_given_split_are_told() -> None:
    frame = pd.DataFrame({"text": TEXTS, "label": list("abab"), "split": ["train", "train", "test", "test"]})
    found = inspect(frame.assign(patient=["x", "y", "x", "z"]), group="patient")
    assert "more than one given part and were not moved: 1, such as 'x'" in sentences(found, "warning")


def test_nothing_to_look_at_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the folder is empty"):
        inspect(tmp_path)
    with pytest.raises(DataError, match="does not exist"):
        inspect(tmp_path / "gone")


@pytest.mark.slow
def test_real_data_with_empty_texts_and_leaks(test_data: Path) -> None:
    found = inspect(test_data / "data/text_tweeteval/hate")
    assert len(found.unusable) == 8
    assert len(found.leaks) > 100
    assert len(found.conflicts) > 50
    ants = inspect(test_data / "data/img_ants_bees")
    assert not ants.unreadable
    assert not ants.leaks
    assert ants.classes == {"ants": 193, "bees": 204}


@pytest.mark.parametrize(
    ("name", "values", "told"),
    [
        ("serial no", [7919 * (k * k % 401) + 3 for k in range(100)], True),
        ("customerKey", [5000 - 31 * k for k in range(100)], True),
        ("reading", [100 + 7 * k for k in range(100)], True),  # rises row by row
        ("weight", [7919 * (k * k % 401) + 3 for k in range(100)], False),
        ("serial no", [k % 50 + 0.5 for k in range(100)], False),
    ],
)
def test_a_column_that_identifies_the_rows_is_told(name: str, values: list[float], told: bool) -> None:
    values = [*dict.fromkeys(values)] if told else values
    frame = pd.DataFrame({name: values, "a": np.random.default_rng(0).normal(size=len(values))})
    found = inspect(frame.assign(label=["x", "y"] * (len(values) // 2) + ["x"] * (len(values) % 2)), label="label")
    assert (f"column '{name}' has another value in nearly every row" in sentences(found, "warning")) == told


def test_a_category_of_its_own_in_every_row_is_told() -> None:
    frame = pd.DataFrame({"name": [f"person {k}" for k in range(60)], "a": np.arange(60) % 7, "label": ["x", "y"] * 30})
    assert "column 'name' has another value" not in sentences(inspect(frame, label="label", numeric="a"), "warning")
    found = inspect(frame, label="label", categorical="name", numeric="a")
    assert "column 'name' has another value in nearly every row, as an identifier has" in sentences(found, "warning")
