"""Denoising: which numbers of a row were swapped for those of other rows, and what stood there.

Swap noise takes the place of masks, as a number that is missing would be one too: each number is replaced, with some
chance, by that of another row in the same column, so that columns keep their distributions. From the network's features
of the row x~ two small perceptrons, thrown away afterwards, find the row x as it was and where it was changed:

    loss = mean H(decoded(x~) - standardised(x)) + mean BCE(found(x~), [x~ != x])

with columns standardised by the mean and deviation in their batch.

Yoon et al. 2020 ("VIME"), whose draws from other rows and two terms these are; Rubachev et al. 2022 ("Revisiting
pretraining objectives for tabular deep learning") find them the surest choice. Differences are judged by Huber's H in
place of the square: columns of a table have long tails. SCARF (Bahri et al. 2022) contrasts rows that are corrupted so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from headstart.contracts.advice import Advice, Suggestion
from headstart.contracts.carriers import State
from headstart.contracts.network import Network
from headstart.contracts.objective import TARGET, Objective, Step
from headstart.kernel.errors import SettingsError
from headstart.objectives._draws import draws_for
from headstart.objectives._perceptron import embeddings, perceptron

EPSILON = 1e-5
"""Added to a column's variance."""


class Denoising(Objective):
    """Finding and mending the numbers of a row that were swapped."""

    streams: ClassVar[tuple[str, ...]] = (TARGET,)
    modalities: ClassVar[tuple[str, ...]] = ("table",)
    gathers: ClassVar[bool] = True
    advice: ClassVar[Advice] = Advice(
        pretrains={"table": Suggestion(0, "rows teach how their columns go together")}, initial_backbone="table_mlp"
    )

    rate: float = Field(default=0.3, gt=0, lt=1)
    """Chance of a number to be swapped; in (0, 1)."""
    hidden: int = Field(default=256, ge=1)
    """Width of the hidden layers of the two perceptrons; >= 1."""

    def first_stage(self, stages: int) -> int:  # noqa: ARG002
        """It changes inputs."""
        return 0

    def check(self, backbone: Network) -> None:
        """Refuse what has no weights, or does not say how many columns it reads. Raises SettingsError."""
        if not any(True for _ in backbone.module.parameters()):
            raise SettingsError(
                f"{backbone.name} has no weights to train. Use --backbone table_mlp --weights random, or a run of it."
            )
        _columns(backbone)

    def additions(self, backbone: Network) -> Mapping[str, nn.Module]:
        """The two perceptrons."""
        widths = [backbone.width, self.hidden, _columns(backbone)]
        return {"decoder": perceptron(widths), "finder": perceptron(widths)}

    def losses(self, step: Step) -> Mapping[str, Tensor]:
        """ "values" and "swapped", each a scalar ()."""
        batch = step.batches[TARGET]
        rows = batch.state.hidden
        every, columns = step.gathered(rows), rows.shape[1]
        draws = draws_for(step, batch, "numbers swapped")
        swaps = torch.from_numpy(np.stack([own.random(columns) < self.rate for own in draws])).to(rows.device)
        others = torch.from_numpy(np.stack([own.integers(len(every), size=columns) for own in draws])).to(rows.device)
        noisy = torch.where(swaps, every.gather(0, others), rows)
        pooled = step.features(replace(batch, state=State(noisy, batch.state.context))).pooled
        decoded, found = (embeddings(step, name, pooled) for name in ("decoder", "finder"))
        changed = (noisy != rows).to(found.dtype)
        return {
            "values": nn.functional.huber_loss(decoded, _standardised(rows, every)),
            "swapped": nn.functional.binary_cross_entropy_with_logits(found, changed),
        }


def _standardised(rows: Tensor, every: Tensor) -> Tensor:
    """(rows, columns), where each column of `every` row has mean 0 and variance 1, or the same number everywhere."""
    variance, mean = torch.var_mean(every, dim=0, correction=0)
    return (rows - mean) / (variance + EPSILON).sqrt()


def _columns(backbone: Network) -> int:
    columns = backbone.preparation().get("columns")
    if not isinstance(columns, int):
        raise SettingsError(f"{backbone.name} does not say how many columns it reads. Use --backbone table_mlp.")
    return columns
