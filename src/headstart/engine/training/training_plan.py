"""Settings that decide a training beside the model and the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from headstart.contracts.head_shape import Bottleneck
from headstart.contracts.model import Learner
from headstart.contracts.objective import Objective
from headstart.contracts.tuning import Rate, Recipe
from headstart.engine.streams import Stream, selected
from headstart.engine.training.optimiser import HEAD
from headstart.kernel.errors import TrainingError


@dataclass(frozen=True)
class TrainingPlan:
    """A training as the loop is given it."""

    objective: Objective
    recipe: Recipe
    rates: Sequence[Rate]
    boundary: int
    """The first stage that runs in the loop: earlier ones are in the streams' states already. One more than there are
    stages where the states are pooled features."""
    seed: int
    budget: float | None = None
    """Seconds, validation included; the number of epochs is chosen to fit, and training stops there in any case."""
    epochs: int | None = None
    """Fixes the number of epochs, over which the rate falls; None: the recipe's, or what the budget allows of them."""
    passes_after: int = 0
    """Passes over the validation examples that follow the training and for which the budget must leave the time."""
    pretrained: bool = True
    """Whether the backbone starts from pretrained weights."""
    latest: bool = False
    """Whether the last epoch's weights are kept: a validation loss without labels does not say which are the best."""

    def moving(self, done: float = 1.0) -> set[int]:
        """The numbers of the stages that move once a share of the training is done, `HEAD` among them."""
        return {rate.stage for rate in self.rates if rate.start <= done}

    def length(self, steps: int) -> tuple[int, int]:
        """(epochs, steps of each) where a pass over the data takes so many steps; a single epoch may be cut short."""
        epochs, most = self.epochs or self.recipe.epochs, self.recipe.max_steps
        if most is None or epochs * steps <= most:
            return epochs, steps
        return (most // steps, steps) if most >= steps else (1, most)

    def all_move(self) -> float:
        """The share of the training after which everything moves that ever does."""
        return max(rate.start for rate in self.rates)

    def check(self, streams: Mapping[str, Stream]) -> Mapping[str, Stream]:
        """Refuse what would do nothing, or not what it says; return those of the streams that the objective asks for.

        Raises:
            TrainingError: something would do nothing. SettingsError: a stream is missing or empty.
        """
        self._check_what_moves()
        names = selected(self.objective.streams, {name: stream.rows for name, stream in streams.items()})
        return {name: streams[name] for name in names}

    def check_reach(self, model: Learner) -> None:
        """Refuse an objective that needs features to move where none do. Raises TrainingError."""
        stages = len(model.backbone.stages)
        moves = any(parameter.requires_grad for parameter in model.backbone.module.parameters())
        behind = any(isinstance(head, Bottleneck) for head in model.heads.values())
        if self.objective.first_stage(stages) < stages and not moves and not behind:
            raise TrainingError(
                f"the objective works on features, and no weight of the backbone {model.backbone.name} moves: it would "
                "do nothing. Choose a tuning or a backbone that trains, or another objective."
            )

    def _check_what_moves(self) -> None:
        if self.recipe.beside and self.objective.anchored:
            raise TrainingError(
                "the objective holds weights to their pretrained values, and this tuning leaves them as they are and "
                "moves matrices beside them. Use another objective, such as supervised, or a tuning such as full."
            )
        if self.pretrained and self.moving() - {HEAD}:
            return
        if self.recipe.interpolate:
            raise TrainingError("interpolate = true would do nothing: no pretrained stage moves. Leave it out.")
        if self.objective.anchored:
            raise TrainingError(
                "the objective holds weights to their pretrained values, and no pretrained stage moves. Use another "
                "objective, such as supervised, or a tuning such as full."
            )
