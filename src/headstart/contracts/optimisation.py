"""Optimisation: how a training by steps goes, whichever weights move.

AdamW (Loshchilov & Hutter 2019) under a cosine decay (Loshchilov & Hutter 2017).
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from headstart.kernel.settings import Settings


class Optimisation(Settings):
    """Length, rates, regularisation, precision, and the choice of the final weights."""

    epochs: int = Field(default=20, ge=1)
    """Passes over the training data at most; where not given, more over few, for about 400 steps, up to 100; >= 1."""
    max_steps: int | None = Field(default=None, ge=1)
    """Optimiser steps at most, all epochs together; None: as many as the epochs have; >= 1."""
    batch_size: int = Field(default=32, ge=1)
    """Examples per optimiser step; >= 1."""
    learning_rate: float = Field(default=1e-4, gt=0)
    """Peak rate of the backbone; > 0."""
    head_learning_rate: float = Field(default=1e-3, gt=0)
    """Peak rate of heads and additions; > 0."""
    rates_tried: tuple[float, ...] = Field(default=(1.0,), min_length=1)
    """Factors on both rates; each is tried and the best on validation is kept."""
    weight_decay: float = Field(default=0.01, ge=0)
    """AdamW's decoupled decay; biases and normalisation weights have none; >= 0."""
    warmup: float = Field(default=0.1, ge=0, lt=1)
    """Share of the steps over which the rate rises linearly from 0; in [0, 1)."""
    warmup_steps: int = Field(default=0, ge=0)
    """Steps over which the rate rises at least, however few there are; up to nine tenths of them; >= 0."""
    clip: float = Field(default=1.0, ge=0)
    """Greatest norm of the gradient; 0 switches clipping off; >= 0."""
    patience: int = Field(default=5, ge=1)
    """Epochs without a better one on validation before training stops; >= 1."""
    keep: Literal["best", "last"] = "best"
    """Whose weights are kept: those of the best epoch on validation, or of the last, which then comes for certain."""
    refit: bool = False
    """Train once more, on training and validation part, with the calibration found before; needs keep = 'last'."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the products in training: 'auto' is bfloat16 where the device has it natively; weights stay float32."""
    dropout: float | None = Field(default=None, ge=0, lt=1)
    """Share of activations zeroed in the moving stages (Srivastava et al. 2014); None: as pretrained; in [0, 1)."""
    stochastic_depth: float | None = Field(default=None, ge=0, lt=1)
    """Share of examples that skip the last residual branch, less before (Huang et al. 2016); None: as pretrained."""
    averaging: float = Field(default=0.0, ge=0, lt=1)
    """Decay per step of an exponential average of the weights, which is then what is kept; 0 is off; in [0, 1)."""
    soup: bool = False
    """Average the best epochs' weights where that is better on validation (Wortsman et al. 2022)."""
    interpolate: bool = False
    """Move back towards the pretrained backbone as far as is better on validation (WiSE-FT, Wortsman et al. 2022)."""

    def warmed_up(self, steps: int) -> Self:
        """The same for so many steps: with the share of them over which the rate rises."""
        share = min(0.9, self.warmup_steps / steps)
        return self if share <= self.warmup else self.model_copy(update={"warmup": share})

    @model_validator(mode="after")
    def _keep_suits_the_rest(self) -> Self:
        if self.soup and self.keep == "last":
            raise ValueError('soup averages the best epochs, and keep = "last" keeps none of them: leave one out')
        if self.refit and (self.keep != "last" or self.interpolate):
            raise ValueError('refit leaves nothing to choose weights on: it needs keep = "last" and no interpolate')
        return self
