from __future__ import annotations

import threading
import tracemalloc
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from headstart.contracts.examples import Examples, Schema
from headstart.contracts.modality import HasPicture, modality_named
from headstart.engine.frozen.content_keys import content_keys
from headstart.engine.frozen.disk_cache import DiskCache
from headstart.evidence import image_fingerprints
from headstart.evidence.image_fingerprints import MEMO, RECORD, Fingerprints, fingerprint, fingerprint_images

IMAGE: Any = modality_named("image")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))


def listed(paths: list[Path]) -> Examples:
    names = [str(path) for path in paths]
    return Examples(pa.table({"path": names}), Schema(modality="image", inputs=("path",), origin="path"))


def pictures(folder: Path, count: int) -> list[Path]:
    draws = np.random.default_rng(0)
    paths = [folder / f"{number}.png" for number in range(count)]
    for path in paths:
        Image.fromarray(draws.integers(0, 255, (20, 24, 3), dtype=np.uint8)).save(path)
    return paths


def test_each_row_has_the_record_of_its_content(tmp_path: Path) -> None:
    paths = pictures(tmp_path, 4)
    paths[1].write_bytes(b"no picture")
    data = listed([paths[k] for k in (0, 1, 2, 0, 3, 2)])
    found = fingerprint_images(data, [*content_keys(data).keys[:5], None])
    assert found.rows.tolist() == [0, 2, 3, 4]
    assert found.record_of.tolist() == [0, 1, 0, 2]
    assert [record.tobytes() for record in found.records] == [fingerprint(IMAGE, paths[k]).tobytes() for k in (0, 2, 3)]
    assert found.failures == {1: "is not an image that Pillow can read"}


def test_two_that_look_at_the_same_pictures_at_once_decode_each_of_them_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = pictures(tmp_path, 60)
    data, keys = listed(paths), content_keys(listed(paths)).keys
    decoded: Counter[Path] = Counter()
    lock, both = threading.Lock(), threading.Barrier(2)

    def counted(kind: HasPicture, source: Path) -> np.ndarray:
        with lock:
            decoded[source] += 1
        return fingerprint(kind, source)

    def look() -> Fingerprints:
        both.wait(60)
        return fingerprint_images(data, keys)

    monkeypatch.setattr(image_fingerprints, "fingerprint", counted)
    monkeypatch.setattr(image_fingerprints, "_AT_ONCE", 20)
    with ThreadPoolExecutor(2) as pool:
        one, other = (pool.submit(look) for _ in range(2))
        assert np.array_equal(one.result().records, other.result().records)
    assert decoded == dict.fromkeys(paths, 1)


def test_a_picture_takes_little_more_memory_than_its_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [f"{number:032x}" for number in range(5000)]
    DiskCache(MEMO).put({key.encode(): np.zeros((), RECORD).tobytes() for key in keys})
    data = listed([tmp_path / "gone.png"] * len(keys))
    monkeypatch.setattr(image_fingerprints, "_AT_ONCE", 100)
    tracemalloc.start()
    try:
        found = fingerprint_images(data, keys)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(found.rows) == len(keys)
    assert most < 1.5 * RECORD.itemsize * len(keys)
