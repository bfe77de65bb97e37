from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from headstart.engine.store.columns import Column, Ragged
from headstart.engine.store.key_index import key_bytes
from headstart.engine.store.shard import DamagedShardError, Shard, encode
from headstart.kernel.files import hash_bytes

DRAWS = np.random.default_rng(0)
KEYS = key_bytes([hash_bytes(bytes([i])) for i in range(5)])
LENGTHS = np.array([3, 0, 7, 1, 2])


def fields() -> dict[str, Column]:
    return {
        "hidden": DRAWS.standard_normal((5, 2000), dtype=np.float32),
        "context.lengths": LENGTHS.copy(),
        "tokens": Ragged.of(DRAWS.standard_normal((13, 4), dtype=np.float32), LENGTHS),
    }


def test_what_is_written_is_read_bit_for_bit(tmp_path: Path) -> None:
    written = fields()
    (tmp_path / "a").write_bytes(encode(KEYS, written))
    shard = Shard.open(tmp_path / "a")
    shard.verify()
    assert np.array_equal(shard.keys, KEYS)
    assert shard.names == tuple(written)
    for rows in (np.arange(5), np.array([4, 0, 2]), np.array([1])):
        hidden, lengths, tokens = (shard.take(name, rows) for name in written)
        assert isinstance(tokens, Ragged)
        assert np.array_equal(hidden, written["hidden"][rows])
        assert np.array_equal(lengths, LENGTHS[rows])
        assert lengths.dtype == np.int64
        assert [entry.tolist() for entry in tokens] == [written["tokens"][row].tolist() for row in rows]


def test_blocks_are_aligned_for_mapping(tmp_path: Path) -> None:
    content = encode(KEYS, fields())
    assert len(content) % 64 == 0
    assert Shard(content).take("hidden", np.arange(5)).ctypes.data % 4 == 0


@pytest.mark.parametrize("keep", [0, 10, 100, 0.5, -1])
def test_a_file_cut_short_is_refused_at_once(tmp_path: Path, keep: float) -> None:
    content = encode(KEYS, fields())
    (tmp_path / "a").write_bytes(content[: int(keep * len(content)) if 0 < keep < 1 else int(keep)])
    with pytest.raises(DamagedShardError):
        Shard.open(tmp_path / "a")


def test_every_flipped_bit_is_found() -> None:
    content = encode(KEYS, fields())
    for position in range(0, len(content) * 8, 997):
        damaged = bytearray(content)
        damaged[position // 8] ^= 1 << position % 8
        with pytest.raises(DamagedShardError):
            Shard(bytes(damaged)).verify()


def test_pages_that_changed_places_are_found() -> None:
    content = encode(KEYS, fields())
    start = len(content) - 3 * 4096
    swapped = content[:start] + content[start + 4096 : start + 8192] + content[start : start + 4096]
    with pytest.raises(DamagedShardError):
        Shard(swapped + content[start + 8192 :]).verify()


def test_a_foreign_file_is_refused() -> None:
    with pytest.raises(DamagedShardError):
        Shard(b"PK\x03\x04" + b"\0" * 1000)


def test_bfloat16_halves_the_size_and_rounds_to_the_nearest() -> None:
    values = np.array([1.0, -2.5, 3.14159265, 1e38, np.inf, np.nan, 1 + 1.6 / 128, 1 + 0.5 / 128], np.float32)[:, None]
    keys = key_bytes([hash_bytes(bytes([i])) for i in range(8)])
    read = Shard(encode(keys, {"x": values, "n": np.arange(8)}, bfloat16=True))
    got = read.take("x", np.arange(8))
    assert got.dtype == np.float32
    expected = [1.0, -2.5, 3.140625, 9.9692e37, np.inf, np.nan, 1 + 2 / 128, 1.0]
    np.testing.assert_allclose(got[:, 0], expected, rtol=1e-4)
    assert read.take("n", np.arange(8)).tolist() == list(range(8))
    wide = {"x": np.ones((8, 1000), np.float32)}
    assert len(encode(keys, wide, bfloat16=True)) < 0.6 * len(encode(keys, wide))
