"""OpenVINO as everybody here uses it: without its reports over the network, and with one core per process."""

from __future__ import annotations

import sys
from functools import cache
from importlib import import_module
from typing import Any


def library(name: str = "openvino") -> Any:
    """Load the package, or NNCF, without what would report each conversion over the network. Raises ImportError."""
    reports = "openvino_telemetry"
    absent = sys.modules.setdefault(reports, None) is None  # type: ignore[arg-type]
    try:
        return import_module(name)
    finally:
        if absent:
            del sys.modules[reports]


@cache
def core() -> Any:
    """OpenVINO's core: one per process, kept to its end. Raises ImportError.

    Its plug-in for processors gives the thread that loads it a stack for signals (AMX needs a large one) and takes it
    away with the core. Of two cores that go in the order in which they came, the second puts the stack of the first
    back, whose memory is gone: the next signal, such as Ctrl-C, would end the process (SIGSEGV).

    It reads files whole: if mapped weights were replaced on disk, the process would end too (SIGBUS).
    """
    made = library().Core()
    made.set_property({"ENABLE_MMAP": False})
    made.get_property("CPU", "FULL_DEVICE_NAME")  # loads the plug-in, before any of somebody else's cores does
    return made
