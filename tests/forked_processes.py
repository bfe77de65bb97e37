"""Real processes that begin at once: forks of a server that has imported what tests need.

Each has its own memory, signals, folder and environment, as one that a user starts; it is only spared the seconds that
importing takes. What happens while a process starts is tested with a fresh interpreter.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    ["pytest", "timm", "torch._dynamo", "headstart.cli", "headstart.product.fit", "headstart.product.pretrain"]
)

SECONDS = 300.0
"""How long a process may take on the slowest machine."""


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
        descriptor, name = tempfile.mkstemp()
        os.close(descriptor)
        self._said = Path(name)
        given = {**os.environ, **(environment or {})}
        self._process = _CONTEXT.Process(target=_begin, args=(given, leads, name, run, arguments))
        self._process.start()

    def __enter__(self) -> Forked:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.join()
        self._said.unlink()

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid or 0

    @property
    def said(self) -> str:
        """What it has written to its standard output and error."""
        return self._said.read_text()

    def alive(self) -> bool:
        """Whether it runs still."""
        return self._process.is_alive()

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def wait(self) -> int:
        """Its exit code; that of one that a signal ended is the signal's number below zero."""
        self._process.join(SECONDS)
        assert self._process.exitcode is not None, f"it does not end: {self.said}"
        return self._process.exitcode


def _begin(
    environment: dict[str, str], leads: bool, said: str, run: Callable[..., Any], arguments: tuple[Any, ...]
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    if leads:
        os.setsid()
    file = os.open(said, os.O_WRONLY | os.O_APPEND)
    for standard in (1, 2):
        os.dup2(file, standard)
    run(*arguments)
