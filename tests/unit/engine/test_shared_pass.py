"""Real processes at one frozen pass with inputs that none of them can read: side by side, killed, and stopped."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_backbones import TinyImages, image_examples, keys_of, save_pictures

from headstart.engine.claims import FOLDER, LOCK
from headstart.engine.extract import Extracted, extract
from headstart.engine.feature_store import FeatureStore
from headstart.runners.eager import Eager

PICTURES = 120
BROKEN = (7, 50)
"""Pictures that cannot be read."""

PART_OF_A_PASS = """
import json, os, sys, time
from pathlib import Path
store, pictures, answers, pause, patience, tests = sys.argv[1:]
sys.path.insert(0, tests)
import numpy as np, torch
from tiny_backbones import TinyImages, image_examples, keys_of
from headstart.engine import sharing
from headstart.engine.extract import extract
from headstart.engine.feature_store import FeatureStore
from headstart.runners.eager import Eager

class Slow(TinyImages):
    def prepare(self, raws):
        time.sleep(float(pause))
        return super().prepare(raws)

sharing.PATIENCE_SECONDS = float(patience)
torch.set_num_threads(1)
answers, name = Path(answers), os.environ.get("RANK", str(os.getpid()))
paths = sorted(Path(pictures).iterdir())
(answers / f"{name}.ready").touch()
for _ in range(12_000):
    if (answers / "go").exists():
        break
    time.sleep(0.01)
found = extract(Slow("tiny_images"), image_examples(paths), keys_of(paths), runner=Eager(),
                store=FeatureStore(Path(store), 10**9, flush_seconds=0.05), device=torch.device("cpu"), batch_size=4)
np.save(answers / f"{name}.npy", found.pooled())
others = found.elsewhere + found.reused
answer = {"computed": found.computed, "others": others, "failures": sorted(found.failures)}
(answers / f"{name}.json").write_text(json.dumps(answer))
"""


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    paths = save_pictures(folder, PICTURES)
    for number, path in enumerate(paths[row] for row in BROKEN):
        path.write_bytes(b"no picture %d" % number)
    return folder


@pytest.fixture
def arguments(tmp_path: Path, pictures: Path) -> Callable[..., list[str]]:
    """Of `PART_OF_A_PASS`, with the pause before each batch and the patience with others, in seconds."""
    (tmp_path / "answers").mkdir()

    def of(pause: float = 0.02, patience: float = 60.0) -> list[str]:
        folders = [tmp_path / "store", pictures, tmp_path / "answers"]
        return [*map(str, [*folders, pause, patience, Path(__file__).parent])]

    return of


def wait_until(holds: Callable[[], Any], running: list[subprocess.Popen[bytes]]) -> None:
    give_up = time.monotonic() + 120
    while not holds():
        assert all(process.poll() is None for process in running) and time.monotonic() < give_up
        time.sleep(0.005)


def two_processes(answers: Path, arguments: list[str]) -> AbstractContextManager[list[subprocess.Popen[bytes]]]:
    """Two independent processes at the same pass."""
    return at_the_same_moment([[sys.executable, "-c", PART_OF_A_PASS, *arguments]] * 2, answers)


@contextmanager
def at_the_same_moment(lines: list[list[str]], answers: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Command lines that run and have two processes begin a pass at the same moment."""
    running = [subprocess.Popen(line) for line in lines]
    try:
        wait_until(lambda: len(list(answers.glob("*.ready"))) == 2, running)
        (answers / "go").touch()
        yield running
    finally:
        for process in running:
            process.kill()
            process.wait()


def answer_of(answers: Path, name: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((answers / f"{name}.json").read_text())
    return found | {"pooled": np.load(answers / f"{name}.npy")}


def alone(pictures: Path, store: FeatureStore | None = None) -> Extracted:
    paths = sorted(pictures.iterdir())
    backbone, examples = TinyImages("tiny_images"), image_examples(paths)
    return extract(backbone, examples, keys_of(paths), runner=Eager(), store=store, device=torch.device("cpu"))


def check_shared(answers: list[dict[str, Any]], pictures: Path, store: Path) -> None:
    """Nothing was computed twice, everybody took part, and everybody has everything."""
    readable = PICTURES - len(BROKEN)
    for answer in answers:
        assert 0 < answer["computed"] < readable
        assert answer["computed"] + answer["others"] == readable
        assert answer["failures"] == sorted(alone(pictures).failures)
        np.testing.assert_allclose(answer["pooled"], alone(pictures).pooled(), atol=1e-6)
        assert np.array_equal(answer["pooled"], answers[0]["pooled"])
    assert sum(answer["computed"] for answer in answers) == readable
    assert not list(store.rglob(FOLDER))


@pytest.mark.slow
def test_two_processes_started_at_once_share_a_pass(
    tmp_path: Path, pictures: Path, arguments: Callable[..., list[str]]
) -> None:
    with two_processes(tmp_path / "answers", arguments()) as running:
        assert [process.wait(120) for process in running] == [0, 0]
    answers = [answer_of(tmp_path / "answers", process.pid) for process in running]
    check_shared(answers, pictures, tmp_path / "store")


@pytest.mark.slow
def test_the_processes_of_torchrun_share_a_pass(
    tmp_path: Path, pictures: Path, arguments: Callable[..., list[str]]
) -> None:
    script = tmp_path / "part_of_a_pass.py"
    script.write_text(PART_OF_A_PASS)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    with at_the_same_moment([[*launch, *arguments()]], tmp_path / "answers") as (torchrun,):
        assert torchrun.wait(120) == 0
    answers = [answer_of(tmp_path / "answers", rank) for rank in (0, 1)]
    check_shared(answers, pictures, tmp_path / "store")


def claims(store: Path, process: subprocess.Popen[bytes]) -> bool:
    """Whether the process claims something right now, and is not just at writing it down."""
    (lock,) = store.rglob(f"{FOLDER}/{LOCK}")
    with open(lock) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return any(path.stat().st_size for path in store.rglob(f"{FOLDER}/{process.pid}-*"))


def stop_in_the_middle(store: Path, victim: subprocess.Popen[bytes], running: list[subprocess.Popen[bytes]]) -> None:
    """SIGSTOP, at a moment at which it has stored something and claims more."""
    wait_until(lambda: list(store.rglob(f"*-{victim.pid}-*.shard")), running)
    while True:
        wait_until(lambda: claims(store, victim), running)
        victim.send_signal(signal.SIGSTOP)
        os.waitpid(victim.pid, os.WUNTRACED)
        if claims(store, victim):
            return
        victim.send_signal(signal.SIGCONT)


@pytest.mark.slow
def test_the_other_process_finishes_what_a_killed_one_left(
    tmp_path: Path, pictures: Path, arguments: Callable[..., list[str]]
) -> None:
    store = tmp_path / "store"
    with two_processes(tmp_path / "answers", arguments(pause=0.3)) as running:
        victim, other = running
        stop_in_the_middle(store, victim, running)
        victim.send_signal(signal.SIGKILL)
        victim.wait()
        assert other.wait(120) == 0
    answer = answer_of(tmp_path / "answers", other.pid)
    assert answer["others"] > 0
    assert answer["computed"] + answer["others"] == PICTURES - len(BROKEN)
    np.testing.assert_allclose(answer["pooled"], alone(pictures).pooled(), atol=1e-6)
    assert alone(pictures, FeatureStore(store, 10**9)).computed == 0
    assert not list(store.rglob(FOLDER))


@pytest.mark.slow
def test_nobody_waits_for_ever_for_a_process_that_hangs(
    tmp_path: Path, pictures: Path, arguments: Callable[..., list[str]]
) -> None:
    store, answers = tmp_path / "store", tmp_path / "answers"
    with two_processes(answers, arguments(pause=0.3, patience=1.0)) as running:
        victim, other = running
        stop_in_the_middle(store, victim, running)
        assert other.wait(120) == 0
        answer = answer_of(answers, other.pid)
        assert answer["computed"] + answer["others"] == PICTURES - len(BROKEN)
        np.testing.assert_allclose(answer["pooled"], alone(pictures).pooled(), atol=1e-6)
        victim.send_signal(signal.SIGCONT)
        assert victim.wait(120) == 0
    np.testing.assert_allclose(answer_of(answers, victim.pid)["pooled"], answer["pooled"], atol=1e-6)
    assert not list(store.rglob(FOLDER))


def test_a_pass_alone_leaves_no_claims_and_says_nothing(tmp_path: Path, pictures: Path) -> None:
    found = alone(pictures, FeatureStore(tmp_path / "store", 10**9))
    assert (found.computed, found.elsewhere) == (PICTURES - len(BROKEN), 0)
    assert list(tmp_path.rglob("*.shard")) and not list(tmp_path.rglob(FOLDER))
