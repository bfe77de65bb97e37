"""Two processes of one job train one model as one process does, with labels and without."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from forked_processes import launched
from headstart.engine.process_group import process_group
from headstart.engine.training.checkpoint import CheckpointFile
from headstart.engine.training.loop import Loop
from headstart.kernel import registry
from headstart.kernel.errors import TrainingError
from small_trainings import KINDS, NotANumber, TooLarge, changed, small_loop
from unlabelled_trainings import COURSE, unlabelled_loop

SAME = ("everything", "batchnorm_and_dropout", "own_gradients", "no_memory")
FAULTS = {"no_room": "too small for a single example", "nan": "'cross_entropy' became nan in epoch"}
ADAPTING = ("dann", "cdan", "mmd", "coral", "mcc", "self_training", "shot")
EQUAL = ("twenty_steps", "stored_prefix", "without_labels", *ADAPTING)


def train(folder: Path, *kinds: str) -> None:
    """A process's part of trainings, one after the other: what was learnt and how each ended go to files."""
    torch.set_num_threads(1)
    for kind in kinds:
        name, loop = (
            f"{kind}-{process_group().rank}",
            prepared(kind, CheckpointFile(folder / f"{kind}.checkpoint", "same")),
        )
        try:
            ended = loop.run().stopped
        except TrainingError as error:
            ended = str(error)
        torch.save(learnt(loop), folder / f"{name}.pt")
        (folder / f"{name}.txt").write_text(ended)


def learnt(loop: Loop) -> tuple[list[dict[str, torch.Tensor]], torch.Tensor]:
    """Weights, and losses and monitors of each epoch."""
    losses = [(epoch.train_loss, epoch.val_loss, *epoch.monitors.values()) for epoch in loop.progress.history]
    parts = (loop.model.backbone.module, loop.model.heads, loop.model.additions)
    return [part.state_dict() for part in parts], torch.tensor(losses)


def prepared(kind: str, file: CheckpointFile) -> Loop:
    """A training that is not begun."""
    if kind == "twenty_steps":
        return small_loop(changed(epochs=5), checkpoint=file)
    if kind == "without_labels":
        return unlabelled_loop(course=COURSE.model_copy(update={"epochs": 5}))
    if kind in ADAPTING:
        return small_loop(changed(epochs=2), objective=registry.plugin("objectives", kind)(), checkpoint=file)
    if kind == "no_room":
        return small_loop(objective=TooLarge(most=0 if process_group().rank else 99))
    if kind == "nan":
        return small_loop(objective=NotANumber(row=process_group().rank))
    return KINDS[kind](checkpoint=file)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what two processes came to."""
    folder = tmp_path_factory.mktemp("both")
    with launched(train, folder, *EQUAL, *SAME, *FAULTS) as (first, second):
        assert (first.wait(), second.wait()) == (0, 0), first.err + second.err
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("kind", EQUAL)
def test_two_processes_come_to_the_weights_of_one(kind: str, both: Path, tmp_path: Path) -> None:
    loop = prepared(kind, CheckpointFile(tmp_path / "alone.checkpoint", "same"))
    loop.run()
    weights, losses = learnt(loop)
    for rank in (0, 1):
        theirs, their_losses = torch.load(both / f"{kind}-{rank}.pt")
        torch.testing.assert_close(their_losses, losses, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(theirs, weights, atol=1e-4, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("kind", SAME)
def test_both_processes_have_the_same_weights_bit_for_bit(kind: str, both: Path) -> None:
    (one, _), (other, _) = (torch.load(both / f"{kind}-{rank}.pt") for rank in (0, 1))
    torch.testing.assert_close(one, other, atol=0, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "message"), FAULTS.items())
def test_what_goes_wrong_in_one_process_is_told_by_all(kind: str, message: str, both: Path) -> None:
    for rank in (0, 1):
        assert message in (both / f"{kind}-{rank}.txt").read_text()
