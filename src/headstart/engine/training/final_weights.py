"""Final weights of a training: those of an epoch, a soup of the best, or a point on the way back to the pretrained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from headstart.contracts.optimisation import Optimisation
from headstart.contracts.tuning import Recipe
from headstart.engine.training.best_epochs import SOUP, Kept, Weights, greedy_soup
from headstart.engine.training.interpolation import ALPHAS, best_interpolation


@dataclass(frozen=True)
class Final:
    """The weights that a training ends in."""

    kept: Kept
    soup: tuple[int, ...] = ()
    """The epochs that they are the mean of, where a soup was asked for."""
    alpha: float | None = None
    """Their place between the pretrained backbone, 0, and the fine-tuned one, 1, where that was asked for."""


def passes_needed(optimisation: Optimisation) -> int:
    """Return the greatest number of validation passes of `final_weights`."""
    return (SOUP - 1 if optimisation.soup else 0) + (len(ALPHAS) if optimisation.interpolate else 0)


def final_weights(recipe: Recipe, start: Weights, best: Sequence[Kept], cost_of: Callable[[Weights], float]) -> Final:
    """Return the weights that the recipe asks for, by their cost on validation; no worse than the best epoch.

    Args:
        start: the weights at the start. best: the best epochs, the best first.
        cost_of: measures what weights cost on validation.
    """
    final = Final(best[0])
    if recipe.soup:
        epochs, cost, weights = greedy_soup(best, cost_of)
        final = Final(Kept(best[0].epoch, cost, weights), soup=epochs)
    if recipe.interpolate:
        alpha, cost, weights = best_interpolation(start, final.kept.weights, final.kept.cost, cost_of, recipe.goes_back)
        final = Final(Kept(best[0].epoch, cost, weights), final.soup, alpha)
    return final
