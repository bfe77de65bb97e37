"""A conversion in a new process: it reports nothing over the network, and leaves nothing in PyTorch's memory."""

from __future__ import annotations

import multiprocessing
import sys
from pathlib import Path

import pytest
import torch

from forked_processes import Forked


def convert() -> None:
    """Print whether there is something that could report, and whether a process was started for it."""
    assert "openvino" not in sys.modules
    from headstart.runners import _openvino_graph

    _openvino_graph.openvino.convert_model(torch.nn.Linear(2, 2), example_input=torch.zeros(1, 2))
    print("openvino_telemetry" in sys.modules, multiprocessing.active_children())


def convert_and_script() -> None:
    """Print how many traced classes a conversion leaves, and what a module gives that was scripted before another."""
    from small_segments import CPU, Pictures, pictures

    from headstart.runners.openvino import OpenVino

    def converted() -> int:
        OpenVino().start(Pictures(), pictures(3), CPU)
        return len(torch.jit._recursive.concrete_type_store.methods_compiled)

    left, script = converted(), torch.jit.script(torch.nn.Sequential(torch.nn.ReLU()))
    converted()
    again = torch.jit.script(torch.nn.Sequential(script, torch.nn.ReLU()))
    print(left, again(torch.ones(1)).item())


@pytest.mark.slow
def test_a_conversion_leaves_no_trace_and_scripts_of_others_go_on(tmp_path: Path) -> None:
    with Forked(convert_and_script, environment={"HEADSTART_CACHE": str(tmp_path)}) as process:
        assert process.wait() == 0, process.err
        assert process.out.split("\n")[-2] == "0 1.0"


@pytest.mark.slow
def test_a_conversion_reports_nothing() -> None:
    with Forked(convert) as process:
        assert process.wait() == 0, process.err
        assert process.out.split("\n")[-2] == "False []"
