"""Checkpoints: what a killed training needs to go on as if nothing had happened. Tensors and plain values only.

Random draws depend on (seed, epoch, step) alone, so no generator, sampler or scheduler state is in here.
"""

from __future__ import annotations

import io
import math
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from headstart.engine.training.best_epochs import Kept
from headstart.kernel.files import hash_bytes, write_atomic
from headstart.kernel.regular import read_regular

NOTHING_BETTER = "nothing better on validation"
"""Beginning of the reason why patience ended a training."""

DIGEST = 32
"""Bytes at the beginning of a file, by which damage to the others is seen."""


@dataclass
class EpochResult:
    """Result of one epoch."""

    epoch: int
    train_loss: float
    val_loss: float
    val_metric: float
    learning_rate: float
    seconds: float
    monitors: dict[str, float] = field(default_factory=dict)
    """What was looked at beside them, by name: how far the embeddings are spread."""


@dataclass
class Progress:
    """Progress of a training."""

    epochs: int = 0
    """How many epochs are planned; 0 until that is decided."""
    steps: int = 0
    """Steps of each of them; 0 until that is decided."""
    wanted_epochs: int = 0
    """How many epochs were wanted before a budget shortened the plan; 0 until that is decided."""
    wanted_steps: int = 0
    """Steps of each of those."""
    epoch: int = 0
    """The epoch that runs, or comes next."""
    step: int = 0
    """Steps done in that epoch."""
    loss_sum: float = 0.0
    """Sum of the step losses of that epoch so far."""
    history: list[EpochResult] = field(default_factory=list)
    best_epoch: int = -1
    best_cost: float = float("inf")
    """On validation, of the weights that are kept: the loss, or what else the task is chosen by."""
    stopped: str = ""
    """Why the training ended; empty while it runs."""
    broken_off: bool = False
    """Whether it ended because it could not go on; `stopped` says what was the matter."""
    cut_off: str = ""
    """How far it came, as '3 of 100 epochs', where the budget ended it before its recipe did; else empty."""
    finished: bool = False
    """Whether the model has its final weights: what follows the last epoch is done too."""
    soup: list[int] = field(default_factory=list)
    """The epochs whose weights the final ones are the mean of, where a soup was asked for."""
    alpha: float | None = None
    """Where between the pretrained backbone, 0, and the fine-tuned one, 1, the final one lies, where that was asked."""
    micro_batch: int = 0
    """Examples of a stream that are run at once at most; 0 while memory has set no limit."""
    precision: str = "float32"
    """In which the products of the training are computed."""
    seconds: float = 0.0
    """Time spent so far, over all sessions."""
    step_seconds: float = 0.0
    """What the slowest of the last steps took."""
    validation_seconds: float = 0.0
    """What the last validation took."""

    def made(self) -> int:
        """Steps that were made so far."""
        return self.epoch * self.steps + self.step

    def done(self) -> float:
        """Share of the training that lies behind, in [0, 1]."""
        return self.made() / (self.epochs * self.steps)

    def reason_to_stop(self, patience: int, all_move: float = 0.0) -> str:
        """Why no further epoch is to come; empty where one is. Patience begins once the share `all_move` is done."""
        if self.epoch >= self.epochs:
            shortened = self.epochs * self.steps < self.wanted_epochs * self.wanted_steps
            return self.cut() if shortened else f"all {self.epochs} epochs done"
        waited = self.epoch - max(self.best_epoch, math.ceil(all_move * self.epochs)) > patience
        return f"{NOTHING_BETTER} in {patience} epochs" if waited else ""

    def cut(self) -> str:
        """Note how far the budget let it come; why it ends, in words."""
        if self.steps < self.wanted_steps or self.step:
            self.cut_off = f"{self.made():,} of {self.wanted_epochs * self.wanted_steps:,} steps"
        else:
            self.cut_off = f"{self.epoch:,} of {self.wanted_epochs:,} epochs"
        return f"the budget was used after {self.cut_off}"

    def choices(self) -> dict[str, float | int | str]:
        """Return what was chosen at the end, and what was given up, for the report."""
        found: dict[str, float | int | str] = {"precision": self.precision}
        if self.soup:
            found["soup_of_epochs"] = ", ".join(str(epoch + 1) for epoch in self.soup)
        if self.alpha is not None:
            found["share_of_fine_tuned"] = self.alpha
        if self.micro_batch:
            found["micro_batch"] = self.micro_batch
        return found


@dataclass
class Checkpoint:
    """Progress and every tensor that goes with it."""

    progress: Progress
    weights: Mapping[str, Tensor]
    optimiser: Mapping[str, Any]
    kept: Sequence[Kept] = ()
    """The best epochs, the best first; none before the first validation."""
    average: Mapping[str, Tensor] = field(default_factory=dict)
    """The exponential average of the weights, where there is one."""


class CheckpointFile:
    """One checkpoint on disk, replaced atomically; a damaged or foreign one counts as none."""

    def __init__(self, path: Path, identity: str) -> None:
        """`identity` is a hash of everything that decides the training: another identity is another training."""
        self.path = path
        self.identity = identity

    def also_by(self, more: str) -> CheckpointFile:
        """The same file for a training that `more` decides as well."""
        return CheckpointFile(self.path, hash_bytes(self.identity.encode(), more.encode()))

    def write(self, checkpoint: Checkpoint) -> None:
        """Replace the file, of a finished training by what it keeps alone.

        Raises HeadstartError on a full disk; the old file stays.
        """
        buffer, goes_on = io.BytesIO(), not checkpoint.progress.finished
        content = {
            "identity": self.identity,
            "progress": asdict(checkpoint.progress),
            "weights": dict(checkpoint.weights) if goes_on else {},
            "optimiser": dict(checkpoint.optimiser) if goes_on else {},
            "kept": [{"epoch": k.epoch, "cost": k.cost, "weights": dict(k.weights)} for k in checkpoint.kept],
            "average": dict(checkpoint.average) if goes_on else {},
        }
        buffer.seek(DIGEST)
        torch.save(content, buffer)
        whole = buffer.getbuffer()
        whole[:DIGEST] = hash_bytes(whole[DIGEST:]).encode()
        write_atomic(self.path, whole)

    def read(self) -> Checkpoint | None:
        """The checkpoint; None when there is none that fits and is whole."""
        try:
            whole = read_regular(self.path)
        except OSError:
            return None
        digest, body = whole[:DIGEST], memoryview(whole)[DIGEST:]
        if hash_bytes(body).encode() != digest:
            return None
        try:
            content = torch.load(io.BytesIO(body), weights_only=True, map_location="cpu")
        except (RuntimeError, pickle.UnpicklingError, EOFError):
            return None
        if content.get("identity") != self.identity:
            return None
        given = dict(content["progress"])
        given["history"] = [EpochResult(**row) for row in given["history"]]
        kept = [Kept(**found) for found in content["kept"]]
        return Checkpoint(Progress(**given), content["weights"], content["optimiser"], kept, content["average"])
