"""Device: where tensors run, how much of the machine there is, and what a record says about it."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from headstart.contracts.carriers import State
from headstart.engine.launch import local_rank
from headstart.engine.pieces import in_pieces, joined
from headstart.kernel.errors import SettingsError, first_line
from headstart.kernel.processor import cores

LIBRARIES = (
    "headstart",
    "torch",
    "torchvision",
    "timm",
    "openvino",
    "simplejpeg",
    "transformers",
    "accelerate",
    "numpy",
    "scikit-learn",
    "pyarrow",
    "pandas",
    "pillow",
)
"""The libraries whose versions belong in a record."""


def pick_device() -> torch.device:
    """`HEADSTART_DEVICE`, else the best there is in accelerate's order: cuda, mps, cpu.

    Under a launcher each process gets the GPU of its local rank.

    Raises:
        SettingsError: the variable names no device, or one that this machine lacks.
    """
    given = os.environ.get("HEADSTART_DEVICE")
    if given:
        return _checked(given)
    if torch.cuda.is_available():
        return torch.device("cuda", local_rank() % torch.cuda.device_count())
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def _checked(given: str) -> torch.device:
    try:
        device = torch.device(given)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, ImportError) as error:  # whatever a build without that device raises
        raise SettingsError(
            f"HEADSTART_DEVICE={given} cannot be used: {first_line(error)}. Use cpu, cuda, cuda:1 or mps."
        ) from error
    return device


def usual_batch_size(device: torch.device) -> int:
    """Return the default number of examples of usual length that are run at once."""
    return 32 if device.type == "cpu" else 128


def run_halving(execute: Callable[[State], State], state: State) -> State:
    """Run a batch; where the device's memory is too small for it, in halves.

    Raises:
        torch.OutOfMemoryError: a single example does not fit.
    """
    try:
        return execute(state)
    except torch.OutOfMemoryError:
        size = len(state.hidden)
        if size == 1:
            raise
    torch.cuda.empty_cache()
    return joined([run_halving(execute, part) for part in in_pieces(state, 2)])


def machine() -> dict[str, str]:
    """{"processor", "cores", "memory", "gpus", "system", "python"}: for a record; unknown is ''."""
    return {
        "processor": _processor(),
        "cores": str(cores()),
        "memory": _memory(),
        "gpus": ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())),
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def versions() -> dict[str, str]:
    """Library -> installed version; what is not installed is left out."""
    return dict(_versions())


@cache
def _versions() -> dict[str, str]:
    """Read once: the files of every package would be looked through each time."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory() -> str:
    try:
        return f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 1e9:.0f} GB"
    except (AttributeError, OSError, ValueError):  # no POSIX system
        return ""
