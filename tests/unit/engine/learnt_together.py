"""A training without labels that a launcher starts, in one process or several; each writes its weights to a file."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from unlabelled_trainings import COURSE, unlabelled_loop

from headstart.engine.together import together


def main() -> None:
    """Argument: the folder to write to. An optional second one: so many examples that fit into the memory."""
    folder = Path(sys.argv[1])
    torch.set_num_threads(1)
    loop = unlabelled_loop(course=COURSE.model_copy(update={"epochs": 5}))
    loop.micro.most = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    loop.run()
    state = {**loop.model.backbone.module.state_dict(), **loop.model.additions.state_dict()}
    losses = [(epoch.train_loss, epoch.val_loss, *epoch.monitors.values()) for epoch in loop.progress.history]
    torch.save((state, torch.tensor(losses)), folder / f"{together().rank}.pt")


if __name__ == "__main__":
    main()
