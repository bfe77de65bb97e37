"""Boundaries are proposed by a backbone's file and verified here, at load, before anything relies on them.

A boundary k holds when, in eager fp32 and on a batch with padding, `segment(0, k)` then `segment(k, end)` equals the
whole bit for bit and neither segment writes into its input. What does not hold is dropped: its two stages become one.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from importlib.metadata import version
from itertools import pairwise

import torch

from headstart.contracts.backbone import Backbone
from headstart.contracts.carriers import State
from headstart.contracts.network import Stage
from headstart.kernel.errors import HeadstartError
from headstart.kernel.files import hash_json, read_json, write_json
from headstart.kernel.folders import cache_folder


def failing_boundaries(backbone: Backbone, example: State) -> list[int]:
    """The inner boundaries that do not hold on `example`, a prepared batch of at least two inputs of unequal length.

    The answer is kept in the cache folder by architecture and library versions, as the check takes seconds.
    """
    libraries = {name: version(name) for name in ("headstart", "torch", "timm", "transformers")}
    key = hash_json([backbone.describe(), libraries, [stage.name for stage in backbone.stages]])
    kept = cache_folder() / "boundaries" / f"{key}.json"
    try:
        return list(read_json(kept))
    except (HeadstartError, OSError):
        failing = _check(backbone, example)
    with suppress(HeadstartError, OSError):  # a read-only cache costs time, not correctness
        write_json(kept, failing)
    return failing


def merged(stages: Sequence[Stage], failing: Collection[int]) -> list[tuple[int, int]]:
    """The (start, stop) of each stage that remains once failing boundaries are dropped."""
    kept = [k for k in range(len(stages) + 1) if k not in failing]
    return list(pairwise(kept))


def _check(backbone: Backbone, example: State) -> list[int]:
    end = len(backbone.stages)
    backbone.module.eval()
    with torch.no_grad():
        whole = backbone.segment(0, end)(_copy(example))
        return [k for k in range(1, end) if not _holds(backbone, example, whole, k, end)]


def _holds(backbone: Backbone, example: State, whole: State, k: int, end: int) -> bool:
    try:
        middle = _run(backbone, 0, k, example)
        final = _run(backbone, k, end, middle)
    except (RuntimeError, TypeError, ValueError, KeyError, IndexError, AttributeError, _WritesIntoInput):
        return False
    same = torch.equal(final.hidden, whole.hidden)
    return same and torch.equal(backbone.features(final).pooled, backbone.features(whole).pooled)


class _WritesIntoInput(Exception):
    pass


def _run(backbone: Backbone, start: int, stop: int, state: State) -> State:
    given = _copy(state)
    result: State = backbone.segment(start, stop)(given)
    if not _equal(given, state):
        raise _WritesIntoInput
    return result


def _copy(state: State) -> State:
    return state.map(torch.clone)


def _equal(one: State, other: State) -> bool:
    same_context = all(torch.equal(value, other.context[name]) for name, value in one.context.items())
    return torch.equal(one.hidden, other.hidden) and same_context
