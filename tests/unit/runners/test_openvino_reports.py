"""OpenVINO's converter reports each conversion over the network unless it is kept from it."""

from __future__ import annotations

import subprocess
import sys

CONVERTS = """
import multiprocessing, sys, torch
from headstart.runners import _openvino_graph
import openvino

import pytest

pytestmark = pytest.mark.slow
openvino.convert_model(torch.nn.Linear(2, 2), example_input=torch.zeros(1, 2))
print("openvino_telemetry" in sys.modules, multiprocessing.active_children())
"""


def test_a_conversion_reports_nothing() -> None:
    answer = subprocess.run([sys.executable, "-c", CONVERTS], capture_output=True, text=True, check=True)
    assert answer.stdout.split("\n")[-2] == "False []"
