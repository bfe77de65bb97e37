"""Inputs that are read when a batch asks for them: once where they fit, named where they cannot be read."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image
from torch import nn

from headstart.contracts.carriers import State
from headstart.contracts.examples import Examples, Raw, Schema
from headstart.engine.frozen.lazy_inputs import LazyInputs
from headstart.kernel.errors import DataError
from headstart.media.images import read_pixels
from tiny_backbone import TinyBackbone, numeric_examples

BROKEN = 3


class Counting:
    """Reads a picture of 2 x 2 pixels, and counts how often."""

    nbytes = 12

    def __init__(self) -> None:
        self.read: list[str] = []

    def __call__(self, raw: Raw) -> np.ndarray:
        self.read.append(Path(str(raw)).name)
        return read_pixels(raw)  # type: ignore[arg-type]


class Pictures(TinyBackbone):
    """Takes pictures of 2 x 2 pixels as they are."""

    modality = "image"
    entry = nn.Identity()

    def __init__(self) -> None:
        super().__init__()
        self.counting = Counting()

    def reader(self) -> Counting:
        return self.counting


@pytest.fixture
def pictures(tmp_path: Path) -> Examples:
    for number in range(8):
        buffer = io.BytesIO()
        Image.fromarray(np.full((2, 2, 3), number, np.uint8)).save(buffer, "PNG")
        content = b"\x89PNG\r\n\x1a\nxx" if number == BROKEN else buffer.getvalue()
        (tmp_path / f"{number}.png").write_bytes(content)
    table = pa.table({"path": [f"{number}.png" for number in range(8)]})
    return Examples(table, Schema(modality="image", inputs=("path",), origin="path", root=str(tmp_path)))


def inputs(examples: Examples, told: dict[int, str], kept: int = 8) -> LazyInputs:
    return LazyInputs(Pictures(), examples, told.__setitem__, kept_bytes=12 * kept)


def values(state: State) -> list[int]:
    assert state.hidden.shape[1:] == (2, 2, 3)
    return state.hidden[:, 0, 0, 0].tolist()


def test_rows_come_in_their_order_and_are_read_once(pictures: Examples) -> None:
    told: dict[int, str] = {}
    lazy = inputs(pictures, told)
    assert values(lazy(np.array([5, 1, 7]))) == [5, 1, 7]
    assert values(lazy(np.array([7, 2, 5, 0]))) == [7, 2, 5, 0]
    assert sorted(lazy.backbone.counting.read) == ["0.png", "1.png", "2.png", "5.png", "7.png"]  # type: ignore[attr-defined]
    assert not told


def test_beyond_the_room_they_are_read_again(pictures: Examples) -> None:
    lazy = inputs(pictures, {}, kept=2)
    for _ in range(2):
        assert values(lazy(np.array([6, 1, 0]))) == [6, 1, 0]
        assert values(lazy(np.array([5]))) == [5]
    read = lazy.backbone.counting.read  # type: ignore[attr-defined]
    assert (read.count("6.png"), read.count("5.png"), read.count("1.png"), read.count("0.png")) == (2, 2, 1, 1)


def test_two_streams_that_ask_for_the_same_rows_have_them_read_once(pictures: Examples) -> None:
    lazy = inputs(pictures, {}, kept=0)
    rows = np.array([4, 2])
    for _ in range(2):
        assert values(lazy(lazy.screen(rows))) == [4, 2]
    assert sorted(lazy.backbone.counting.read) == ["2.png", "4.png"]  # type: ignore[attr-defined]


def test_what_cannot_be_read_is_told_of_once_and_left_out(pictures: Examples) -> None:
    told: dict[int, str] = {}
    lazy = inputs(pictures, told)
    for rows in ([2, BROKEN, 4], [BROKEN, 5, 2]):
        left = lazy.screen(np.array(rows))
        assert left.tolist() == [row for row in rows if row != BROKEN]
        assert values(lazy(left)) == left.tolist()
    assert list(told) == [BROKEN] and "not an image" in told[BROKEN]
    assert lazy.backbone.counting.read.count("3.png") == 1  # type: ignore[attr-defined]


def test_a_batch_of_nothing_that_can_be_read_ends_it_with_a_name(pictures: Examples) -> None:
    lazy = inputs(pictures, {})
    with pytest.raises(DataError, match=r"3\.png .*not an image"):
        lazy.screen(np.array([BROKEN]))
    with pytest.raises(DataError, match=r"3\.png"):
        lazy(np.array([1, BROKEN]))


def test_inputs_without_a_reader_are_prepared_together() -> None:
    examples = numeric_examples(np.arange(12.0).reshape(3, 4), [0, 0, 0])
    lazy = LazyInputs(TinyBackbone(), examples, lambda row, reason: None)
    assert torch.equal(lazy(np.array([2, 0])).hidden[:, 0], torch.tensor([8.0, 0.0]))
