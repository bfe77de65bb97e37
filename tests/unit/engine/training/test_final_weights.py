from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

from headstart.contracts.tuning import Rate
from headstart.engine.training.best_epochs import BestEpochs, Kept, greedy_soup
from headstart.engine.training.final_weights import final_weights, passes_needed
from headstart.engine.training.interpolation import ALPHAS, best_interpolation, between
from headstart.engine.training.loop import Loop
from headstart.engine.training.training_plan import TrainingPlan
from headstart.kernel.errors import TrainingError
from headstart.objectives.l2_sp import L2SP
from headstart.objectives.supervised import Supervised
from small_trainings import RECIPE, changed, small_loop


def at(value: float) -> dict[str, Tensor]:
    return {"backbone.w": torch.tensor(value), "heads.w": torch.tensor(value), "backbone.n": torch.tensor(int(value))}


def distance_to(wanted: float) -> object:
    return lambda weights: abs(float(weights["backbone.w"]) - wanted)


def kept(*values: float, wanted: float) -> list[Kept]:
    found = [Kept(epoch, abs(value - wanted), at(value)) for epoch, value in enumerate(values)]
    return sorted(found, key=lambda one: one.cost)


def test_the_best_epochs_are_kept_in_order_and_the_earlier_of_equal_ones_first() -> None:
    best = BestEpochs(2)
    for epoch, loss in enumerate([3.0, 1.0, 2.0, 1.0, 5.0]):
        if best.wants(loss):
            best.add(Kept(epoch, loss, {}))
    assert [(one.epoch, one.cost) for one in best.kept] == [(1, 1.0), (3, 1.0)]


def test_a_soup_takes_in_what_lowers_the_loss_and_nothing_else() -> None:
    candidates = kept(6.0, 3.0, 9.0, wanted=4.4)  # losses 1.6, 1.4 and 4.6, the second epoch first
    soup = greedy_soup(candidates, distance_to(4.4))  # type: ignore[arg-type]
    assert soup.epochs == (1, 0)
    assert float(soup.weights["backbone.w"]) == 4.5
    assert soup.cost == pytest.approx(0.1)
    assert soup.weights["backbone.n"] == 3


def test_all_members_of_a_soup_have_equal_parts() -> None:
    falling = iter([-1.0, -2.0])
    soup = greedy_soup(kept(1.0, 4.0, 10.0, wanted=4.0), lambda _: next(falling))
    assert soup.epochs == (1, 0, 2)
    torch.testing.assert_close(soup.weights["backbone.w"], torch.tensor(5.0))


def test_a_soup_that_helps_nothing_is_the_best_epoch_itself() -> None:
    candidates = kept(5.0, 9.0, wanted=5.0)
    soup = greedy_soup(candidates, distance_to(5.0))  # type: ignore[arg-type]
    assert (soup.epochs, soup.cost) == ((0,), 0.0)
    assert soup.weights is candidates[0].weights


def test_between_moves_the_backbone_and_leaves_the_head() -> None:
    found = between(at(0.0), at(10.0), 0.2)
    assert (float(found["backbone.w"]), float(found["heads.w"]), int(found["backbone.n"])) == (2.0, 10.0, 10)


@pytest.mark.parametrize(("wanted", "alpha"), [(10.0, 1.0), (6.0, 0.6), (-5.0, 0.0)])
def test_the_point_with_the_lowest_loss_is_chosen_and_never_a_worse_one(wanted: float, alpha: float) -> None:
    loss = abs(10.0 - wanted)
    found = best_interpolation(at(0.0), at(10.0), loss, distance_to(wanted))  # type: ignore[arg-type]
    assert found.alpha == alpha
    assert found.cost <= loss


def test_the_soup_is_interpolated_where_both_are_asked_for() -> None:
    recipe = changed(soup=True, interpolate=True)
    measured: list[Mapping[str, Tensor]] = []

    def loss_of(weights: Mapping[str, Tensor]) -> float:
        measured.append(weights)
        return abs(float(weights["backbone.w"]) - 3.6)

    final = final_weights(recipe, at(0.0), kept(6.0, 3.0, wanted=3.6), loss_of)
    assert (final.soup, final.alpha) == ((1,), 1.0)
    assert len(measured) == 1 + len(ALPHAS) <= passes_needed(recipe)


def test_a_training_ends_no_worse_than_its_best_epoch_and_says_what_it_did() -> None:
    plain = small_loop(changed(epochs=8, learning_rate=0.05))
    plain.run()
    loop = small_loop(changed(epochs=8, learning_rate=0.05, soup=True, interpolate=True))
    progress = loop.run()
    assert progress.best_cost <= min(epoch.val_loss for epoch in progress.history) == plain.progress.best_cost
    assert progress.best_cost == loop.validate()[0]
    assert progress.soup and progress.alpha is not None
    choices = progress.choices()
    assert {"soup_of_epochs", "share_of_fine_tuned", "precision"} == set(choices)


def test_what_would_do_nothing_is_refused() -> None:
    head_only = [Rate(-1, 1.0)]
    interpolated = changed(interpolate=True)
    for plan in (
        TrainingPlan(Supervised(), interpolated, head_only, 0, 0),
        TrainingPlan(Supervised(), interpolated, [*head_only, Rate(2, 1.0)], 0, 0, pretrained=False),
        TrainingPlan(L2SP(), RECIPE, head_only, 0, 0),
        TrainingPlan(L2SP(), RECIPE, [*head_only, Rate(2, 1.0)], 0, 0, pretrained=False),
    ):
        with pytest.raises(TrainingError, match="no pretrained stage moves"):
            Loop(small_loop().model, plan, {}, small_loop().validation.stream)
