"""Tiny feature extractors of sounds in ONNX files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

KERNEL, STRIDE = 80, 40


def weights(channels: int) -> np.ndarray:
    """(channels, 1, 80) float32"""
    return np.random.default_rng(channels).normal(0, 0.2, (channels, 1, KERNEL)).astype(np.float32)


def save_frames(path: Path, channels: int = 6) -> Path:
    """A convolution of the waveform (1, samples): frames (1, frames, channels)."""
    onnx = _onnx()
    nodes = [
        onnx.helper.make_node("Unsqueeze", ["wave", "axis"], ["one"]),
        onnx.helper.make_node("Conv", ["one", "weights"], ["bands"], strides=[STRIDE]),
        onnx.helper.make_node("Transpose", ["bands"], ["frames"], perm=[0, 2, 1]),
    ]
    constants = {"axis": np.array([1], np.int64), "weights": weights(channels)}
    return _save(path, nodes, constants, ["wave", (None, None)], ["frames", (None, None, channels)])


def save_window_means(path: Path) -> Path:
    """The mean over the frames of each window (windows, frames, bands): (windows, bands)."""
    onnx = _onnx()
    nodes = [onnx.helper.make_node("ReduceMean", ["windows"], ["means"], axes=[1], keepdims=0)]
    return _save(path, nodes, {}, ["windows", (None, None, None)], ["means", (None, None)])


def _save(path: Path, nodes: list[Any], constants: dict[str, np.ndarray], given: list[Any], found: list[Any]) -> Path:
    onnx = _onnx()
    ends = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name, shape in (given, found)]
    kept = [onnx.numpy_helper.from_array(values, name) for name, values in constants.items()]
    graph = onnx.helper.make_graph(nodes, "tiny", ends[:1], ends[1:], kept)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString())
    return path


def _onnx() -> Any:
    return pytest.importorskip("onnx", reason="tiny ONNX files are written by the package onnx")
