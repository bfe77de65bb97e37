"""The pieces of a frozen pass, each timed alone: reading pictures on one core, and the network on prepared pixels."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch

from headstart.contracts.backbone import Backbone, Reader
from headstart.contracts.carriers import State
from headstart.contracts.runner import Runner
from headstart.engine.device import cores
from headstart.engine.kept import KeptSegment, Wish
from headstart.engine.pass_key import pass_key
from headstart.kernel.files import hash_json

BATCH = 32
CPU = torch.device("cpu")


def decoding(backbone: Backbone, paths: Sequence[Path]) -> float:
    """Seconds per picture, of one core."""
    reader = _reader(backbone)
    torch.set_num_threads(1)
    try:
        began = time.perf_counter()
        for path in paths:
            reader(path)
        return (time.perf_counter() - began) / len(paths)
    finally:
        torch.set_num_threads(cores())


def running(backbone: Backbone, paths: Sequence[Path], runner: Runner, wish: Wish) -> float:
    """Seconds per picture of the network alone."""
    reader = _reader(backbone)
    batch = State(torch.from_numpy(np.stack([reader(path) for path in paths[:BATCH]])))
    segment, key = KeptSegment(backbone, wish), hash_json(pass_key(backbone, wish))
    execute = runner.start(segment, batch, CPU, key)
    with ThreadPoolExecutor(execute.at_once) as pool:
        for _ in pool.map(execute, [batch] * execute.at_once):
            pass
        began = time.perf_counter()
        rounds = max(execute.at_once, len(paths) // BATCH // 2)
        for _ in pool.map(execute, [batch] * rounds):
            pass
        return (time.perf_counter() - began) / (rounds * BATCH)


def _reader(backbone: Backbone) -> Reader:
    reader = backbone.reader()
    if reader is None:
        raise TypeError(f"{backbone.name} has no reader")
    return reader
