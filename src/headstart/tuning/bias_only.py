"""BitFit: of the backbone only the biases move, a tenth of a percent of its weights, and the head.

Ben Zaken et al. 2022 ("BitFit: simple parameter-efficient fine-tuning for transformer-based masked language-models").
Biases of normalisation layers belong to them. The paper's rates, 1e-4 to 1e-3, are higher than those of full
fine-tuning; so is the default here.
"""

from __future__ import annotations

from pydantic import Field

from headstart.contracts.network import Network
from headstart.contracts.tuning import Recipe
from headstart.kernel.errors import SettingsError


class BiasOnly(Recipe):
    """The biases and the head."""

    learning_rate: float = Field(default=1e-3, gt=0)
    """Peak rate of the biases; > 0."""

    def moves(self, parameter: str) -> bool:
        """Return True for a bias."""
        return parameter.rpartition(".")[2] == "bias"

    def check(self, backbone: Network) -> None:
        """Raises SettingsError when the backbone has no biases."""
        if not any(self.moves(name) for stage in backbone.stages for name in stage.parameters):
            raise SettingsError(
                f"{backbone.name} has no biases: tuning bias_only would train only the head. "
                "Use --tuning lora or --tuning partial."
            )
