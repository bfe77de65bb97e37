"""Signals after OpenVINO's models have gone: each core would leave a stack for them whose memory is gone."""

from __future__ import annotations

import gc
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

from forked_processes import Forked
from headstart.contracts.exporter import Graph
from headstart.engine.training.interruption import held_back
from headstart.exporters.openvino import OpenVinoFiles
from quiet_openvino import library_or_skip

pytestmark = pytest.mark.slow


def interrupt_after_models(folder: Path) -> None:
    """Print whether Ctrl-C is heard after models in float32 and in int8 have gone in the order in which they came."""
    example = torch.randn(4, 3)
    layers = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2)).eval()
    files = OpenVinoFiles()
    files.write(Graph(layers, ("given",), ("found",), (example,), ({0: "batch"},)), folder, "tracing")
    models = [files.open(folder, ["given"], ["found"]) for _ in range(3)]
    files.quantise(folder, [[example.numpy().astype(np.float32)]] * 4, ["given"])
    models.append(files.open(folder, ["given"], ["found"]))
    while models:
        assert models.pop(0)({"given": example.numpy()})["found"].shape == (4, 2)
        gc.collect()
    with held_back() as interruption:
        signal.raise_signal(signal.SIGINT)
    print(interruption.asked)


def test_ctrl_c_is_heard_after_models_have_gone(tmp_path: Path) -> None:
    library_or_skip("nncf")
    with Forked(interrupt_after_models, tmp_path) as process:
        assert process.wait() == 0, process.err
        assert process.out.split("\n")[-2] == "True"
