"""Partial fine-tuning: the last stages move, the stages before them stay frozen and run only once.

Yosinski et al. 2014 ("How transferable are features in deep neural networks?"): early layers are general, late ones
specific to what they were trained for. What leaves the frozen stages is stored, so that an epoch costs the last stages
alone, and few examples have fewer weights to spoil. Of a model that writes texts, depth = decoder moves the decoder on
kept states of its encoder.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from headstart.contracts.advice import Advice, DataFacts, Suggestion
from headstart.contracts.network import Network
from headstart.contracts.tuning import Recipe
from headstart.kernel.errors import SettingsError
from headstart.tuning._last_stages import require_stages

DECODER = "decoder"
SHARE = 0.25
"""Of the stages, that moves where no number is given: the last of a ResNet's 5, the last 3 of a 12-layer model's 13."""


def _tries(facts: DataFacts) -> tuple[Suggestion, ...]:
    """Where the head cannot be solved for; elsewhere lp_ft does the same from a better start."""
    if facts.decoder:
        return (Suggestion(0, "the encoder runs once, and the decoder learns from its states", {"depth": DECODER}),)
    return () if facts.linear else (Suggestion(0, "the frozen stages run once, so that an epoch costs little"),)


class Partial(Recipe):
    """The last stages and the head."""

    advice: ClassVar[Advice] = Advice(_tries)

    last: int | None = Field(default=None, ge=1)
    """How many stages move, counted from the end; >= 1; by default a quarter of them."""
    depth: Literal["auto", "decoder"] | None = None
    """'auto': the stages move behind the one at which, by the layer view, knowledge that transfers ends, and
    a quarter of them at least. 'decoder': those of the decoder, of a model that writes."""

    @model_validator(mode="after")
    def _one_cut(self) -> Self:
        if self.depth and self.last:
            raise ValueError(
                f"last = {self.last} and depth = {self.depth} both say which stages move: leave one of them out"
            )
        return self

    @property
    def cut_by_layers(self) -> bool:
        """True with depth = auto."""
        return self.depth == "auto"

    def cut_at(self, first: int, stages: int) -> Mapping[str, Any]:
        """The number of the last stages, as many as usual at least: fewer did worse on familiar pictures."""
        return {"depth": None, "last": max(stages - first, max(1, round(SHARE * stages)))}

    def first_stage(self, stages: int) -> int:
        """The first of the last ones."""
        return stages - (self.last or max(1, round(SHARE * stages)))

    def on(self, backbone: Network) -> Self:
        """With the number of the decoder's stages, where these are to move."""
        stages = _decoder_stages(backbone)
        return self.model_copy(update={"depth": None, "last": stages}) if self.depth == DECODER and stages else self

    def check(self, backbone: Network) -> None:
        """Raises SettingsError when more stages are to move than there are, or a decoder that there is not."""
        require_stages(backbone, self.last)
        if self.depth == DECODER and not _decoder_stages(backbone):
            raise SettingsError(f"tuning.depth = decoder: {backbone.name} has no decoder. Give tuning.last.")


def _decoder_stages(backbone: Network) -> int:
    return int(getattr(backbone, "decoder_stages", 0))
