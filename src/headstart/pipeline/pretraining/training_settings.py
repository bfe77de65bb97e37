"""The settings of a pretraining, `--set training.epochs=50`: the recipe of any training, with what fits the absence of
labels."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from headstart.contracts.tuning import Recipe

IDLE = ("rates_tried", "patience", "soup", "interpolate")
"""What a recipe chooses by the validation loss: without labels that does not say which weights are the best."""


class TrainingSettings(Recipe):
    """How a backbone is trained without labels; the last epoch's weights are kept."""

    epochs: int = Field(default=100, ge=1)
    """Passes over the data; with a budget as many of them as it allows; >= 1."""
    batch_size: int = Field(default=256, ge=2)
    """Examples per optimiser step, each in all its views; >= 2."""
    learning_rate: float = Field(default=1e-3, gt=0)
    """Peak rate of the backbone's last stage; > 0."""
    head_learning_rate: float = Field(default=1e-3, gt=0)
    """Peak rate of what the objective trains beside the backbone; > 0."""
    weight_decay: float = Field(default=0.01, ge=0)
    """AdamW's decoupled decay; biases and normalisation weights have none; >= 0."""

    @model_validator(mode="after")
    def _nothing_idle(self) -> Self:
        idle = [name for name in IDLE if getattr(self, name) != TrainingSettings.model_fields[name].default]
        if idle:
            raise ValueError(f"{idle[0]} chooses by a loss on labels, and pretraining has none. Leave it out")
        return self
