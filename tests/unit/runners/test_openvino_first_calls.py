"""OpenVINO in a new process: its first call is made by one thread alone, for two would wait for each other for good."""

from __future__ import annotations

import subprocess
import sys

import pytest

from quiet_openvino import library_or_skip

library_or_skip()

SCRIPT = """
from concurrent.futures import ThreadPoolExecutor
from threading import Semaphore
import torch
from headstart.contracts.carriers import State
from headstart.runners._flat import Signature
from headstart.runners._openvino_graph import Execution

inside = Semaphore(0)
overlaps = []

class Request:
    def infer(self, inputs, **_):
        if not overlaps:
            overlaps.append(inside.acquire(timeout=1))  # waits for another thread to come in
        inside.release()
        return inputs

class Compiled:
    def get_property(self, name):
        return 2

    def create_infer_request(self):
        return Request()

execute = Execution(Compiled(), Signature((), ("hidden",), ()))
list(ThreadPoolExecutor(2).map(execute, [State(torch.ones(1, 2))] * 2))
print(overlaps)
"""


@pytest.mark.slow
def test_the_first_call_is_alone() -> None:
    ended = subprocess.run([sys.executable, "-c", SCRIPT], timeout=120, capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["[False]"]
