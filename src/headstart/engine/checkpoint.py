"""Checkpoints: what a killed training needs to go on as if nothing had happened. Tensors and plain values only.

Random draws depend on (seed, epoch, step) alone, so no generator, sampler or scheduler state is in here.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from headstart.kernel.files import hash_bytes, write_atomic


@dataclass
class EpochResult:
    """What one epoch came to."""

    epoch: int
    train_loss: float
    val_loss: float
    val_metric: float
    learning_rate: float
    seconds: float


@dataclass
class Progress:
    """Where a training stands."""

    epochs: int = 0
    """How many epochs are planned; 0 until that is decided."""
    epoch: int = 0
    """The epoch that runs, or comes next."""
    step: int = 0
    """Steps done in that epoch."""
    loss_sum: float = 0.0
    """Sum of the step losses of that epoch so far."""
    history: list[EpochResult] = field(default_factory=list)
    best_epoch: int = -1
    best_loss: float = float("inf")
    stopped: str = ""
    """Why the training ended; empty while it runs."""
    seconds: float = 0.0
    """Time spent so far, over all sessions."""


@dataclass
class Checkpoint:
    """Progress and every tensor that goes with it."""

    progress: Progress
    weights: Mapping[str, Tensor]
    optimiser: Mapping[str, Any]
    best: Mapping[str, Tensor]
    """The weights of the best epoch; empty before the first validation."""


class CheckpointFile:
    """One checkpoint on disk, replaced atomically; a damaged or foreign one counts as none."""

    def __init__(self, path: Path, identity: str) -> None:
        """`identity` is a hash of everything that decides the training: another identity is another training."""
        self.path = path
        self.identity = identity

    def write(self, checkpoint: Checkpoint) -> None:
        """Replace the file. Raises HeadstartError on a full disk; the old file stays."""
        buffer = io.BytesIO()
        content = {
            "identity": self.identity,
            "progress": asdict(checkpoint.progress),
            "weights": dict(checkpoint.weights),
            "optimiser": dict(checkpoint.optimiser),
            "best": dict(checkpoint.best),
        }
        torch.save(content, buffer)
        body = buffer.getvalue()
        write_atomic(self.path, hash_bytes(body).encode() + body)

    def read(self) -> Checkpoint | None:
        """The checkpoint; None when there is none that fits and is whole."""
        try:
            whole = self.path.read_bytes()
        except OSError:
            return None
        digest, body = whole[:32], whole[32:]
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
        return Checkpoint(Progress(**given), content["weights"], content["optimiser"], content["best"])
