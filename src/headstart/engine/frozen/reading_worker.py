"""A worker process: reads inputs for its parent until the parent is gone.

`python -m headstart.engine.frozen.reading_worker FD BYTES`. Requests and answers are pickles on standard input and
output, the first request being the reader; the arrays themselves go into the shared memory FD. The parent starts this
module and not itself again, so that a user's script needs no guard around its main part.
"""

from __future__ import annotations

import mmap
import os
import pickle
import signal
import sys
from typing import Any, BinaryIO

import numpy as np
import torch

from headstart.engine.frozen.reading import read_inputs

READY = "ready"


def main() -> None:
    """Serve until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears Ctrl-C and lets its workers go
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a decoder prints must not get among the answers
    shared = mmap.mmap(int(sys.argv[1]), int(sys.argv[2]))
    torch.set_num_threads(1)
    serve(requests, answers, shared)


def serve(requests: BinaryIO, answers: BinaryIO, shared: mmap.mmap) -> None:
    """Answer each list of inputs with (shape, dtype, failures), the arrays being in the shared memory."""
    reader = pickle.load(requests)
    _send(answers, READY)
    while True:
        try:
            raws = pickle.load(requests)
        except EOFError:
            return
        arrays, failures = read_inputs(reader, raws)
        room = np.frombuffer(shared, arrays.dtype, arrays.size).reshape(arrays.shape)
        room[...] = arrays
        _send(answers, (arrays.shape, arrays.dtype.str, failures))


def _send(answers: BinaryIO, message: Any) -> None:
    pickle.dump(message, answers)
    answers.flush()


if __name__ == "__main__":
    main()
