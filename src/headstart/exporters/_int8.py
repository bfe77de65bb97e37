"""int8 by NNCF: convolutions and products quantised after training, ranges from real inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headstart.contracts.exporter import CannotExport
from headstart.exporters._tracing import naming_faults, quiet
from headstart.kernel.openvino_library import library


def quantised(model: Any, batches: Sequence[Any]) -> Any:
    """Return an OpenVINO or ONNX model in int8. Raises CannotExport without NNCF."""
    try:
        nncf = library("nncf")
    except ImportError as error:
        raise CannotExport(f'int8 needs NNCF ({error}): pip install "headstart[int8]"') from error
    with naming_faults("NNCF"), quiet():
        found: Any = nncf.quantize(
            model, nncf.Dataset(batches), preset=nncf.QuantizationPreset.MIXED, subset_size=len(batches)
        )
    return found
