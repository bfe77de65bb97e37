from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from headstart.contracts.backbone import Backbone
from headstart.contracts.boundaries import failing_boundaries, merged
from headstart.contracts.carriers import State, Tap
from headstart.contracts.examples import Raw
from headstart.contracts.features import Features
from headstart.contracts.network import Stage


class Chain(Backbone):
    """Three stages; `fault` says what goes wrong when a segment starts at boundary 2."""

    modality = "table"
    stages = tuple(Stage(name, ()) for name in "abc")
    width = 2

    def __init__(self, fault: str = "", dropout: float = 0.0) -> None:
        self.name, self.origin, self.fault = "chain", "test", fault
        self.module = nn.Dropout(dropout)
        self.runs = 0

    def segment(self, start: int, stop: int, taps: Sequence[Tap] = ()) -> nn.Module:
        return _Segment(self, start, stop)

    def features(self, state: State) -> Features:
        return Features(state.hidden)

    def describe(self) -> dict[str, Any]:
        return {"plugin": "chain", "settings": {"fault": self.fault}}

    def prepare(self, raws: Sequence[Raw]) -> State:
        raise NotImplementedError

    def length(self, raw: Raw) -> int:
        raise NotImplementedError

    def preparation(self) -> Mapping[str, Any]:
        raise NotImplementedError

    def fresh(self, seed: int) -> Backbone:
        raise NotImplementedError


class _Segment(nn.Module):
    def __init__(self, chain: Chain, start: int, stop: int) -> None:
        super().__init__()
        self.chain, self.start, self.stop = chain, start, stop
        self.dropout = chain.module

    def forward(self, state: State) -> State:
        self.chain.runs += 1
        hidden = state.hidden
        if self.start == 2:
            if self.chain.fault == "raises":
                raise RuntimeError("position bias is missing")
            if self.chain.fault == "differs":
                hidden = hidden + torch.finfo(torch.float32).eps * hidden
            if self.chain.fault == "writes":
                hidden.relu_()
            if self.chain.fault == "writes context":
                state.context["mask"].zero_()
        for _ in range(self.start, self.stop):
            hidden = self.dropout(hidden).relu() * 1.5
        return State(hidden, state.context)


@pytest.fixture
def example() -> State:
    return State(torch.tensor([[1.0, 2.0], [0.5, -3.0]]), {"mask": torch.ones(2, 1)})


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path))
    return tmp_path


def test_sound_boundaries_hold_and_dropout_is_switched_off(example: State) -> None:
    chain = Chain(dropout=0.5)
    chain.module.train()
    assert failing_boundaries(chain, example) == []


@pytest.mark.parametrize("fault", ["raises", "differs", "writes context"])
def test_a_fault_fails_its_boundary_and_no_other(fault: str, example: State) -> None:
    assert failing_boundaries(Chain(fault), example) == [2]


def test_writing_into_the_input_state_fails_even_if_the_result_is_right() -> None:
    state = State(torch.tensor([[-1.0, 2.0]]))

    class Unrectified(Chain):
        def segment(self, start: int, stop: int, taps: Sequence[Tap] = ()) -> nn.Module:
            return _Negating(self, start, stop)

    class _Negating(_Segment):
        def forward(self, given: State) -> State:
            hidden = given.hidden
            for _ in range(self.start, self.stop):
                hidden = -hidden
            if self.start == 2:
                given.hidden.relu_()
            return State(hidden, given.context)

    assert failing_boundaries(Unrectified(), state) == [2]


def test_the_example_is_left_as_it_was(example: State) -> None:
    before = example.hidden.clone()
    failing_boundaries(Chain("writes"), example)
    assert torch.equal(example.hidden, before) and torch.equal(example.context["mask"], torch.ones(2, 1))


def test_the_answer_is_kept_by_architecture(example: State) -> None:
    assert failing_boundaries(Chain("differs"), example) == [2]
    again = Chain("differs")
    assert failing_boundaries(again, example) == [2] and again.runs == 0
    other = Chain()
    assert failing_boundaries(other, example) == [] and other.runs > 0


def test_a_damaged_or_unwritable_cache_costs_time_only(example: State, own_cache: Path) -> None:
    failing_boundaries(Chain("differs"), example)
    (kept,) = (own_cache / "boundaries").iterdir()
    kept.write_text("not json")
    assert failing_boundaries(Chain("differs"), example) == [2]
    kept.unlink()
    (own_cache / "boundaries").rmdir()
    (own_cache / "boundaries").write_text("a file in the way")
    assert failing_boundaries(Chain("differs"), example) == [2]


@pytest.mark.parametrize(
    ("failing", "expected"),
    [
        ([], [(0, 1), (1, 2), (2, 3), (3, 4)]),
        ([2], [(0, 1), (1, 3), (3, 4)]),
        ([1, 2], [(0, 3), (3, 4)]),
        ([1, 2, 3], [(0, 4)]),
    ],
)
def test_failing_boundaries_join_their_stages(failing: list[int], expected: list[tuple[int, int]]) -> None:
    assert merged([Stage(name, ()) for name in "abcd"], failing) == expected
