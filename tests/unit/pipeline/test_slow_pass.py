"""A pass that becomes slow: its runner is measured again, and all of its features come from one runner."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fake_runners import Behaviour, Clock, install, runner, times
from headstart.contracts.runner import Runner
from headstart.engine.frozen.extract import Extracted
from headstart.engine.frozen.feature_spec import FeatureSpec
from headstart.engine.frozen.runner_choice import RUNNERS, Choice
from headstart.engine.store.feature_store import FeatureStore
from headstart.kernel import registry
from headstart.kernel.progress import Quiet
from headstart.pipeline.embed import choice_of_runner, embed
from tiny_backbones import TinyTable, keys_of, table_examples

VALUES = np.random.default_rng(0).standard_normal((1000, 4))
EXAMPLES, KEYS, SPEC = table_examples(VALUES), keys_of(VALUES), FeatureSpec()
PLAIN, ONE_PERCENT = 1.0, 1.005
"""Seconds per row in plain PyTorch, and a difference to it that is allowed."""


class Told(Quiet):
    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, message: str) -> None:
        self.said.append(message)


class Machine:
    """One with a fast runner that may become slow."""

    def __init__(self, patch: pytest.MonkeyPatch, folder: Path) -> None:
        patch.setenv("HEADSTART_CACHE", str(folder))
        clock, self.work, self.store, self.reporter = Clock(), folder / "work", FeatureStore(folder / "store"), Told()
        self.plain = Behaviour(PLAIN, plain=True)
        self.fast = Behaviour(0.25, spoil=lambda state: times(state, ONE_PERCENT))
        kinds = {"fast": self.fast, "plain": self.plain}
        install(patch, {name: runner(behaviour, clock) for name, behaviour in kinds.items()}, clock)
        self.backbone = TinyTable("tiny_table")

    def choice(self, named: Runner | None = None, work: Path | None = None) -> Choice:
        return choice_of_runner(self.backbone, EXAMPLES, KEYS, SPEC, named, work)

    def embed(self, choice: Choice) -> Extracted:
        given: dict[str, Any] = {"store": self.store, "reporter": self.reporter, "work": self.work}
        return embed(self.backbone, EXAMPLES, SPEC, keys=KEYS, runner=choice, **given)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    return Machine(monkeypatch, tmp_path)


def name_of(found: Any) -> str:
    return str(registry.name_of(found.runner))


def test_where_another_runner_is_done_sooner_it_does_all_of_the_pass(machine: Machine) -> None:
    choice, exact = machine.choice(), machine.embed(Choice(registry.plugin("runners", "plain")(), ""))
    machine.fast.seconds = 5.0
    found = machine.embed(choice)
    assert [name_of(choice), name_of(found), found.computed] == ["fast", "plain", 0], "these lay in the store"
    np.testing.assert_array_equal(found.pooled(), exact.pooled())
    assert machine.reporter.said == [
        "The pass takes 20.0 times as long as measured before, on fast, float32. Measured again: plain, float32 runs "
        "all of it anew."
    ]
    assert (machine.work / RUNNERS).exists()
    assert name_of(machine.choice(work=machine.work)) == name_of(machine.choice()) == "plain", (
        "so it goes on, and later"
    )


def test_where_it_stays_the_fastest_it_goes_on_and_is_not_measured_again_and_again(machine: Machine) -> None:
    choice = machine.choice()
    began, machine.fast.seconds, machine.plain.seconds = len(machine.fast.started), 1.0, 4.0
    found = machine.embed(choice)
    assert (name_of(found), found.reused + found.computed) == ("fast", len(VALUES))
    (said,) = machine.reporter.said
    assert said.startswith("The pass takes 4.0 times as long") and said.endswith("Measured again: it goes on so.")
    assert len(machine.fast.started) - began == 3, "the pass, the measurement, and the rest of the pass"
    assert sum(machine.fast.ran) < len(VALUES) + 10 * 32, "what was computed is not computed again"


@pytest.mark.parametrize("slower, left", [(1.9, 1.0), (5.0, 0.0)])
def test_what_is_little_slower_or_nearly_done_is_not_measured_again(
    machine: Machine, slower: float, left: float
) -> None:
    choice = machine.choice()
    machine.fast.seconds *= slower
    if not left:
        machine.embed(Choice(choice.runner, ""))
    assert name_of(machine.embed(choice)) == "fast" and not machine.reporter.said


def test_a_runner_that_was_named_is_kept_however_slow_it_is(machine: Machine) -> None:
    machine.choice()
    machine.fast.seconds = 50.0
    assert name_of(machine.embed(machine.choice(registry.plugin("runners", "fast")()))) == "fast"
    assert not machine.reporter.said


def test_processes_that_train_together_keep_theirs(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    choice = machine.choice()
    machine.fast.seconds = 5.0
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert name_of(machine.embed(choice)) == "fast"
