"""A training that a launcher starts, in one process or several; each of them writes its weights to a file."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from small_trainings import KINDS, NotANumber, TooLarge, changed, small_loop

from headstart.engine.checkpoint import CheckpointFile
from headstart.engine.loop import Loop
from headstart.engine.together import together
from headstart.kernel.errors import TrainingError


def main() -> None:
    """Arguments: the folder to write to, the kinds of training to run one after the other."""
    folder, kinds = Path(sys.argv[1]), sys.argv[2:]
    torch.set_num_threads(1)
    for kind in kinds:
        name = f"{kind}-{together().rank}"
        try:
            torch.save(trained(kind, folder), folder / f"{name}.pt")
        except TrainingError as error:
            (folder / f"{name}.txt").write_text(str(error))


def trained(kind: str, folder: Path) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Weights and losses of a training."""
    loop = prepared(kind, CheckpointFile(folder / f"{kind}.checkpoint", "same"))
    loop.run()
    losses = [(epoch.train_loss, epoch.val_loss) for epoch in loop.progress.history]
    return {**loop.model.backbone.module.state_dict(), **loop.model.heads.state_dict()}, torch.tensor(losses)


def prepared(kind: str, file: CheckpointFile) -> Loop:
    """A training that is not begun."""
    if kind == "twenty_steps":
        return small_loop(changed(epochs=5), checkpoint=file)
    if kind == "no_room":
        return small_loop(objective=TooLarge(most=0 if together().rank else 99))
    if kind == "nan":
        return small_loop(objective=NotANumber(row=together().rank))
    return KINDS[kind](checkpoint=file)


if __name__ == "__main__":
    main()
