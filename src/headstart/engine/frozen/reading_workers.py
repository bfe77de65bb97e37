"""Worker processes that read inputs, each with a piece of shared memory for what it hands over.

A decoder that crashes takes its worker along, not the pass: the worker is replaced and its inputs are read again one by
one, so that the one at fault is named like any file that cannot be read.
"""

from __future__ import annotations

import mmap
import os
import pickle
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from queue import SimpleQueue
from types import TracebackType
from typing import Any

import numpy as np

from headstart.contracts.backbone import Reader
from headstart.contracts.examples import Raw
from headstart.engine.frozen.reading import Inputs, joined
from headstart.kernel.errors import HeadstartError
from headstart.kernel.progress import Quiet, Reporter

POSSIBLE = os.name == "posix"
"""Shared memory is handed to the worker as an open file, which Windows does not know."""

MODULE = "headstart.engine.frozen.reading_worker"
STOPPED = "stops the process that reads it"
PATIENCE_S = 2.0
"""What a worker gets to end by itself."""


class WorkerDied(Exception):
    """The process ended, or closed its pipes, before it answered."""


class ReadingWorkers:
    """Some workers; `read` may be called from as many threads. A context manager."""

    def __init__(self, reader: Reader, count: int, most: int, reporter: Reporter | None = None) -> None:
        """Up to `count` workers, started when they are needed, each with room for `most` inputs at once.

        `reporter` is told once when none can be started.
        """
        self._reporter = reporter or Quiet()
        self._told = False
        self._reader, self._most, self._bytes = pickle.dumps(reader), most, most * reader.nbytes
        self._idle: SimpleQueue[_Worker | None] = SimpleQueue()
        self._living: set[_Worker] = set()
        self._starting = threading.Lock()
        self._over = ""
        """Why no more are started."""
        for _ in range(count):
            self._idle.put(None)

    def __enter__(self) -> ReadingWorkers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._starting:
            self._over = "the pass has ended"
        for worker in self._living:
            worker.let_go()
        for worker in self._living:
            worker.end()

    def read(self, raws: Sequence[Raw]) -> Inputs:
        """Read inputs with one worker. Raises HeadstartError where none can be started."""
        if len(raws) > self._most:
            return joined([self.read(raws[start : start + self._most]) for start in range(0, len(raws), self._most)])
        worker = self._taken()
        left: _Worker | None = worker
        try:
            return worker.read(raws)
        except WorkerDied:
            left = None
            self._bury(worker)
            if len(raws) == 1:
                return Inputs(np.empty((0,), np.uint8), {0: STOPPED})
        finally:
            self._idle.put(left)
        return joined([self.read([raw]) for raw in raws])

    def _taken(self) -> _Worker:
        """An idle worker, or a new one in the place of one that died."""
        worker = self._idle.get()
        if worker is not None:
            return worker
        try:
            return self._started()
        except HeadstartError:
            self._idle.put(None)
            raise

    def _started(self) -> _Worker:
        with self._starting:
            if self._over:
                raise HeadstartError(self._over)
            try:
                worker = _Worker(self._reader, self._bytes)
            except OSError as error:
                raise self._none(f"no worker process can be started: {error.strerror or error}") from error
            self._living.add(worker)
            return worker

    def _bury(self, worker: _Worker) -> None:
        worker.end()
        with self._starting:
            self._living.discard(worker)
            if not worker.answered:
                self._over = f"worker processes end as soon as they are started: python -m {MODULE}"
                raise self._none(self._over)

    def _none(self, reason: str) -> HeadstartError:
        if not self._told:
            self._told = True
            self._reporter.say(f"Reading inputs without worker processes, which is slower: {reason}.")
        return HeadstartError(reason)


class _Worker:
    def __init__(self, reader: bytes, most_bytes: int) -> None:
        descriptor = _memory(most_bytes)
        try:
            self._shared = mmap.mmap(descriptor, most_bytes)
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", MODULE, str(descriptor), str(most_bytes)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=None if os.environ.get("HEADSTART_DEBUG") else subprocess.DEVNULL,
                pass_fds=(descriptor,),
                env={**os.environ, "PYTHONPATH": _search_path(), "OMP_NUM_THREADS": "1"},
                start_new_session=True,
            )
        finally:
            os.close(descriptor)
        self.answered = False
        self._hello: bytes | None = reader

    def read(self, raws: Sequence[Raw]) -> Inputs:
        if self._hello is not None:
            self._write(self._hello)
            self._answer()
            self._hello, self.answered = None, True
        self._write(pickle.dumps(list(raws)))
        shape, dtype, failures = self._answer()
        count = int(np.prod(shape))
        # a copy, for the worker writes its next answer to the same place
        return Inputs(np.frombuffer(self._shared, dtype, count).reshape(shape).copy(), failures)

    def let_go(self) -> None:
        """Have it end by itself."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):  # what it did not take any more
                    pipe.close()

    def end(self) -> None:
        """Let it go; kill it where it does not go by itself."""
        self.let_go()
        try:
            self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._shared.close()

    def _write(self, message: bytes) -> None:
        pipe = self._process.stdin
        try:
            if pipe is None:
                raise WorkerDied
            pipe.write(message)
            pipe.flush()
        except (OSError, ValueError) as error:
            raise WorkerDied from error

    def _answer(self) -> Any:
        pipe = self._process.stdout
        try:
            if pipe is None:
                raise WorkerDied
            return pickle.load(pipe)
        except (EOFError, OSError, ValueError, pickle.UnpicklingError) as error:
            raise WorkerDied from error


def _search_path() -> str:
    """Where this process looks for modules; the worker (-P) looks nowhere else, as in the folder of somebody's data."""
    return os.pathsep.join(map(os.path.abspath, sys.path))


def _memory(size: int) -> int:
    """An open file of `size` bytes that lies in no folder."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("headstart")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, size)
    return descriptor
