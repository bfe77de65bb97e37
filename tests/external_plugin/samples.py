"""Small inputs of the plug-ins, for `tests/conformance`: HEADSTART_SAMPLES names this file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from headstart_series.ts_file import LIFETIME, SCHEMA

from headstart.contracts.examples import Examples
from headstart.contracts.format import Columns

WIDTH = 12


def series(length: int) -> tuple[float, ...]:
    """A noisy wave."""
    noise = np.random.default_rng(length).normal(0, 0.1, length)
    return tuple((np.sin(np.arange(length) / 3) + noise).tolist())


def modality(_: Path) -> dict[str, Any]:
    """As `Sample` of `test_modalities_conformance.py`."""
    rows = [list(series(length)) for length in (20, 30, 20, 9)]
    return {"columns": {"series": rows}, "flawed": {"series": [[1.0, float("nan")] * 5]}, "in_memory": rows[:2]}


def backbone(_: Path) -> dict[str, Any]:
    """As `Case` of `offline_backbones.py`."""
    raws = [series(length) for length in (20, 64, 90)]
    return {"settings": {"width": 8}, "raws": raws, "unreadable": [(), (1.0, float("nan"))], "fewest_boundaries": 2}


def format(folder: Path) -> dict[str, Any]:
    """As `Sample` of `test_formats_conformance.py`."""
    labels = ("412", "97.5+", "1200", "310+")
    lines = {
        "labelled": [f"{_written(length)}:{label}" for length, label in zip((12, 20, 9, 15), labels)],
        "unlabelled": [_written(length) for length in (12, 20, 9, 15)],
        "empty": [],
        "dirty": ["# a comment", f"{_written(12)}:97", "", f"{_written(9)}:31+", "# another"],
    }
    for name, content in lines.items():
        (folder / f"{name}.ts").write_text("\n".join(["@problemName engines", "@data", *content]) + "\n")
    return {**{name: folder / f"{name}.ts" for name in lines}, "columns": Columns(), "inputs": 4}


def task(rows: int) -> dict[str, Any]:
    """Examples, and features (rows, 12) in which their lifetimes can be found linearly."""
    draws = np.random.default_rng(0)
    logs = draws.normal(5.0, 0.6, rows)
    lifetimes = [{"time": float(np.exp(log)), "ended": bool(row % 4)} for row, log in enumerate(logs)]
    table = pa.table(
        {
            "series": [series(8 + row) for row in range(rows)],
            "lifetime": pa.array(lifetimes, LIFETIME),
            "origin": [f"row-{row}" for row in range(rows)],
        }
    )
    features = draws.normal(0, 0.3, (rows, WIDTH)).astype(np.float32)
    features[:, 0] += (logs - 5.0) / 0.6
    return {"examples": Examples(table, SCHEMA), "features": features}


SAMPLES: dict[tuple[str, str], Callable[..., dict[str, Any]]] = {
    ("modalities", "series"): modality,
    ("formats", "ts_file"): format,
    ("backbones", "spectrum"): backbone,
    ("tasks", "lifetimes"): task,
}


def _written(length: int) -> str:
    return ",".join(f"{value:.4f}" for value in series(length))
