"""Starting a runner only where it gives what plain PyTorch gives.

On first use with some weights a runner's results are compared with plain PyTorch's in float32 on the same real inputs,
in two sizes of batch. What came of it is remembered by weights, machine and versions.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from headstart.contracts.carriers import State
from headstart.contracts.runner import CannotRun, Execute, Runner
from headstart.engine.device import machine, run_halving, versions
from headstart.engine.frozen.disk_cache import DiskCache
from headstart.engine.frozen.feature_spec import FrozenSegment, take_apart
from headstart.engine.frozen.reference_result import ReferenceResult
from headstart.engine.store.columns import values_of
from headstart.kernel import registry
from headstart.kernel.errors import first_line
from headstart.kernel.files import hash_json
from headstart.kernel.settings import Settings
from headstart.kernel.user_settings import build

MOST_DIFFERENCE = 0.01
"""Norm of the difference to plain PyTorch as a share of the norm, of each kind of feature."""

MEMO = "parity-3"

TOO_COARSE = 3 * MOST_DIFFERENCE
"""A difference that is not the runner's but its precision's, for these weights: others in it need not be tried."""


class Differs(CannotRun):
    """A runner's features are too far from plain PyTorch's."""

    def __init__(self, fault: str, far: float) -> None:
        """`far`: the difference as a share of the norm; 0 where there is no such number."""
        super().__init__(fault)
        self.far = far


def described(runner: Runner) -> dict[str, Any]:
    """{"plugin", "settings"} of a runner, as JSON values."""
    settings: Settings = runner  # type: ignore[assignment]
    return {"plugin": registry.name_of(settings), "settings": settings.model_dump(mode="json")}


def in_words(runner: Runner) -> str:
    """A runner in words, as 'openvino, bfloat16'."""
    return f"{described(runner)['plugin']}, {runner.precision}"


def runner_of(execution: Mapping[str, Any]) -> Runner:
    """The runner of a saved model's features; a model of before runners had settings has none to go by.

    Raises:
        SettingsError: this Headstart has none of that name, or not with those settings.
    """
    kind, settings = registry.plugin("runners", str(execution.get("runner"))), execution.get("runner_settings", {})
    return build(kind, settings if isinstance(settings, Mapping) else {"settings": settings}, where="runner")


def plain_runner() -> Runner:
    """The runner that is plain PyTorch."""
    kinds = (registry.plugin("runners", name) for name in registry.names("runners"))
    return next(kind() for kind in kinds if kind.plain)


def here(device: torch.device) -> dict[str, Any]:
    """Return everything beside weights and inputs that decides how a runner computes: the machine and the libraries."""
    computer = {name: value for name, value in machine().items() if name != "memory"}
    return {"machine": computer, "versions": versions(), "device": str(device)}


def started(
    runner: Runner,
    segment: FrozenSegment,
    state: State,
    device: torch.device,
    key: str,
    reference: ReferenceResult | None = None,
) -> Execute:
    """The runner's execution of a segment, compared with plain PyTorch on `state` unless it was before.

    Args:
        segment: in evaluation mode once this returns.
        state: a real prepared batch.
        key: names the segment with its weights and preparation.
        reference: plain PyTorch's result on `state`, where others are held against it too.

    Raises:
        CannotRun: the runner does not take the segment; as `Differs` where its features are more than 1 % off.
    """
    if runner.plain:
        return runner.start(segment, state, device)
    key = hash_json([key, here(device)])
    disk_cache, name = DiskCache(MEMO), hash_json([key, described(runner)]).encode()
    kept = disk_cache.get([name]).get(name)
    known = None if kept is None else json.loads(kept)
    if known is not None and known["fault"]:
        raise Differs(**known)
    execute = runner.start(segment, state, device, key)
    if known is None:
        fault, far = _fault(
            execute, segment, reference or ReferenceResult(plain_runner().start(segment, state, device), state)
        )
        disk_cache.put({name: json.dumps({"fault": fault, "far": far}).encode()})
        if fault:
            raise Differs(fault, far)
    return execute


def difference(found: State, expected: State, segment: FrozenSegment) -> float:
    """The largest relative error among all kinds of features, padding left out; NaN where there is one."""
    ours, plain = (take_apart(state, segment.keep) for state in (found, expected))
    return float(np.max([_error(values_of(ours[name]), values_of(column)) for name, column in plain.items()]))


def _fault(execute: Execute, segment: FrozenSegment, reference: ReferenceResult) -> tuple[str, float]:
    """Return how the execution differs from plain PyTorch, on the batch and on another batch size; '' if it agrees.

    With it how far it is off, as a share of the norm; 0 where there is no such number.

    Raises:
        CannotRun: it fails.
    """
    for number, batch in enumerate(reference.batches):
        try:
            found = run_halving(execute, batch)
        except RuntimeError as error:
            shape = tuple(batch.hidden.shape)
            raise CannotRun(f"it fails on a batch of shape {shape}: {first_line(error)}") from error
        far = difference(found, reference.result(number), segment)
        if not np.isfinite(far):
            return "its features hold NaN or have another shape than plain PyTorch's", 0.0
        if far > MOST_DIFFERENCE:
            most = f"{100 * MOST_DIFFERENCE:.0f} %"
            return f"its features differ from plain PyTorch's by {100 * far:.2f} %, more than {most}", far
    return "", 0.0


def _error(found: np.ndarray, expected: np.ndarray) -> float:
    if found.shape != expected.shape:
        return np.inf
    if not np.issubdtype(expected.dtype, np.floating):
        return 0.0 if np.array_equal(found, expected) else np.inf
    norm = float(np.linalg.norm(expected.astype(np.float64)))
    return float(np.linalg.norm(found.astype(np.float64) - expected)) / max(norm, 1e-12)
