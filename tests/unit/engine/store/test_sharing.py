from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from headstart.engine.store import sharing
from headstart.engine.store.claims import FOLDER, LOCK
from headstart.engine.store.feature_store import FeatureStore
from headstart.engine.store.sharing import SharedWork
from headstart.kernel.files import hash_bytes
from headstart.kernel.progress import Quiet

KEYS = [hash_bytes(b"%d" % number) for number in range(400)]
BATCH = 4


class Party(Quiet):
    """One that takes part in the work on a space, as a process of its own would."""

    def __init__(self, root: Path, limit: int = 10**9) -> None:
        self.space = FeatureStore(root, limit, flush_seconds=1e9).space({"weights": "w"})
        self.elsewhere = 0
        self.said: list[str] = []
        self.work = SharedWork(self.space, KEYS, BATCH, self.count, self)

    def count(self, found: int) -> None:
        self.elsewhere += found

    def say(self, text: str) -> None:
        self.said.append(text)

    def compute(self, block: np.ndarray) -> None:
        keys = [KEYS[position] for position in block]
        self.space.append(keys, {"hidden": np.zeros((len(keys), 2), np.float32)})
        self.work.done(keys)

    def finish(self, sweeps: Iterator[Iterator[np.ndarray]]) -> list[int]:
        """Compute all that is left to do."""
        computed = [block for blocks in sweeps for block in blocks if not self.compute(block)]
        return np.concatenate([np.empty(0, int), *computed]).tolist()


@pytest.fixture
def one(tmp_path: Path) -> Party:
    return Party(tmp_path)


@pytest.fixture
def other(tmp_path: Path) -> Party:
    return Party(tmp_path)


def test_one_alone_computes_everything_once_and_in_order(one: Party) -> None:
    with one.work as work:
        assert one.finish(work.sweeps()) == list(range(400))
    assert one.space.lookup(KEYS).found.all()
    assert (one.elsewhere, one.said) == (0, [])


def test_in_memory_it_is_the_same(tmp_path: Path) -> None:
    party = Party(tmp_path, limit=0)
    assert party.finish(party.work.sweeps()) == list(range(400))
    assert not list(tmp_path.iterdir())


def test_blocks_are_large_at_first_and_a_batch_at_the_end(one: Party) -> None:
    sizes = [len(block) for blocks in one.work.sweeps() for block in blocks]
    assert (sizes[0], sizes[-2]) == (sharing.MOST_BATCHES * BATCH, BATCH)
    assert sizes[:-1] == sorted(sizes[:-1], reverse=True)
    assert sum(sizes) == 400


def test_two_take_blocks_in_turn(one: Party, other: Party) -> None:
    mine, others = next(one.work.sweeps()), next(other.work.sweeps())
    taken = [next(mine), next(others), next(mine), next(others)]
    assert np.concatenate(taken).tolist() == list(range(sum(map(len, taken))))


def test_what_was_written_and_given_back_meanwhile_is_not_computed_again(one: Party, other: Party) -> None:
    with other.work as work:
        block = next(next(work.sweeps()))
        other.compute(block)
    with one.work as work:
        computed = one.finish(work.sweeps())
    assert computed == list(range(len(block), 400))
    assert one.elsewhere == len(block)


def test_what_another_could_not_read_is_tried(one: Party, other: Party) -> None:
    with other.work as work:
        work.done([KEYS[position] for position in next(next(work.sweeps()))])
    with one.work as work:
        assert one.finish(work.sweeps()) == list(range(400))


def test_claims_are_given_back_as_soon_as_what_they_led_to_is_written(one: Party, other: Party) -> None:
    blocks = next(one.work.sweeps())
    first, second = next(blocks), next(blocks)
    one.compute(first)
    one.space.flush()
    one.compute(second)
    one.space.flush()
    one.work.done([])
    found = next(next(other.work.sweeps()))
    assert found[0] == second[-1] + 1
    assert other.elsewhere == len(first) + len(second)


def test_who_has_nothing_left_waits_says_so_once_and_takes_over(
    one: Party, other: Party, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other writes its blocks while it is waited for, and then gives up the last of them."""
    blocks = next(other.work.sweeps())
    held = [next(blocks), next(blocks), next(blocks)]
    steps = iter([lambda: None, lambda: other.compute(held[0]), other.space.flush, other.work.__exit__])
    monkeypatch.setattr(sharing.time, "sleep", lambda _: next(steps)())
    with one.work as work:
        computed = one.finish(work.sweeps())
    assert computed == [*range(held[-1][-1] + 1, 400), *held[1], *held[2]]
    assert one.elsewhere == len(held[0])
    assert one.said == ["Waiting for another process, which is computing the last 96."]
    assert next(steps, None) is None


def test_an_error_leaves_what_is_done_and_no_claims(one: Party, other: Party) -> None:
    with pytest.raises(KeyboardInterrupt), one.work as work:
        blocks = next(work.sweeps())
        block = next(blocks)
        one.compute(block)
        next(blocks)
        raise KeyboardInterrupt
    with other.work as work:
        assert other.finish(work.sweeps()) == list(range(len(block), 400))


def test_who_waits_has_given_everything_back(one: Party, other: Party, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two that waited for each other would wait for ever."""
    first = next(next(one.work.sweeps()))
    seen, claimed = [], []

    def look(_: float) -> None:
        seen.append(FeatureStore(one.space.folder.parent, 10**9).space({"weights": "w"}).lookup(KEYS).found)
        claimed.append(sorted(path.stat().st_size for path in one.space.folder.glob(f"{FOLDER}/*-*")))
        one.work.__exit__()

    monkeypatch.setattr(sharing.time, "sleep", look)
    with other.work as work:
        assert other.finish(work.sweeps()) == [*range(len(first), 400), *first]
    assert seen[0].tolist() == [False] * len(first) + [True] * (400 - len(first))
    assert claimed == [[0, 16 * len(first)]]


def test_every_batch_shows_that_there_is_progress(one: Party) -> None:
    blocks = next(one.work.sweeps())
    first, second = next(blocks), next(blocks)
    (owner,) = (path for path in one.space.folder.glob(f"{FOLDER}/*") if path.name != LOCK)
    for block in (first, second):
        os.utime(owner, (1e9, 1e9))
        one.compute(block)
        assert owner.stat().st_mtime > 1e9
