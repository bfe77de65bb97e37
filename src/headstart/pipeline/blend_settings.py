"""Settings of blending, for plans: see `blending.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from pydantic import Field, field_validator, model_validator

from headstart.kernel.settings import Settings


class BlendSettings(Settings):
    """Blending of the probe and a fine-tuned model."""

    allowed: bool = True
    """Whether a search with few labels may blend them; else it takes the one or the other."""
    shrinkage: float = Field(default=0.25, ge=0)
    """How far weights are pulled towards the probe: it alone explains so many times sqrt(n) more examples than the n
    labelled ones; >= 0."""
    weights: tuple[float, ...] = Field(default=(), max_length=2)
    """Of probe and fine-tuned model, given rather than found; they sum to 1."""
    temperatures: tuple[float, ...] = Field(default=(), max_length=2)
    """By which their logits are divided before they are mixed; 1 each without."""
    calibration: Mapping[str, float] = {}
    """Of the blend; that of the fine-tuned model without."""

    @field_validator("weights")
    @classmethod
    def _shares(cls, weights: tuple[float, ...]) -> tuple[float, ...]:
        if weights and (len(weights) != 2 or min(weights) < 0 or abs(sum(weights) - 1) > 1e-6):
            raise ValueError("give two weights from 0 to 1 that sum to 1: of the probe and of the fine-tuned model")
        return weights

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.temperatures and (len(self.temperatures) != len(self.weights) or min(self.temperatures) <= 0):
            raise ValueError("temperatures are two numbers > 0, beside two weights")
        if self.weights and not self.allowed:
            raise ValueError("weights and allowed = false exclude one another")
        return self
