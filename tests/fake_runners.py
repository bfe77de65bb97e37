"""Runners whose faults and times a test decides, in place of the real ones."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from headstart.contracts.carriers import State
from headstart.contracts.runner import CannotRun
from headstart.engine.frozen import batches_in_flight, choose_runner
from headstart.kernel import registry
from headstart.kernel.settings import Settings


class Clock:
    """Stands still but for what runs."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now


@dataclass
class Behaviour:
    """What a runner does, and what it was asked to do."""

    seconds: float = 1.0
    """Per row."""
    setup: float = 0.0
    spoil: Callable[[State], State] = lambda state: state
    """What it makes of the right result."""
    refusal: str = ""
    precision: str = "float32"
    plain: bool = False
    settings: Sequence[Mapping[str, Any]] = ({},)
    """Of its variants."""
    wait: float = 0.0
    """More seconds per row for each of its threads, whose number is another setting."""
    started: list[Any] = field(default_factory=list)
    """The examples that it was started with."""
    ran: list[int] = field(default_factory=list)
    """The sizes of the batches that it ran."""


@dataclass
class Running:
    segment: Any
    behaviour: Behaviour
    clock: Clock
    at_once: int = 1

    def __call__(self, state: State) -> State:
        self.behaviour.ran.append(len(state.hidden))
        self.clock.now += self.behaviour.seconds * len(state.hidden)
        with torch.no_grad():
            return self.behaviour.spoil(self.segment(state))


def runner(behaviour: Behaviour, clock: Clock | None = None) -> type[Any]:
    """A kind of runner that behaves so; its settings are a number by which its results are multiplied, and threads."""

    class Fake(Settings):
        times: float = 1.0
        threads: int = 0

        plain: ClassVar[bool] = behaviour.plain

        @property
        def precision(self) -> str:
            return behaviour.precision

        @classmethod
        def variants(cls, device: Any) -> Sequence[Any]:
            return [cls(**given) for given in behaviour.settings]

        def setup_seconds(self, device: Any) -> float:
            return behaviour.setup

        def start(self, segment: Any, example: State, device: Any, key: str | None = None) -> Running:
            behaviour.started.append(example)
            if behaviour.refusal:
                raise CannotRun(behaviour.refusal)
            seconds = behaviour.seconds + self.threads * behaviour.wait
            own = {"seconds": seconds, "spoil": lambda state: behaviour.spoil(times(state, self.times))}
            scaled = Behaviour(**{**vars(behaviour), **own})
            return Running(segment.eval(), scaled, clock or Clock())

    return Fake


def times(state: State, factor: float) -> State:
    return state.map(lambda value: value * factor if value.is_floating_point() else value)


def only(name: str, change: Callable[[Tensor], Tensor]) -> Callable[[State], State]:
    """Changes one tensor of a state, where it is."""
    return lambda state: State.of(
        {key: change(value) if key == name else value for key, value in state.tensors().items()}
    )


def install(patch: pytest.MonkeyPatch, kinds: Mapping[str, type[Any]], clock: Clock | None = None) -> None:
    """Let these be the runners that there are, and be measured by this clock."""
    for measures in (choose_runner, batches_in_flight):
        patch.setattr(measures, "time", clock or time)
    names, plugin, name_of = registry.names, registry.plugin, registry.name_of
    found = {kind: name for name, kind in kinds.items()}
    patch.setattr(registry, "names", lambda family: sorted(kinds) if family == "runners" else names(family))
    patch.setattr(registry, "plugin", lambda f, name: kinds[name] if f == "runners" else plugin(f, name))
    patch.setattr(registry, "name_of", lambda settings: found.get(type(settings)) or name_of(settings))
