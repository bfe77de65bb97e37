"""Precision: in how many bits the products of a network are computed. Weights, optimiser and losses stay in float32.

Micikevicius et al. 2018 ("Mixed precision training"); bfloat16 has the range of float32, so no loss needs scaling.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal

import torch

from headstart.kernel.processor import computes_bfloat16

Precision = Literal["float32", "bfloat16"]


def has_native_bfloat16(device: torch.device) -> bool:
    """Return True for a device that computes in bfloat16 natively, which saves time."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and computes_bfloat16()


def chosen_precision(wanted: str, device: torch.device) -> Precision:
    """Return the precision that 'auto', 'float32' or 'bfloat16' means on a device; only 'auto' depends on it."""
    if wanted == "auto":
        return "bfloat16" if has_native_bfloat16(device) else "float32"
    return "bfloat16" if wanted == "bfloat16" else "float32"


def computing_in(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """Within it matrix products and convolutions are computed in `precision`."""
    return torch.autocast(device.type, torch.bfloat16) if precision == "bfloat16" else nullcontext()


def precision_in_use(execution: Mapping[str, Any], device: torch.device) -> Precision:
    """In which a model with this `Model.execution` computes where it is used, as far as the device has it."""
    return "bfloat16" if execution.get("precision") == "bfloat16" and has_native_bfloat16(device) else "float32"
