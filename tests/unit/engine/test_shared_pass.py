"""Real processes at one frozen pass with inputs that none of them can read: side by side, killed, and hanging."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from forked_processes import SECONDS, Forked
from headstart.contracts.carriers import State
from headstart.contracts.examples import Raw
from headstart.engine.frozen import feeding
from headstart.engine.frozen.extract import Extracted, extract
from headstart.engine.store import sharing
from headstart.engine.store.claims import FOLDER
from headstart.engine.store.feature_store import FeatureStore
from headstart.runners.eager import Eager
from tiny_backbones import TinyImages, image_examples, keys_of, save_pictures

PICTURES = 120
BROKEN = (7, 50)
"""Pictures that cannot be read; none of them is in anybody's first batch."""

LET_GO = "let go"
"""A file that a process which is held waits for."""


class Together(TinyImages):
    """Prepares nothing before both processes have claimed something; who is held, nothing after its first batch."""

    def __init__(self, answers: Path, number: int, held: bool) -> None:
        super().__init__("tiny_images")
        self.answers, self.number, self.held = answers, number, held
        self.batches = 0

    def prepare(self, raws: list[Raw]) -> State:
        (self.answers / f"{self.number}.began").touch()
        wait_until(lambda: len(list(self.answers.glob("*.began"))) == 2)
        if self.held and self.batches:
            wait_until((self.answers / LET_GO).exists)
        self.batches += 1
        return super().prepare(raws)


def take_part(number: int, folder: Path, patience: float, held: bool) -> None:
    """A process's part of the pass; patience with the other in seconds."""
    sharing.PATIENCE_SECONDS, feeding.MOST_THREADS = patience, 1
    torch.set_num_threads(1)
    answers, paths = folder / "answers", sorted((folder / "pictures").iterdir())
    found = extract(
        Together(answers, number, held),
        image_examples(paths),
        keys_of(paths),
        runner=Eager(),
        store=FeatureStore(folder / "store", 10**9, flush_seconds=0.0),
        device=torch.device("cpu"),
        batch_size=4,
    )
    np.save(answers / f"{number}.npy", found.pooled())
    others = found.elsewhere + found.reused
    answer = {"computed": found.computed, "others": others, "failures": sorted(found.failures)}
    (answers / f"{number}.json").write_text(json.dumps(answer))


def wait_until(holds: Callable[[], Any]) -> None:
    give_up = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < give_up
        time.sleep(0.005)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    paths = sorted(save_pictures(folder, PICTURES))
    for number, path in enumerate(paths[row] for row in BROKEN):
        path.write_bytes(b"no picture %d" % number)
    (tmp_path / "answers").mkdir()
    return folder


@contextmanager
def two_processes(
    folder: Path,
    *,
    held: int | None = None,
    patience: float = 10 * SECONDS,
    environment: Callable[[int], Mapping[str, str]] = lambda number: {},
) -> Iterator[list[Forked]]:
    """Two processes at the same pass; number `held` does its first batch, claims more, and waits."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(
                Forked(take_part, number, folder, patience, number == held, environment=environment(number))
            )
            for number in (0, 1)
        ]


def answer_of(folder: Path, number: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "answers" / f"{number}.json").read_text())
    return found | {"pooled": np.load(folder / "answers" / f"{number}.npy")}


def alone(pictures: Path, store: FeatureStore | None = None) -> Extracted:
    paths = sorted(pictures.iterdir())
    backbone, examples = TinyImages("tiny_images"), image_examples(paths)
    return extract(backbone, examples, keys_of(paths), runner=Eager(), store=store, device=torch.device("cpu"))


def launched(number: int) -> dict[str, str]:
    return {"RANK": str(number), "LOCAL_RANK": str(number), "WORLD_SIZE": "2"}


@pytest.mark.slow
@pytest.mark.parametrize("environment", [lambda number: {}, launched], ids=["independent", "launched"])
def test_two_processes_started_at_once_share_a_pass(
    environment: Callable[[int], Mapping[str, str]], tmp_path: Path, pictures: Path
) -> None:
    """Nothing is computed twice, everybody takes part, and everybody has everything."""
    with two_processes(tmp_path, environment=environment) as running:
        assert [process.wait() for process in running] == [0, 0]
    one, readable = alone(pictures), PICTURES - len(BROKEN)
    answers = [answer_of(tmp_path, number) for number in (0, 1)]
    for answer in answers:
        assert 0 < answer["computed"] < readable
        assert answer["computed"] + answer["others"] == readable
        assert answer["failures"] == sorted(one.failures) == list(BROKEN)
        np.testing.assert_allclose(answer["pooled"], one.pooled(), atol=1e-6)
        assert np.array_equal(answer["pooled"], answers[0]["pooled"])
    assert sum(answer["computed"] for answer in answers) == readable
    assert not list((tmp_path / "store").rglob(FOLDER))


@pytest.mark.slow
def test_the_other_process_finishes_what_a_killed_one_left(tmp_path: Path, pictures: Path) -> None:
    store = tmp_path / "store"
    with two_processes(tmp_path, held=0) as (victim, other):
        wait_until(lambda: list(store.rglob(f"*-{victim.pid}-*.shard")))
        victim.send(signal.SIGKILL)
        assert other.wait() == 0
    answer = answer_of(tmp_path, 1)
    assert answer["others"] > 0
    assert answer["computed"] + answer["others"] == PICTURES - len(BROKEN)
    np.testing.assert_allclose(answer["pooled"], alone(pictures).pooled(), atol=1e-6)
    assert alone(pictures, FeatureStore(store, 10**9)).computed == 0
    assert not list(store.rglob(FOLDER))


@pytest.mark.slow
def test_nobody_waits_for_ever_for_a_process_that_hangs(tmp_path: Path, pictures: Path) -> None:
    with two_processes(tmp_path, held=0, patience=0.5) as (victim, other):
        assert other.wait() == 0
        assert victim.alive()
        answer = answer_of(tmp_path, 1)
        assert answer["computed"] + answer["others"] == PICTURES - len(BROKEN)
        np.testing.assert_allclose(answer["pooled"], alone(pictures).pooled(), atol=1e-6)
        (tmp_path / "answers" / LET_GO).touch()
        assert victim.wait() == 0
    np.testing.assert_allclose(answer_of(tmp_path, 0)["pooled"], answer["pooled"], atol=1e-6)
    assert not list((tmp_path / "store").rglob(FOLDER))


def test_a_pass_alone_leaves_no_claims_and_says_nothing(tmp_path: Path, pictures: Path) -> None:
    found = alone(pictures, FeatureStore(tmp_path / "store", 10**9))
    assert (found.computed, found.elsewhere) == (PICTURES - len(BROKEN), 0)
    assert list(tmp_path.rglob("*.shard")) and not list(tmp_path.rglob(FOLDER))
