"""OpenVINO's converter reports each conversion over the network unless it is kept from it."""

from __future__ import annotations

import multiprocessing
import sys

import pytest
import torch

from forked_processes import Forked


def convert() -> None:
    """Print whether there is something that could report, and whether a process was started for it."""
    assert "openvino" not in sys.modules
    from headstart.runners import _openvino_graph

    _openvino_graph.openvino.convert_model(torch.nn.Linear(2, 2), example_input=torch.zeros(1, 2))
    print("openvino_telemetry" in sys.modules, multiprocessing.active_children())


@pytest.mark.slow
def test_a_conversion_reports_nothing() -> None:
    with Forked(convert) as process:
        assert process.wait() == 0, process.err
        assert process.out.split("\n")[-2] == "False []"
