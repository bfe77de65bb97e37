"""A choice of a runner for a frozen pass, and how it is kept: on this machine, and in the work folder of a run."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import torch

from headstart.contracts.runner import Runner
from headstart.engine.frozen.execution import described
from headstart.kernel import registry
from headstart.kernel.errors import HeadstartError
from headstart.kernel.files import write_atomic
from headstart.kernel.regular import read_regular
from headstart.kernel.user_settings import build

J = TypeVar("J", list[Any], dict[str, Any])

RUNNERS = "runners.json"
"""The file of the choices of a run, in its work folder."""

NUMBERS = ("most_inputs", "seconds_each", "plain_each", "length")
"""Of a choice, beside its runner and reason."""


@dataclass(frozen=True)
class Choice:
    """A runner and why it was taken."""

    runner: Runner
    reason: str
    most_inputs: float = math.inf
    """It holds up to so many: for more, setting up a runner that was not tried would be worth it."""
    seconds_each: float = 0.0
    """What an input takes on it, its preparation apart; 0 where that is not known."""
    plain_each: float = 0.0
    """The same in plain PyTorch, in which training goes."""
    length: float = 1.0
    """Positions of the inputs that were measured, padding included."""
    key: str = ""
    """Names the pass; empty where the runner was named."""
    measured_on: str = ""
    """Names the inputs, of all of which some were measured."""
    by_use: bool = False
    """True where its features may be more than 1 % off, as they only feed probes and evidence."""

    def keep(self, work: Path | None) -> None:
        """Keep it for a run that goes on from this work folder."""
        if work is not None and self.key:
            work.mkdir(parents=True, exist_ok=True)
            write_atomic(work / RUNNERS, json.dumps({**kept_in(work), self.key: self.document()}).encode())

    def document(self) -> dict[str, Any]:
        """It as JSON values."""
        numbers = {name: getattr(self, name) for name in NUMBERS}
        return (
            {name: getattr(self, name) for name in ("reason", "measured_on", "by_use")}
            | described(self.runner)
            | numbers
        )

    @property
    def promised(self) -> float:
        """Seconds for each position of a batch; 0 where that is not known."""
        return self.seconds_each / self.length if self.key else 0.0

    def on(self, inputs: str) -> Choice:
        """The same for these inputs; of others the reason would give the speed."""
        reason = "the fastest on other inputs of about this length, by an earlier measurement"
        return self if self.measured_on == inputs else replace(self, reason=reason)


def kept_in(work: Path | None) -> dict[str, Any]:
    """The choices of a run by the names of their passes."""
    try:
        return {} if work is None else read_json(read_regular(work / RUNNERS), dict)
    except OSError:
        return {}


def read_json(kept: bytes | None, kind: type[J]) -> J:
    """The JSON value of a kind; an empty one where it is damaged or of another version."""
    try:
        found = kind() if kept is None else json.loads(kept)
    except (ValueError, RecursionError):
        return kind()
    return found if isinstance(found, kind) else kind()


def choice_from(document: Any, key: str, device: torch.device) -> Choice | None:
    """An earlier choice; None where it is damaged, of another version, or this machine has no such runner."""
    try:
        kind = registry.plugin("runners", document["plugin"])
        runner = build(kind, document["settings"], where="runner")
        if not kind.plain and runner not in kind.variants(device):
            return None
        numbers = {name: float({"length": 1.0, **document}[name]) for name in NUMBERS}
        measured_on = str(document.get("measured_on", ""))
        by_use = bool(document.get("by_use", False))
        return Choice(runner, str(document["reason"]), **numbers, key=key, measured_on=measured_on, by_use=by_use)
    except (ValueError, TypeError, KeyError, HeadstartError):
        return None
