from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from headstart.contracts.carriers import Batch, Mixed, State
from headstart.engine.training.checkpoint import CheckpointFile
from headstart.engine.training.loop import Loop
from headstart.engine.training.micro_batches import MicroBatches, divided, is_out_of_memory
from headstart.kernel.errors import TrainingError
from headstart.kernel.progress import Quiet
from small_trainings import OwnTooLarge, TooLarge, changed, small_loop, weights


def batch(size: int) -> Batch:
    numbers = torch.arange(size)
    targets = {"label": numbers.clone()}
    mixed = Mixed({"label": numbers + 100}, 0.3)
    return Batch(State(numbers[:, None].float(), {"mask": numbers + 7}), targets, numbers, {"query": numbers}, mixed)


class Listens(Quiet):
    def __init__(self) -> None:
        self.heard: list[str] = []

    def say(self, text: str) -> None:
        self.heard.append(text)


def tensors(loop: Loop) -> dict[str, torch.Tensor]:
    return {**loop.model.backbone.module.state_dict(), **loop.model.heads.state_dict()}


@pytest.mark.parametrize("most", [1, 3, 4, 7, 10, 50])
def test_parts_are_near_equal_and_make_the_whole(most: int) -> None:
    parts = divided({"source": batch(10), "other": batch(12)}, most)
    sizes = [len(part["source"].rows) for part in parts]
    assert max(len(part[name].rows) for part in parts for name in part) <= most or most == 1
    assert max(sizes) - min(sizes) <= 1
    for name, size in (("source", 10), ("other", 12)):
        joined = torch.cat([part[name].state.hidden for part in parts])
        assert torch.equal(joined, batch(size).state.hidden)
    for part in parts:
        found = part["source"]
        assert found.mixed is not None
        numbers = found.rows
        assert torch.equal(found.state.context["mask"], numbers + 7)
        assert torch.equal(found.targets["label"], numbers) and torch.equal(found.head_inputs["query"], numbers)
        assert torch.equal(found.mixed.targets["label"], numbers + 100) and found.mixed.weight == 0.3


def test_without_a_limit_batches_stay_as_they_are() -> None:
    whole = {"source": batch(10)}
    assert divided(whole, 0) == [whole]


@pytest.mark.parametrize("objective", [TooLarge(), TooLarge(text="cuda"), OwnTooLarge()], ids=["cpu", "cuda", "own"])
@pytest.mark.parametrize("averaging", [0.0, 0.9])
def test_a_training_that_does_not_fit_goes_on_in_parts_to_the_same_weights(objective: Any, averaging: float) -> None:
    recipe = changed(averaging=averaging)
    whole, parts = small_loop(recipe), small_loop(recipe, objective=objective)
    reporter = Listens()
    parts.micro.reporter = reporter
    one, other = whole.run(), parts.run()
    assert other.micro_batch == 4
    assert [text.split(";")[0] for text in reporter.heard] == [
        "Out of memory with 16 examples at once",
        "Out of memory with 8 examples at once",
    ]
    assert (one.epochs, one.steps, one.epoch) == (other.epochs, other.steps, other.epoch)
    assert [e.learning_rate for e in one.history] == [e.learning_rate for e in other.history]
    np.testing.assert_allclose([e.train_loss for e in one.history], [e.train_loss for e in other.history], atol=1e-5)
    for name, tensor in tensors(whole).items():
        torch.testing.assert_close(tensors(parts)[name], tensor, atol=1e-4, rtol=0, msg=name)


def test_the_gradient_of_the_parts_is_that_of_the_whole() -> None:
    whole, parts = small_loop(), small_loop(objective=TooLarge(most=5))
    gradients = []
    for loop in (whole, parts):
        seen: list[torch.Tensor] = []
        loop.stepper.optimiser.step = lambda loop=loop, seen=seen: seen.extend(  # type: ignore[method-assign, misc]
            p.grad.clone() for p in loop.stepper.parameters if p.grad is not None
        )
        loop.progress.epochs, loop.progress.steps = 1, 4
        loop.train_mode(0.0)
        loop.step({"source": loop.streams["source"].batch(np.arange(14), 0)})
        gradients.append(seen)
    assert parts.micro.most == 4 and gradients[0]
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(other, one, atol=1e-6, rtol=1e-6)


def test_the_size_that_fits_is_remembered_in_the_checkpoint(tmp_path: Path) -> None:
    file = CheckpointFile(tmp_path / "a.checkpoint", "same")
    first = small_loop(objective=TooLarge(), checkpoint=file)
    first.run(until=1)
    second = small_loop(objective=TooLarge(), checkpoint=file)
    reporter = Listens()
    second.micro.reporter = reporter
    second.run()
    first.run()
    assert (second.micro.most, reporter.heard) == (4, [])
    assert weights(first) == weights(second)


def test_a_single_example_that_does_not_fit_ends_the_training_with_advice() -> None:
    loop = small_loop(objective=TooLarge(most=0))
    with pytest.raises(TrainingError, match=r"too small for a single example.*--tuning partial"):
        loop.run()


def test_another_error_is_not_taken_for_a_lack_of_memory() -> None:
    def fails(_: object) -> None:
        raise RuntimeError("shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="shapes"):
        MicroBatches(0, Quiet()).run({"source": batch(4)}, fails)
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"))
