"""Starting a runner only where it gives what plain PyTorch gives.

On first use with some weights a runner's results are compared with plain PyTorch's in float32 on the same real inputs,
in two sizes of batch: each kind of feature at most 1 % off. Features that only feed probes and evidence may also be as
far off as 1.5 times what PyTorch's own bfloat16 is on these inputs. What came of it is remembered by weights, machine
and versions.
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

TIMES_AUTOCAST = 1.5
"""The same as a multiple of the difference of PyTorch's own bfloat16, where features only feed probes and evidence."""

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
    by_use: bool = False,
) -> Execute:
    """The runner's execution of a segment, compared with plain PyTorch on `state` unless it was before.

    Args:
        segment: in evaluation mode once this returns.
        state: a real prepared batch.
        key: names the segment with its weights and preparation.
        reference: plain PyTorch's result on `state`, where others are held against it too.
        by_use: whether the features only feed probes and evidence.

    Raises:
        CannotRun: the runner does not take the segment; as `Differs` where its features are too far off.
    """
    if runner.plain:
        return runner.start(segment, state, device)
    key = hash_json([key, here(device)])
    use = ["by use"] if by_use else []
    disk_cache, name = DiskCache(MEMO), hash_json([key, described(runner), *use]).encode()
    kept = disk_cache.get([name]).get(name)
    known = None if kept is None else json.loads(kept)
    if known is not None and known["fault"]:
        raise Differs(**known)
    execute = runner.start(segment, state, device, key)
    if known is None:
        reference = reference or ReferenceResult(plain_runner().start(segment, state, device), state, device)
        fault, far = _fault(execute, segment, reference, by_use=by_use)
        disk_cache.put({name: json.dumps({"fault": fault, "far": far}).encode()})
        if fault:
            raise Differs(fault, far)
    return execute


def difference(found: State, expected: State, segment: FrozenSegment) -> float:
    """The largest relative error among all kinds of features, padding left out; NaN where there is one."""
    return float(np.max([*differences(found, expected, segment).values()]))


def differences(found: State, expected: State, segment: FrozenSegment) -> dict[str, float]:
    """The relative error of each kind of feature."""
    ours, plain = (take_apart(state, segment.keep) for state in (found, expected))
    return {name: _error(values_of(ours[name]), values_of(column)) for name, column in plain.items()}


def _fault(execute: Execute, segment: FrozenSegment, reference: ReferenceResult, *, by_use: bool) -> tuple[str, float]:
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
        errors = differences(found, reference.result(number), segment)
        far = float(np.max([*errors.values()]))
        if not np.isfinite(far):
            return "its features hold NaN or have another shape than plain PyTorch's", 0.0
        if far > MOST_DIFFERENCE:
            if not by_use:
                return f"its features differ from plain PyTorch's by {percent(far)}, more than 1 %", far
            usual = differences(reference.autocast(number), reference.result(number), segment)
            if fault := _beyond_autocast(errors, usual):
                return fault, far
    return "", 0.0


def _beyond_autocast(errors: Mapping[str, float], usual: Mapping[str, float]) -> str:
    """Return which error is more than 1 % and more than 1.5 times that of PyTorch's own bfloat16; '' where none is."""
    for name, far in errors.items():
        if far > max(MOST_DIFFERENCE, TIMES_AUTOCAST * usual[name]):
            own = f"more than {TIMES_AUTOCAST} times the {percent(usual[name])} of PyTorch's own bfloat16"
            return f"its features differ from plain PyTorch's by {percent(far)}, {own}"
    return ""


def percent(share: float) -> str:
    """A share in words, as '4.72 %'."""
    return f"{100 * share:.2f} %"


def _error(found: np.ndarray, expected: np.ndarray) -> float:
    if found.shape != expected.shape:
        return np.inf
    if not np.issubdtype(expected.dtype, np.floating):
        return 0.0 if np.array_equal(found, expected) else np.inf
    norm = float(np.linalg.norm(expected.astype(np.float64)))
    return float(np.linalg.norm(found.astype(np.float64) - expected)) / max(norm, 1e-12)
