"""OpenVINO: the segment as one compiled graph on the CPU, in bfloat16 where the processor computes in it.

The graph takes batches of any size and texts of any length, and gives taps beside the features. Two cores with
AVX512-BF16 run ResNets and MobileNets about five times as fast as plain PyTorch, vision transformers three times.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from types import ModuleType
from typing import Any, ClassVar, Literal

from pydantic import AliasChoices, Field
from torch import nn

from headstart.contracts.carriers import State
from headstart.contracts.runner import CannotRun, Execute
from headstart.kernel.settings import Settings


class OpenVino(Settings):
    """Runs a segment through OpenVINO."""

    computes_in: Literal["bfloat16", "float32", "int8"] = Field(
        "float32", validation_alias=AliasChoices("computes_in", "precision")
    )
    """'bfloat16', twice as fast where the processor has it and within 1 % for most models; 'float32'; or 'int8', with
    ranges by NNCF from the first batch that this machine sees, rarely precise enough. Also called `precision`."""

    plain: ClassVar[bool] = False

    @property
    def precision(self) -> str:
        """As `computes_in`."""
        return self.computes_in

    @classmethod
    def variants(cls, device: Any) -> Sequence[OpenVino]:
        """On the CPU, where OpenVINO can be loaded: bfloat16 if the processor has it, then float32."""
        if device.type != "cpu":
            return ()
        try:
            half = _graphs().has_bfloat16()
        except CannotRun:
            return ()
        return (*((cls(computes_in="bfloat16"),) if half else ()), cls())

    def setup_seconds(self, device: Any) -> float:  # noqa: ARG002
        """Converting and compiling."""
        return 2.0

    def start(self, segment: nn.Module, example: State, device: Any, key: str | None = None) -> Execute:
        """Compile the segment, or take what was compiled under `key`.

        Raises:
            CannotRun: OpenVINO or NNCF cannot be loaded, an operation is not known, or the processor lacks bfloat16.
        """
        if device.type != "cpu":
            raise CannotRun(f"OpenVINO runs on the CPU here, not on {device}")
        graphs = _graphs()
        if self.computes_in == "bfloat16" and not graphs.has_bfloat16():
            raise CannotRun("this processor does not compute in bfloat16")
        started: Execute = graphs.started(segment.to(device).eval(), example, self.computes_in, key)
        return started


def _graphs() -> ModuleType:
    """The part that needs OpenVINO, loaded when it is asked for. Raises CannotRun."""
    try:
        return import_module("headstart.runners._openvino_graph")
    except ImportError as error:
        raise CannotRun(f'OpenVINO cannot be loaded ({error}): pip install "openvino>=2025"') from error
