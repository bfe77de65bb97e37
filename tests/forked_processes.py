"""Real processes that begin at once: forks of a server that has imported what tests need.

Each has its own memory, signals, folder and environment, as one that a user starts; it is only spared the seconds that
importing takes. What happens while a process starts is tested with a fresh interpreter.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from torch.distributed import TCPStore

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [
        "pytest",
        "torch._dynamo",
        "torch._inductor.config",
        "headstart.cli.app",
        "headstart.verbs.fit",
        "headstart.verbs.pretrain",
        "headstart.backbones.timm_images",
        "headstart.backbones.hf_text",
        "headstart.tasks.segmentation.task",
        "headstart.tasks.tagging.task",
    ]
)

SECONDS = 300.0
"""How long a process may take on the slowest machine."""

STANDARD = (1, 2)
"""Standard output and error."""


class Forked:
    """A process that runs a function, which must be importable. A context: the process is killed at its end."""

    def __init__(
        self,
        run: Callable[..., Any],
        *arguments: Any,
        environment: Mapping[str, str] | None = None,
        leads: bool = False,
    ) -> None:
        """Start it in the folder of this process.

        Args:
            environment: variables that differ from those of this process.
            leads: a group of its own, as a terminal gives to every command.
        """
        self._folder = tempfile.TemporaryDirectory()
        for standard in STANDARD:
            Path(self._folder.name, str(standard)).touch()
        given = {**os.environ, **(environment or {})}
        self._process = _started((given, leads, self._folder.name, run, arguments))

    def __enter__(self) -> Forked:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.join()
        self._folder.cleanup()

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid or 0

    @property
    def out(self) -> str:
        """What it has written to its standard output."""
        return Path(self._folder.name, "1").read_text()

    @property
    def err(self) -> str:
        """What it has written to its standard error."""
        return Path(self._folder.name, "2").read_text()

    def alive(self) -> bool:
        """Whether it runs still."""
        return self._process.is_alive()

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def wait(self) -> int:
        """Its exit code; that of one that a signal ended is the signal's number below zero."""
        self._process.join(SECONDS)
        assert self._process.exitcode is not None, f"it does not end: {self.err}"
        return self._process.exitcode


def _started(arguments: tuple[Any, ...]) -> Any:
    for last in (False, True):
        process = _CONTEXT.Process(target=_begin, args=arguments)
        try:
            process.start()
            break
        except (EOFError, ConnectionError):  # the server has ended; the next process gets another one
            if last:
                raise
            time.sleep(1)
    return process


def _begin(
    environment: dict[str, str], leads: bool, folder: str, run: Callable[..., Any], arguments: tuple[Any, ...]
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    if leads:
        os.setsid()
    for standard in STANDARD:
        os.dup2(os.open(f"{folder}/{standard}", os.O_WRONLY), standard)
    run(*arguments)


@contextmanager
def launched(run: Callable[..., Any], *arguments: Any, count: int = 2) -> Iterator[list[Forked]]:
    """The processes of one job, by rank, in the environment that torchrun gives them."""
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)  # they meet there, as at torchrun's agent
    job = {
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(store.port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",
        "TORCHELASTIC_RESTART_COUNT": "0",
    }
    ranks = [{"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(count)]
    with ExitStack() as stack:
        yield [stack.enter_context(Forked(run, *arguments, environment={**job, **rank})) for rank in ranks]
