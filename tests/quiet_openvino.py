"""OpenVINO and NNCF as the package loads them: as they come, every conversion starts a process that would report it."""

from __future__ import annotations

from typing import Any

import pytest

from headstart.kernel.openvino_library import library


def library_or_skip(name: str = "openvino") -> Any:
    """Load it, or skip the test, or the file at whose top this is asked."""
    try:
        return library(name)
    except ImportError:
        pytest.skip(f"{name} is not installed", allow_module_level=True)
