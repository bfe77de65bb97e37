from __future__ import annotations

from pathlib import Path

import pytest

from headstart.engine.frozen import disk_cache as module
from headstart.engine.frozen.disk_cache import DiskCache
from headstart.kernel.files import hash_bytes


@pytest.mark.parametrize("limit, most", [("1MB", 300_000), ("8MB", 800_000)])
def test_a_memo_stays_within_its_share_of_the_room_for_features(
    limit: str, most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path))
    monkeypatch.setenv("HEADSTART_CACHE_LIMIT", limit)
    monkeypatch.setattr(module, "LEAST", 300_000)
    disk_cache, keys = DiskCache("looks-1"), [hash_bytes(str(number).encode()).encode() for number in range(1500)]
    for start in range(0, len(keys), 100):
        disk_cache.put({key: bytes(1000) for key in keys[start : start + 100]})
    assert disk_cache.path.stat().st_size < most + 150_000, "no more than what is put at once beside it"
    kept = len(disk_cache.get(keys))
    assert kept > most / 3000
    assert len(disk_cache.get(keys[-kept:])) == kept, "the oldest are forgotten"
