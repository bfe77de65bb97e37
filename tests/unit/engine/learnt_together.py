"""A training without labels in all processes that a launcher starts, and then in one alone; each writes its weights."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from unlabelled_trainings import COURSE, unlabelled_loop

from headstart.engine.together import part, together


def main() -> None:
    """Argument: the folder to write to."""
    folder = Path(sys.argv[1])
    torch.set_num_threads(1)
    rank = together().rank
    write(folder / f"{rank}.pt")
    part()
    if rank == 0:
        write(folder / "alone.pt")


def write(path: Path) -> None:
    """Train, and write weights, losses and monitors."""
    loop = unlabelled_loop(course=COURSE.model_copy(update={"epochs": 5}))
    loop.run()
    state = {**loop.model.backbone.module.state_dict(), **loop.model.additions.state_dict()}
    losses = [(epoch.train_loss, epoch.val_loss, *epoch.monitors.values()) for epoch in loop.progress.history]
    torch.save((state, torch.tensor(losses)), path)


if __name__ == "__main__":
    main()
