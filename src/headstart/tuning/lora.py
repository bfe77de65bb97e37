"""LoRA: the weights stay, and beside each layer's a product of two thin matrices is learnt and added in the end.

Hu et al. 2022 ("LoRA: low-rank adaptation of large language models"): h = W x + alpha / rank * B A x, with A
(rank, inputs) random and B (outputs, rank) zero at the start, so that training begins from the pretrained model. Of a
convolution, A has its kernel and B is one of 1 x 1. The layers are peft's. After training W becomes W + alpha / rank *
B A: the saved model is one like any other, and needs no peft. The paper adapts the attention's queries and values;
here it is every layer, as Biderman et al. 2024 ("LoRA learns less and forgets less") advise. A soup and an exponential
average are of A and of B each, which is not the mean of their products; validation judges what comes of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from headstart.contracts.advice import Advice, DataFacts, Suggestion
from headstart.contracts.network import Network
from headstart.contracts.tuning import N, Recipe
from headstart.tuning._adapters import ADAPTER, FIRST_FACTOR, adapted, choose_layers, merge, require_peft
from headstart.tuning._last_stages import require_stages


def _tries(facts: DataFacts) -> tuple[Suggestion, ...]:
    """On transformers, where it is at home."""
    return (Suggestion(2, "few weights move, so that few examples spoil little"),) if facts.attention else ()


class Lora(Recipe):
    """Low-rank matrices beside the frozen layers, and the head."""

    advice: ClassVar[Advice] = Advice(_tries)
    beside: ClassVar[bool] = True

    rank: int = Field(default=8, ge=1)
    """Rows of A and columns of B; >= 1."""
    alpha: float = Field(default=16.0, gt=0)
    """Their product is scaled by alpha / rank; > 0."""
    adapter_dropout: float = Field(default=0.0, ge=0, lt=1)
    """Share of the inputs of A that are dropped in training; in [0, 1)."""
    layers: tuple[str, ...] = ()
    """Layers to adapt, by the ends of their names, such as ["query", "value"]; by default every Linear and Conv2d."""
    last: int | None = Field(default=None, ge=1)
    """How many stages are adapted, counted from the end; >= 1; by default all. Stages before them run only once."""
    learning_rate: float = Field(default=1e-3, gt=0)
    """Peak rate of A and B; > 0."""

    def first_stage(self, stages: int) -> int:
        """The first that is adapted."""
        return stages - (self.last or stages)

    def moves(self, parameter: str) -> bool:
        """Return True for a parameter of A or B."""
        return ADAPTER in parameter

    def goes_back(self, parameter: str) -> bool:
        """B towards zero, and A stays: so the product goes back in a straight line."""
        return FIRST_FACTOR not in parameter

    def check(self, backbone: Network) -> None:
        """Raises SettingsError when peft is missing, no layer is what is asked for, or there are fewer stages."""
        require_peft()
        require_stages(backbone, self.last)
        choose_layers(backbone, self.first_stage(len(backbone.stages)), self.layers)

    def adapted(self, backbone: N, seed: int) -> N:
        """The backbone with A and B beside its layers. Raises SettingsError as `check` does."""
        layers = choose_layers(backbone, self.first_stage(len(backbone.stages)), self.layers)
        return adapted(backbone, layers, rank=self.rank, alpha=self.alpha, dropout=self.adapter_dropout, seed=seed)

    def merge(self, backbone: Network) -> Mapping[str, int]:
        """Add the products to the weights and take A and B away; how many layers had them, and how many in vain."""
        return merge(backbone.module)
