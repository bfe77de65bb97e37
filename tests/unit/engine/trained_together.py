"""A training that a launcher starts, in one process or several; each of them writes its weights to a file."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from small_trainings import KINDS, NotANumber, TooLarge, changed, small_loop

from headstart.engine.checkpoint import CheckpointFile
from headstart.engine.together import together


def main() -> None:
    """Arguments: the kind of training, the folder to write to."""
    kind, folder = sys.argv[1], Path(sys.argv[2])
    torch.set_num_threads(1)
    file = CheckpointFile(folder / f"{kind}.checkpoint", "same")
    if kind == "twenty_steps":
        loop = small_loop(changed(epochs=5), checkpoint=file)
    elif kind == "no_room":
        loop = small_loop(objective=TooLarge(most=0 if together().rank else 99))
    elif kind == "nan":
        loop = small_loop(objective=NotANumber(row=together().rank))
    else:
        loop = KINDS[kind](checkpoint=file)
    loop.run()
    state = {**loop.model.backbone.module.state_dict(), **loop.model.heads.state_dict()}
    losses = [(epoch.train_loss, epoch.val_loss) for epoch in loop.progress.history]
    torch.save((state, torch.tensor(losses)), folder / f"{kind}-{together().rank}.pt")


if __name__ == "__main__":
    main()
