"""Readers that worker processes can import, some of which do not survive certain inputs."""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from headstart.contracts.examples import Raw
from headstart.kernel.errors import DataError
from headstart.media.images import decode_image

SIDE = 16


@dataclass(frozen=True)
class Letters:
    """The first four letters of a text; 'bad' cannot be read, and some texts are the end of the process.

    Where it ends also in the parent's process a test would end with it: so only with `parent` unlike this process.
    """

    parent: int = 0
    nbytes: int = 4

    def __call__(self, raw: Raw) -> np.ndarray:
        text = str(raw)
        if text.startswith("bad"):
            raise DataError(f"is bad: {text}")
        if text.startswith("loud"):
            print("a decoder says something", flush=True)
            os.write(1, b"and its library too\n")
        if os.getpid() != self.parent:
            if text.startswith("exit"):
                os._exit(3)
            if text.startswith("kill"):
                os.kill(os.getpid(), signal.SIGKILL)
        return np.frombuffer(text.encode().ljust(4)[:4], np.uint8)


@dataclass(frozen=True)
class Waiting:
    """The first four letters of a text, once a file exists; another file says that it waits."""

    begun: Path
    go_on: Path
    nbytes: int = 4

    def __call__(self, raw: Raw) -> np.ndarray:
        self.begun.touch()
        while not self.go_on.exists():
            time.sleep(0.01)
        return Letters()(raw)


@dataclass(frozen=True)
class ProcessAndModules:
    """The number of the process and whether it has a module, as eight bytes."""

    nbytes: int = 8

    def __call__(self, raw: Raw) -> np.ndarray:
        return np.array([os.getpid(), int(str(raw) in sys.modules)], np.uint32).view(np.uint8)


@dataclass(frozen=True)
class Unreachable:
    """Cannot be unpickled in another process."""

    parent: int
    nbytes: int = 4

    def __reduce__(self) -> tuple[object, ...]:
        return _only_here, (self.parent,)

    def __call__(self, raw: Raw) -> np.ndarray:
        return Letters(self.parent)(raw)


def _only_here(parent: int) -> Unreachable:
    if os.getpid() != parent:
        raise ImportError("no such module in this process")
    return Unreachable(parent)


@dataclass(frozen=True)
class Pictures:
    """Pictures of 16 x 16; a file whose name begins with 'crash' is the end of a process that is not the parent."""

    parent: int = 0
    nbytes: int = SIDE * SIDE * 3

    def __call__(self, raw: Raw) -> np.ndarray:
        assert isinstance(raw, Path)
        if raw.name.startswith("crash") and os.getpid() != self.parent:
            os.kill(os.getpid(), signal.SIGKILL)
        return np.asarray(decode_image(raw).resize((SIDE, SIDE)))
