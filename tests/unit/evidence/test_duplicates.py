from __future__ import annotations

import io
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image, ImageFilter

from headstart.contracts.examples import Examples, Schema
from headstart.contracts.format import Columns
from headstart.engine.frozen.content_keys import content_keys
from headstart.evidence.duplicates import Duplicates, find_duplicates
from headstart.formats.image_folder import ImageFolder
from headstart.formats.table import Table


def examples(modality: str, **columns: Sequence[Any]) -> Examples:
    table = pa.table({name: list(values) for name, values in columns.items()})
    table = table.append_column("origin", pa.array([str(row) for row in range(table.num_rows)]))
    return Examples(table, Schema(modality=modality, inputs=tuple(columns), origin="origin"))


def found(data: Examples) -> Duplicates:
    return find_duplicates(data, content_keys(data).keys)


def scene(seed: int, side: int = 128) -> Image.Image:
    """A picture with soft shapes, another for each seed."""
    noise = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((side, side), Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(2))


def encoded(image: Image.Image, kind: str = "PNG", **how: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **how)
    return file.getvalue()


def clusters(duplicates: Duplicates) -> list[list[int]]:
    """Clusters of more than one row."""
    rows: dict[int, list[int]] = {}
    for row, cluster in enumerate(duplicates.cluster.tolist()):
        rows.setdefault(cluster, []).append(row)
    return [some for some in rows.values() if len(some) > 1]


def test_an_image_saved_again_is_a_near_duplicate_and_another_is_none() -> None:
    original = scene(0)
    again = [
        encoded(original),
        encoded(original, "JPEG", quality=60),
        encoded(original.resize((90, 90), Image.Resampling.LANCZOS)),
        encoded(original.point([int(value * 0.9) for value in range(256)] * 3)),
    ]
    others = [encoded(scene(seed)) for seed in range(1, 20)]
    duplicates = found(examples("image", image=[*again, *others, again[0]]))
    assert clusters(duplicates) == [[0, 1, 2, 3, len(again) + len(others)]]
    assert duplicates.exact == ((0, 23),)
    assert len(duplicates.near) >= 3
    assert (0, 23) not in duplicates.near


def test_a_small_thing_that_moved_is_another_image() -> None:
    one, other = scene(5), scene(5)
    one.paste("black", (20, 20, 26, 26))
    other.paste("black", (90, 90, 96, 96))
    assert clusters(found(examples("image", image=[encoded(scene(5)), encoded(scene(5), "JPEG")]))) == [[0, 1]]
    assert clusters(found(examples("image", image=[encoded(one), encoded(other)]))) == []


def test_blank_images_do_not_melt_into_one() -> None:
    rng = np.random.default_rng(0)
    pages = [np.full((64, 64), 250, np.uint8) + rng.integers(0, 2, (64, 64), dtype=np.uint8) for _ in range(6)]
    plain = [np.full((64, 64), value, np.uint8) for value in (0, 128, 255)]
    images = [encoded(Image.fromarray(pixels)) for pixels in [*pages, *plain]]
    assert clusters(found(examples("image", image=images))) == []


def test_small_digits_do_not_melt_into_one() -> None:
    from sklearn.datasets import load_digits

    digits = [encoded(Image.fromarray((pixels * 15).astype(np.uint8))) for pixels in load_digits().images[:600]]
    assert max(map(len, clusters(found(examples("image", image=digits)))), default=1) <= 2


def test_unreadable_images_have_their_reason_and_stand_alone() -> None:
    whole = encoded(scene(1), "JPEG")
    duplicates = found(examples("image", image=[whole, whole[: len(whole) // 2], b"no image", b""]))
    assert set(duplicates.failures) == {1, 2}
    assert "truncated" in duplicates.failures[1]
    assert duplicates.failures[2] == "is not an image that Pillow can read"
    assert clusters(duplicates) == []


def test_a_second_look_decodes_and_compares_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path))
    data = examples(
        "image", image=[*(encoded(scene(seed)) for seed in range(3)), encoded(scene(0), "JPEG", quality=60)]
    )
    before = found(data)
    for name in (
        "modalities.image.decode_image",
        "evidence.duplicates.near_images",
        "evidence.duplicates.cropped_images",
    ):
        monkeypatch.setattr(f"headstart.{name}", None)
    after = found(data)
    assert before.near == after.near == ((0, 3),)
    assert before.fingerprints is not None
    assert after.fingerprints is not None
    np.testing.assert_array_equal(before.fingerprints.records, after.fingerprints.records)
    assert after.fingerprints.records["width"].tolist() == [128] * 4


def test_texts_are_equal_but_for_case_punctuation_and_spaces() -> None:
    texts = ["Free  entry, NOW!", "free entry now", "free entry", "Freeentry now", "great 😊", "great 😡", "!!!", "???"]
    assert clusters(found(examples("text", text=texts))) == [[0, 1]]


def test_long_texts_that_share_nearly_everything_are_near_duplicates() -> None:
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("abcdefghij"), 6)) for _ in range(400)]
    long = " ".join(rng.choice(words, 80))
    edited = long.replace(long.split()[40], "changed", 1)
    rewritten = [" ".join([*long.split()[:68], *rng.choice(words, 12)]) for _ in range(5)]
    duplicates = found(examples("text", text=[long, edited, *rewritten]))
    assert clusters(duplicates) == [[0, 1]]
    assert duplicates.near == ((0, 1),)
    assert duplicates.exact == ()


def test_short_texts_that_differ_in_a_letter_are_different() -> None:
    assert clusters(found(examples("text", text=["your code is 1234", "your code is 1235"]))) == []


def test_empty_texts_are_no_duplicates_and_pairs_are_compared_whole() -> None:
    assert clusters(found(examples("text", text=["", "", "  "]))) == []
    pairs = examples("text", a=["one", "one", "one two", "", ""], b=["two", "Two!", "", "", ""])
    assert clusters(found(pairs)) == [[0, 1]]


def test_rows_of_numbers_have_exact_duplicates_only() -> None:
    duplicates = found(examples("table", x=[1.0, 1.0, 1.0 + 1e-9], y=[2, 2, 2]))
    assert clusters(duplicates) == [[0, 1]]
    assert duplicates.near == ()


@pytest.mark.parametrize("modality", ["image", "text", "table"])
def test_no_examples_have_no_duplicates(modality: str) -> None:
    empty = Examples(
        pa.table({"input": pa.array([], pa.float64() if modality == "table" else pa.string()), "origin": []}),
        Schema(modality=modality, inputs=("input",), origin="origin"),
    )
    assert len(found(empty).cluster) == 0


@pytest.mark.slow
def test_ten_thousand_texts_are_not_compared_pair_by_pair() -> None:
    rng = np.random.default_rng(0)
    words = np.array(["".join(rng.choice(list("abcdefghij"), 5)) for _ in range(2000)])
    texts = [" ".join(row) for row in words[rng.integers(0, 2000, (10_000, 20))]]
    texts[5000] = texts[17] + " end"
    data = examples("text", text=texts)
    began = time.process_time()
    duplicates = found(data)
    assert time.process_time() - began < 10, "pairs of texts were compared one by one"
    assert clusters(duplicates) == [[17, 5000]]


@pytest.mark.slow
def test_a_set_of_scans_keeps_small_clusters(test_data: Path) -> None:
    scans = ImageFolder().read(test_data / "data/img_brain_mri", Columns())
    sizes = Counter(np.bincount(found(scans).cluster).tolist())
    assert max(sizes) <= 8
    assert sizes[1] > 2600
    assert sizes[2] > 100


def test_messages_with_true_duplicates(test_data: Path) -> None:
    messages = Table().read(test_data / "data/text_sms_spam", Columns())
    duplicates = found(messages)
    assert len(duplicates.exact) == 403
    assert 50 < len(duplicates.near) < 600
    assert max(np.bincount(duplicates.cluster)) < 40
