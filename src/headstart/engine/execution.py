"""Starting a runner only where it gives what plain PyTorch gives.

On first use with some weights a runner's results are compared with plain PyTorch's in float32 on the same real inputs,
in two sizes of batch. What it has passed is remembered by weights, machine and versions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from headstart.contracts.carriers import LENGTH_MASK, State
from headstart.contracts.runner import CannotRun, Execute, Runner
from headstart.engine.columns import values_of
from headstart.engine.device import machine, run_halving, versions
from headstart.engine.kept import KeptSegment, take_apart
from headstart.engine.memo import Memo
from headstart.kernel import registry
from headstart.kernel.files import hash_json
from headstart.kernel.settings import Settings, build

MOST_DIFFERENCE = 0.01
"""Norm of the difference to plain PyTorch as a share of the norm, of each kind of feature."""

MEMO = "parity-1"


class Differs(CannotRun):
    """A runner's features are too far from plain PyTorch's."""


def described(runner: Runner) -> dict[str, Any]:
    """{"plugin", "settings"} of a runner, as JSON values."""
    settings: Settings = runner  # type: ignore[assignment]
    return {"plugin": registry.name_of(settings), "settings": settings.model_dump(mode="json")}


def runner_of(execution: Mapping[str, Any]) -> Runner:
    """The runner of a saved model's features. Raises SettingsError where this Headstart has none of that name."""
    kind = registry.plugin("runners", execution["runner"])
    return build(kind, execution.get("runner_settings", {}), where="runner")


def plain_runner() -> Runner:
    """The runner that is plain PyTorch."""
    kinds = (registry.plugin("runners", name) for name in registry.names("runners"))
    return next(kind() for kind in kinds if kind.plain)


def here(device: torch.device) -> dict[str, Any]:
    """What beside weights and inputs decides how a runner computes: the machine and the libraries."""
    computer = {name: value for name, value in machine().items() if name != "memory"}
    return {"machine": computer, "versions": versions(), "device": str(device)}


def started(runner: Runner, segment: KeptSegment, state: State, device: torch.device, key: str) -> Execute:
    """The runner's execution of a segment, compared with plain PyTorch on `state` unless it was before.

    Args:
        segment: in evaluation mode once this returns.
        state: a real prepared batch.
        key: names the segment with its weights and preparation.

    Raises:
        CannotRun: the runner does not take the segment; as `Differs` where its features are more than 1 % off.
    """
    execute = runner.start(segment, state, device, key)
    if runner.plain:
        return execute
    memo, name = Memo(MEMO), hash_json([key, described(runner), here(device)]).encode()
    if name not in memo.get([name]):
        _compare(runner, execute, segment, state, device)
        memo.put({name: b"1"})
    return execute


def difference(found: State, expected: State, segment: KeptSegment) -> float:
    """The largest relative error among all kinds of features, padding left out."""
    ours, plain = (take_apart(state, segment.keep) for state in (found, expected))
    errors = [_error(values_of(ours[name]), values_of(column)) for name, column in plain.items()]
    return max(errors, default=0.0)


def _compare(runner: Runner, execute: Execute, segment: KeptSegment, state: State, device: torch.device) -> None:
    plain = plain_runner().start(segment, state, device)
    for batch in (state, _smaller(state)):
        error = difference(run_halving(execute, batch), run_halving(plain, batch), segment)
        if not error <= MOST_DIFFERENCE:
            raise Differs(
                f"in {runner.precision} its features differ from plain PyTorch's by {error:.1%}, more than "
                f"{MOST_DIFFERENCE:.0%}"
            )


def _error(found: np.ndarray, expected: np.ndarray) -> float:
    if not np.issubdtype(expected.dtype, np.floating):
        return 0.0 if np.array_equal(found, expected) else np.inf
    norm = float(np.linalg.norm(expected.astype(np.float64)))
    return float(np.linalg.norm(found.astype(np.float64) - expected)) / max(norm, 1e-12)


def _smaller(state: State) -> State:
    """The last third of a batch, texts without the padding that the others needed."""
    last = slice(-max(1, len(state.hidden) // 3), None)
    hidden, context = state.hidden[last], {name: value[last] for name, value in state.context.items()}
    if LENGTH_MASK in context:
        longest = max(1, int((context[LENGTH_MASK] != 0).sum(dim=1).max()))
        hidden, context = hidden[:, :longest], _cut(context, longest)
    return State(hidden, context)


def _cut(context: Mapping[str, torch.Tensor], length: int) -> dict[str, torch.Tensor]:
    return {name: value[:, :length] if value.ndim >= 2 else value for name, value in context.items()}
