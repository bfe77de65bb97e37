"""A frozen pass where no worker process can be started: it goes on in the process itself, and says so once."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from headstart.contracts.backbone import Reader
from headstart.contracts.examples import Raw
from headstart.engine.frozen import feeding
from headstart.engine.frozen.extract import extract
from headstart.engine.frozen.reading_workers import POSSIBLE, ReadingWorkers
from headstart.kernel.errors import HeadstartError
from headstart.kernel.progress import Quiet
from headstart.runners.eager import Eager
from tiny_backbones import SIDE, TinyImages, image_examples, keys_of, save_pictures

pytestmark = pytest.mark.skipif(not POSSIBLE, reason="worker processes need POSIX")


class Heard(Quiet):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


class Reading:
    """A reader of the tiny backbone's pictures."""

    nbytes = 3 * SIDE * SIDE * 4

    def __call__(self, raw: Raw) -> np.ndarray:
        return TinyImages("tiny").one(raw).numpy()


class ByReader(TinyImages):
    def reader(self) -> Reader:
        return Reading()


@pytest.mark.parametrize(
    "python, fault",
    [("false", "worker processes end as soon as they are started"), ("no python", "no worker process can be started")],
)
def test_a_pass_without_worker_processes_goes_on_and_says_so_once(
    python: str, fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pictures").mkdir()
    paths, heard = save_pictures(tmp_path / "pictures", 9), Heard()
    monkeypatch.setattr(feeding, "PROCESSES_FROM", 0)
    monkeypatch.setattr(sys, "executable", shutil.which(python) or python)
    found = extract(
        ByReader("tiny"),
        image_examples(paths),
        keys_of(paths),
        runner=Eager(),
        batch_size=2,
        device=torch.device("cpu"),
        reporter=heard,
    )
    assert (found.computed, found.failures) == (9, {})
    (said,) = heard.said
    assert fault in said and "which is slower" in said


def test_of_the_end_of_a_pass_nothing_is_said(tmp_path: Path) -> None:
    heard = Heard()
    with ReadingWorkers(Reading(), 1, 4, heard) as workers:
        pass
    with pytest.raises(HeadstartError, match="the pass has ended"):
        workers.read([tmp_path])
    assert not heard.said
