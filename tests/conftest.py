"""What every test may rely on: one thread, no network, a cache folder of its own, and the folder of real data."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_OFFLINE"] = "1"
# a shell starts what runs in its background deaf to Ctrl-C, and so would be every process that a test starts
signal.signal(signal.SIGINT, signal.default_int_handler)
gc.disable()  # until all tests are collected


def pytest_runtestloop() -> None:
    """What is imported and collected stays to the end: looking through it for garbage took a tenth of all time."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The cache folder of this test process, empty at its start; nobody's own cache is read or filled."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADSTART_CACHE", str(folder))
        yield folder


@pytest.fixture(autouse=True)
def ctrl_c_as_usual() -> Iterator[None]:
    """Every test leaves Ctrl-C to Python: left to the system, the next test that raises one would end the process."""
    yield
    left = signal.signal(signal.SIGINT, signal.default_int_handler)
    assert left is signal.default_int_handler, f"this test left {left} to handle Ctrl-C"


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real data that `HEADSTART_TEST_DATA` names, with `data/` and `weights/` in it."""
    given = os.environ.get("HEADSTART_TEST_DATA")
    if not given:
        pytest.skip("HEADSTART_TEST_DATA is not set: it names the folder of real data")
    return Path(given)
