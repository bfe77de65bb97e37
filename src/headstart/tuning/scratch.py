"""Training from scratch: the same architecture from random weights. It says what the pretraining was worth."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from headstart.contracts.tuning import Recipe


class Scratch(Recipe):
    """Everything, from random weights; the best of several learning rates on validation."""

    start: ClassVar[str] = "random"

    epochs: int = Field(default=60, ge=1)
    """Passes over the training data at most; where not given, more over few, for about 400 steps, up to 100; >= 1."""
    learning_rate: float = Field(default=1e-3, gt=0)
    """Peak rate of the backbone; > 0."""
    rates_tried: tuple[float, ...] = Field(default=(0.3, 1.0, 3.0), min_length=1)
    """Factors on both rates; each is tried and the best on validation is kept."""
    weight_decay: float = Field(default=0.05, ge=0)
    """AdamW's decoupled decay; biases and normalisation weights have none; >= 0."""
    patience: int = Field(default=15, ge=1)
    """Epochs without a better one on validation before training stops; >= 1."""
    renew_statistics: bool = True
    """BatchNorm normalises by the batch and renews its statistics, which are random at first."""
