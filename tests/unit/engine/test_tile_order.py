"""Tiles come in a random order in which pictures and masks are decoded once in an epoch."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from head_shapes import SHAPES
from headstart.contracts.carriers import State
from headstart.contracts.format import Columns
from headstart.contracts.modality import raws_of
from headstart.engine.streams import Stream
from headstart.engine.tile_order import Tiled, tiles_of
from headstart.formats.mask_folder import MaskFolder
from headstart.media import images
from headstart.media.recent import DECODED
from headstart.tasks.segmentation import mask_target
from headstart.tasks.segmentation.task import Segmentation
from masked_pictures import save_pairs

PICTURES, SIDE, TILES = 8, 100, 9


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each picture and each mask was decoded; two of them with their masks are kept."""
    found: Counter[str] = Counter()

    def counted(decode: Any) -> Any:
        return lambda source, *how, **more: found.update([str(source)]) or decode(source, *how, **more)

    monkeypatch.setattr(images, "read_pixels", counted(images.read_pixels))
    monkeypatch.setattr(mask_target, "read_mask", counted(mask_target.read_mask))
    monkeypatch.setattr(DECODED, "most", 2 * 4 * SIDE**2)
    return found


def tiled_stream(folder: Path) -> Stream:
    """Batches of six tiles, so that none has tiles of two pools of 18."""
    examples = MaskFolder().read(save_pairs(folder, range(PICTURES), side=SIDE), Columns())
    task = Segmentation(tile=48, classes=("background", "outer", "inner")).bind(examples, SHAPES)
    windows = task.cut(examples, None)  # type: ignore[arg-type]
    assert windows is not None and len(windows.owner) == PICTURES * TILES

    def source(rows: np.ndarray) -> State:
        crops = [images._cropped(raw, None) for raw in raws_of(windows.examples, rows)]  # type: ignore[arg-type]
        return State(torch.from_numpy(np.stack(crops)))

    targets = windows.targets(task.targets(examples))
    rows = np.arange(len(windows.owner))
    return Stream("source", rows, targets, source, 6, 0, lengths=np.ones_like(rows), tiled=tiles_of(windows.examples))


def test_pictures_and_masks_are_not_decoded_for_each_of_their_tiles(tmp_path: Path, decoded: Counter[str]) -> None:
    stream = tiled_stream(tmp_path)
    decoded.clear()
    for rows in stream.order(0):
        stream.batch(rows)
    assert len(decoded) == 2 * PICTURES and set(decoded.values()) == {1}


def test_tiles_are_drawn_at_random_from_pools_of_pictures_that_change_from_epoch_to_epoch(
    tmp_path: Path, decoded: Counter[str]
) -> None:
    stream = tiled_stream(tmp_path)
    first, second = (np.concatenate(stream.order(epoch)) for epoch in (0, 1))
    assert sorted(first) == sorted(second) == list(range(PICTURES * TILES))
    assert np.array_equal(first, np.concatenate(stream.order(0)))
    pools = [
        [set((rows[at : at + 2 * TILES] // TILES).tolist()) for at in range(0, len(rows), 2 * TILES)]
        for rows in (first, second)
    ]
    assert all(len(pool) == 2 for some in pools for pool in some) and pools[0] != pools[1]
    assert sum(a // TILES != b // TILES for a, b in itertools.pairwise(first.tolist())) > 3 * PICTURES


def test_a_picture_that_is_larger_than_what_is_kept_is_a_pool_of_its_own() -> None:
    tiled = Tiled(np.repeat(np.arange(4), 5), np.array([10, DECODED.most + 1, 10, 10]))
    near = tiled.near(np.random.default_rng(0).permutation(20))
    places = np.flatnonzero(near // 5 == 1)
    assert places.tolist() == list(range(places[0], places[0] + 5))


def test_examples_that_are_read_whole_have_no_tiles(tmp_path: Path) -> None:
    assert tiles_of(MaskFolder().read(save_pairs(tmp_path, range(2)), Columns())) is None
