from __future__ import annotations

import pytest
import torch

from headstart.contracts.carriers import State
from headstart.engine.device import machine, pick_device, run_halving, versions
from headstart.kernel.errors import SettingsError
from headstart.kernel.processor import cores


def test_the_environment_decides_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_DEVICE", "cpu")
    assert pick_device() == torch.device("cpu")


@pytest.mark.parametrize("given", ["gpu", "cuda:99", "hpu:0"])
def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("HEADSTART_DEVICE", given)
    with pytest.raises(SettingsError, match=f"HEADSTART_DEVICE={given} cannot be used"):
        pick_device()


def test_without_a_wish_the_best_device_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEADSTART_DEVICE", raising=False)
    best = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    assert pick_device().type == best


def test_a_batch_too_large_for_memory_is_halved() -> None:
    sizes = []

    def execute(state: State) -> State:
        sizes.append(len(state.hidden))
        if len(state.hidden) > 3:
            raise torch.OutOfMemoryError("no room")
        return State(state.hidden * 2, {"mask": state.context["mask"]}, {"a.pooled": state.hidden.sum(dim=1)})

    hidden, mask = torch.randn(10, 4), torch.arange(10)[:, None]
    result = run_halving(execute, State(hidden, {"mask": mask}))
    assert torch.equal(result.hidden, hidden * 2)
    assert torch.equal(result.context["mask"], mask)
    assert torch.equal(result.taps["a.pooled"], hidden.sum(dim=1))
    assert sizes == [10, 5, 2, 3, 5, 2, 3]


def test_a_single_example_too_large_is_an_error() -> None:
    def execute(state: State) -> State:
        raise torch.OutOfMemoryError("no room")

    with pytest.raises(torch.OutOfMemoryError):
        run_halving(execute, State(torch.zeros(4, 2)))


def test_the_machine_is_described_in_words() -> None:
    described = machine()
    assert int(described["cores"]) == cores() >= 1
    assert described["processor"] and described["python"]
    assert all(isinstance(value, str) for value in described.values())
    assert versions()["torch"] == torch.__version__.partition("+")[0] or versions()["torch"] == torch.__version__
