"""The whole search on a backbone of three tiny stages, in time that only steps and validations use up."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import softmax

from head_shapes import SHAPES
from headstart.contracts.advice import Advice, Suggestion
from headstart.contracts.backbone import state_hash
from headstart.contracts.blended_head import Blended
from headstart.contracts.task import Evaluation
from headstart.engine.frozen.content_keys import content_keys
from headstart.engine.frozen.extract import extract
from headstart.engine.frozen.infer import Predictor
from headstart.engine.store.feature_store import FeatureStore
from headstart.engine.training.finite import BrokenOffError
from headstart.engine.training.loop import Loop
from headstart.engine.training.stepping import Stepper
from headstart.engine.training.validation import Validation
from headstart.evidence.splits import Split
from headstart.kernel.errors import SettingsError, TrainingError
from headstart.kernel.progress import Quiet
from headstart.objectives.contrastive import Contrastive
from headstart.objectives.supervised import Supervised
from headstart.pipeline.arms import model_with, solve_arm, train_arm
from headstart.pipeline.budget import Budget
from headstart.pipeline.context import FitContext
from headstart.pipeline.defaults_by_size import with_enough_epochs
from headstart.pipeline.plan import Plan, read_plan
from headstart.pipeline.plan_file import write_plan
from headstart.pipeline.prepare import Prepared
from headstart.pipeline.record import DataSummary
from headstart.pipeline.refit import trained_and_refitted
from headstart.pipeline.trained import predict_rows, weights_of
from headstart.runners.eager import Eager
from headstart.search.candidates import candidates
from headstart.search.cost import Cost
from headstart.search.cross_fitting import KEPT, CrossFitting, time_on_all
from headstart.search.search import Found, Search
from headstart.search.trial import Trial, reached
from headstart.tasks.classification.metrics import classification_metrics
from headstart.tasks.classification.task import Classification
from headstart.tuning.full import Full
from tiny_backbone import TinyBackbone, numeric_examples

pytestmark = pytest.mark.slow

SHORT: dict[str, Any] = {"epochs": 8, "batch_size": 32, "precision": "float32", "tunings": ["full", "lp_ft"]}
TEACHABLE: dict[str, Any] = {**SHORT, "epochs": 24, "learning_rate": 0.02, "head_learning_rate": 0.02}


def bench_of(
    work: Path | None, tuning: Mapping[str, Any], *, noise: bool = False, judged: int = 80, **plan: Any
) -> FitContext:
    """Points in four quarters, of which opposite ones are a class: no line divides them; or labels of pure chance.

    So many of them, up to 80, are for validation.
    """
    draws = np.random.default_rng(0)
    features = draws.normal(size=(400, 4))
    labels = draws.integers(2, size=400) if noise else (features[:, 0] * features[:, 1] > 0).astype(int)
    examples = numeric_examples(features, labels.tolist())
    task, backbone = Classification().bind(examples, SHAPES), TinyBackbone(dropout=0.0)
    keys = [str(key) for key in content_keys(examples).keys]
    split = Split(np.arange(0, 320 - judged), np.arange(320 - judged, 320), np.arange(320, 400))
    summary = DataSummary(source="", seen="", modality="table", parts=())
    made = Plan(data="<made>", tuning="auto", augmentation="auto", settings={"tuning": dict(tuning)}, **plan)
    targets, strata = task.targets(examples), task.settings.split_policy(examples).strata
    data = Prepared(examples, made.columns, keys, task, targets, strata, None, split, summary)
    backbone.module.eval()
    features_found = extract(backbone, examples, keys, runner=Eager())
    return FitContext(made, data, backbone, features_found, work, Quiet(), FeatureStore())


def blending(context: FitContext, **settings: Any) -> FitContext:
    plan = context.plan
    return replace(context, plan=plan.model_copy(update={"settings": {**plan.settings, "blend": settings}}))


def searched(context: FitContext, time_budget: Budget | None = None) -> Found:
    return Search(context, solve_arm(context, "probe"), time_budget or Budget(None), 0.0).run()


def weights(context: FitContext) -> str:
    return state_hash(context.backbone.module.state_dict())


def test_fine_tuning_that_beats_the_probe_is_kept_and_its_plan_repeats_it(tmp_path: Path) -> None:
    context = bench_of(tmp_path, TEACHABLE, budget=600.0)
    found = searched(context, Budget(600.0))
    assert found.arm is not None
    (kept,) = [one for one in found.candidates if one.fate == "kept"]
    assert found.context.plan.tuning == kept.tuning != "auto"
    assert kept.val_low <= kept.val_metric <= kept.val_high
    assert "beats the frozen probe" in found.sentence
    write_plan(tmp_path / "plan.toml", found.context.plan, found.decisions)
    again = replace(bench_of(None, {}), plan=read_plan(tmp_path / "plan.toml"))
    tuning, more = with_enough_epochs(again.plan.plugin("tuning"), 16)
    assert more is None
    repeated = train_arm(again, "model", tuning, "again", 600.0, solve_arm(again, "probe"))
    assert weights(again) == weights(context)
    assert repeated.model.calibration == found.arm.model.calibration


def test_a_plan_names_what_a_setting_has_by_default_too() -> None:
    """Else more epochs are given to few examples when the plan is carried out under its budget."""
    candidate = candidates(bench_of(None, {"tunings": ["full"]}))[0][0].at(1.0, epochs=Full().epochs)
    recipe = candidate.context.plan.plugin("tuning")
    assert recipe == candidate.recipe
    assert with_enough_epochs(recipe, 16) == (recipe, None)


def test_labels_of_pure_chance_leave_the_probe_and_its_backbone(tmp_path: Path) -> None:
    context = bench_of(tmp_path, SHORT, noise=True)
    before = weights(context)
    found = searched(context)
    assert found.arm is None
    assert found.context.plan.tuning == "probe"
    assert weights(context) == before
    assert found.candidates[0].fate == "kept" and found.candidates[0].tuning == "probe"
    assert "did not significantly beat the frozen probe, so the probe is the model" in found.sentence


def test_each_round_halves_the_candidates_by_validation_loss(tmp_path: Path) -> None:
    found = searched(
        bench_of(tmp_path, {**SHORT, "learning_rate": 0.02, "tunings": ["full", "gradual", "surgical", "bias_only"]})
    )
    tuned = [one for one in found.candidates if one.tuning != "probe"]
    epochs = sorted(one.epochs for one in tuned)
    assert epochs == [2, 2, 4, 8]
    assert sum(one.fate == "dropped after round 1" for one in tuned) == 2
    assert sum(one.fate == "dropped after round 2" for one in tuned) == 1
    told = {one.what: one for one in found.decisions}
    for one in tuned:
        decision = told[f"candidate {one.name}"]
        assert decision.value == one.fate
        assert (
            f"Accuracy {100 * one.val_metric:.1f} % on validation at its best, {one.epochs} epochs" in decision.reason
        )


def test_tunings_that_are_never_tried_unless_they_are_named_are_told_of() -> None:
    told = [one for one in candidates(bench_of(None, {}))[1] if one.what == "tunings left out"]
    assert "bias_only" in told[0].value and "gradual" in told[0].value
    assert not [one for one in candidates(bench_of(None, SHORT))[1] if one.what == "tunings left out"]


def test_a_round_says_what_its_candidates_are_compared_by() -> None:
    candidate = candidates(bench_of(None, SHORT))[0][0]
    courses = (0.5, 0.75), (0.25, 0.875)
    alive = [Trial(candidate, Cost(1.0, 1, 1.0), 8, 20, lowest=cost, metric=accuracy) for cost, accuracy in courses]
    assert reached(Evaluation(classification_metrics()), alive) == "lowest validation loss 0.25"
    assert (
        reached(Evaluation(classification_metrics(), chosen_by="metric"), alive) == "best Accuracy on validation 87.5 %"
    )
    assert alive[0].shortened() == " The budget left it 8 of the 20 epochs that it wants."
    assert not replace(alive[0], wanted=8).shortened()


def test_what_the_user_set_is_in_every_candidate(tmp_path: Path) -> None:
    given = {"epochs": 4, "learning_rate": 0.005, "batch_size": 48, "stage_decay": 0.5, "tunings": ["full", "lp_ft"]}
    search = Search(context := bench_of(tmp_path, given), solve_arm(context, "probe"), Budget(None), 0.0)
    found = search.run()
    tuned = [one for one in found.candidates if one.tuning != "probe"]
    assert {one.tuning for one in tuned} == {"full", "lp_ft"}
    assert {one.learning_rate for one in tuned} == {0.005}
    assert not {"tuning.epochs", "tuning.batch_size", "tuning.stage_decay"} & {one.what for one in found.decisions}
    for candidate in search.possible:
        assert {name: getattr(candidate.recipe, name) for name in given if name != "tunings"} == {
            name: value for name, value in given.items() if name != "tunings"
        }


def test_rates_that_are_free_are_tried_with_their_neighbours() -> None:
    found = searched(bench_of(None, {"tunings": ["full"], "epochs": 2, "precision": "float32"}))
    (told,) = [one for one in found.decisions if one.what == "learning rates of full"]
    assert told.value == "0.0001, 0.00032, 3.2e-05" and told.reason.startswith("its own, and half a decade above and")
    assert {f"{one.learning_rate:.2g}" for one in found.candidates[1:]} == set(told.value.split(", "))


@pytest.mark.parametrize(("given", "moved"), [({}, 3.0), ({"head_learning_rate": 0.02}, 1.0)])
def test_rates_that_are_the_user_s_stay_where_others_move(given: dict[str, float], moved: float) -> None:
    candidate = candidates(bench_of(None, {**SHORT, **given, "tunings": ["full"]}))[0][0]
    other = candidate.at(3.0).recipe
    assert other.learning_rate == pytest.approx(3.0 * candidate.recipe.learning_rate)
    assert other.head_learning_rate == pytest.approx(moved * candidate.recipe.head_learning_rate)


def test_a_way_that_the_user_s_settings_make_the_same_as_another_is_tried_once() -> None:
    def names(**given: Any) -> list[str]:
        return [candidate.name for candidate in candidates(bench_of(None, {**SHORT, "tunings": ["lp_ft"], **given}))[0]]

    assert names() == ["lp_ft", "lp_ft, last 1"]
    assert names(last=2) == ["lp_ft"]


def test_of_a_head_alone_the_head_s_rates_are_looked_for() -> None:
    one = searched(bench_of(None, {**SHORT, "epochs": 1, "tunings": ["head_only"], "head_learning_rate": 0.02}))
    assert [found.name for found in one.candidates[1:]] == ["head_only, 0.02"]
    (candidate,) = candidates(bench_of(None, {**SHORT, "tunings": ["head_only"]}))[0]
    assert candidate.at(3.0).rate == pytest.approx(3.0 * candidate.recipe.head_learning_rate)


def test_where_every_candidate_diverges_the_probe_stays(tmp_path: Path) -> None:
    wild = {**SHORT, "learning_rate": 1e30, "head_learning_rate": 1e30, "clip": 0.0}
    found = searched(bench_of(tmp_path, wild))
    assert found.arm is None
    assert [one.tuning for one in found.candidates] == ["probe"], "its first steps have shown it"
    assert "every fine-tuning failed" in found.sentence


def test_where_every_candidate_fails_later_the_probe_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> None:
        raise TrainingError("the loss became nan")

    monkeypatch.setattr(Loop, "_judge", fails)
    found = searched(bench_of(None, {**SHORT, "learning_rate": 0.01}))
    assert found.arm is None
    assert [one.fate for one in found.candidates] == ["kept", *["failed: the loss became nan"] * 3]
    assert [one.value for one in found.decisions].count("failed: the loss became nan") == 3
    assert "every fine-tuning failed" in found.sentence


def test_a_candidate_that_was_broken_off_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    judge, judged = Loop._judge, []

    def fails_the_second_time(loop: Loop, *arguments: Any) -> Any:
        if loop in judged:
            raise BrokenOffError("the loss became nan")
        judged.append(loop)
        return judge(loop, *arguments)

    monkeypatch.setattr(Loop, "_judge", fails_the_second_time)
    found = searched(bench_of(None, {**SHORT, "learning_rate": 0.01, "tunings": ["full"]}))
    (_, full) = found.candidates
    assert full.fate.endswith("; broken off: the loss became nan") and full.epochs >= 1
    assert full.fate in {one.value for one in found.decisions}


@pytest.mark.parametrize(
    ("tuning", "plan", "why"),
    [
        ({"interpolate": True}, {}, "no pretrained stage moves"),
        ({}, {"objective": "l2_sp"}, "it would train nothing"),
        ({"stochastic_depth": 0.1, "epochs": 2}, {}, "have no place for it"),
    ],
)
def test_ways_on_which_a_setting_would_do_nothing_are_left_out_and_where_none_is_left_it_is_refused(
    tuning: dict[str, Any], plan: dict[str, Any], why: str
) -> None:
    given = {**SHORT, "learning_rate": 0.01, **tuning}
    with pytest.raises(SettingsError, match=why):
        searched(bench_of(None, {**given, "tunings": ["head_only"]}, **plan))
    if "stochastic_depth" not in tuning:  # of which the backbone has no place at all
        found = searched(bench_of(None, {**given, "tunings": ["head_only", "full"]}, **plan))
        assert {one.tuning for one in found.candidates} == {"probe", "full"}
        (told,) = [one for one in found.decisions if one.what == "head_only"]
        assert told.value == "not tried" and why in told.reason


def test_a_tuning_that_is_named_and_suits_no_layer_is_refused() -> None:
    with pytest.raises(SettingsError, match="no_such_layer"):
        searched(bench_of(None, {"tunings": ["lora"], "layers": ["no_such_layer"]}))


def test_where_nothing_fits_into_the_memory_no_way_has_a_price_and_the_plan_says_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Supervised, "losses", full)
    found = searched(bench_of(None, {**SHORT, "tunings": ["full"]}))
    assert [one.tuning for one in found.candidates] == ["probe"]
    (told,) = [one for one in found.decisions if one.what == "full"]
    assert told.value == "not tried" and "memory is too small" in told.reason
    assert "every fine-tuning failed" in found.sentence


def test_views_that_cannot_be_averaged_over_are_refused_before_anything_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(*_: Any) -> int:
        raise SettingsError("scores of tokens cannot be averaged")

    monkeypatch.setattr("headstart.search.search_state.views_averaged", refuses)
    monkeypatch.setattr(Loop, "run", lambda *_: pytest.fail("it trains"))
    with pytest.raises(SettingsError, match="cannot be averaged"):
        searched(bench_of(None, SHORT))


class Died(BaseException):
    """What stands for a kill."""


def test_a_killed_search_goes_on_and_is_the_same_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[int] = []
    step = Loop.step

    def counted(self: Any, batches: Any) -> None:
        steps.append(1)
        if len(steps) == 150:
            raise Died
        step(self, batches)

    monkeypatch.setattr(Loop, "step", counted)
    whole_bench = bench_of(tmp_path / "whole", SHORT)
    with pytest.raises(Died):
        searched(bench_of(tmp_path / "killed", SHORT))
    steps[:] = [1] * 1000
    whole = searched(whole_bench)
    needed = len(steps) - 1000
    steps[:] = [1] * 1000
    resumed_bench = bench_of(tmp_path / "killed", SHORT)
    resumed = searched(resumed_bench)
    made = len(steps) - 1000
    assert needed - 150 <= made < needed - 100
    assert weights(resumed_bench) == weights(whole_bench)
    keys = ("name", "epochs", "val_metric", "fate")
    told = [[getattr(one, key) for key in keys] for one in resumed.candidates[1:]]
    assert told == [[getattr(one, key) for key in keys] for one in whole.candidates[1:]]


class Clock:
    """Stands still, but for what steps and validations take."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, step: float, validation: float, slower: float = 1.0) -> None:
        """Seconds of each; in real trainings, not in rehearsals, a step takes `slower` times as long."""
        self.now, self.training = 1000.0, False
        make, judge, epoch = Stepper.__call__, Validation._parts, Loop._epoch

        def stepping(stepper: Any, *given: Any) -> float:
            self.now += step * (slower if self.training else 1.0)
            return make(stepper, *given)

        def judging(validation_of: Any) -> Any:
            self.now += validation
            return judge(validation_of)

        def training(loop: Any, *given: Any) -> None:
            self.training = True
            epoch(loop, *given)
            self.training = False

        monkeypatch.setattr(Stepper, "__call__", stepping)
        monkeypatch.setattr(Validation, "_parts", judging)
        monkeypatch.setattr(Loop, "_epoch", training)
        monkeypatch.setattr(time, "monotonic", lambda: self.now)


@pytest.mark.parametrize("seconds", [20.0, 60.0])
@pytest.mark.parametrize("slower", [1.0, 1.7])
def test_a_search_keeps_to_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, slower: float
) -> None:
    context = bench_of(tmp_path, {"precision": "float32", "tunings": ["full", "lp_ft"]})
    clock = Clock(monkeypatch, step=0.1, validation=0.05, slower=slower)
    time_budget = Budget(seconds, lambda: clock.now)
    found = searched(context, time_budget)
    assert time_budget.used() <= 1.05 * seconds
    assert time_budget.used() >= 0.4 * seconds, "hardly anything was tried"
    assert any(one.epochs > 0 for one in found.candidates)


def test_without_time_the_probe_stays_and_nothing_is_begun(tmp_path: Path) -> None:
    context = bench_of(tmp_path, SHORT)
    found = searched(context, Budget(1.0, iter([0.0, *[0.5] * 999]).__next__))
    assert found.arm is None
    assert found.candidates[0].fate == "kept"
    assert math.isnan(found.candidates[0].learning_rate)
    assert "no time is left" in found.sentence


def test_where_few_are_judged_all_that_are_labelled_are_asked(tmp_path: Path) -> None:
    context = blending(bench_of(tmp_path, {**TEACHABLE, "tunings": ["full"]}, judged=20), allowed=False)
    found = searched(context)
    assert found.arm is not None
    told = {one.what: one for one in found.decisions}
    assert told["cross-fitting"].value == "5 folds"
    assert "320 labelled examples, each predicted without it, in 5 folds, after 24 epochs" in told["model"].reason
    assert "On 320 labelled examples, each predicted without it, the best fine-tuning (full" in found.sentence
    assert "beats the frozen probe by more than a standard error" in found.sentence
    tuning = found.context.plan.plugin("tuning")
    assert tuning.keep == "last" and tuning.refit
    assert found.arm.chosen["best_epoch"] == found.arm.chosen["epochs"] == 24
    again = replace(bench_of(None, {}, judged=20), plan=found.context.plan)
    repeated = trained_and_refitted(again, tuning, "again", None, solve_arm(again, "probe"))
    assert weights(again) == weights(context)
    assert "trained once more, on training and validation part" in {one.value for one in found.arm.decisions}
    assert repeated.model.calibration == found.arm.model.calibration


def test_no_fold_is_predicted_by_a_training_that_saw_it() -> None:
    """Labels of pure chance are learnt by heart, and that helps only where they were seen."""
    wild = {**TEACHABLE, "epochs": 60, "tunings": ["full"]}
    found = searched(bench_of(None, wild, noise=True, judged=20))
    assert found.arm is None and {one.what: one for one in found.decisions}["cross-fitting"].value == "5 folds"
    (told,) = [one for one in found.decisions if one.what == "model"]
    assert "on 320 labelled examples" in told.reason
    (full,) = [one for one in found.candidates if one.tuning == "full"]
    assert full.epochs == 60


def test_a_comparison_that_was_made_is_not_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {**SHORT, "epochs": 2, "learning_rate": 0.02, "tunings": ["full"]}
    first = searched(bench_of(tmp_path, given, judged=20))
    monkeypatch.setattr(CrossFitting, "_made", None)
    assert searched(bench_of(tmp_path, given, judged=20)).sentence == first.sentence


def test_four_folds_and_a_training_on_all_fit_into_the_time_that_is_kept() -> None:
    assert time_on_all(10.0, 5, 1.25, 1.0) == pytest.approx(5 * 1 + 4 * 10 + 12.5)
    assert time_on_all(1.0 - KEPT, 4, 1.25, 0.0) == pytest.approx(KEPT)


@pytest.mark.parametrize(("seconds", "told"), [(10.0, "5 folds"), (15.0, "3 folds"), (40.0, "left out")])
def test_there_are_as_many_folds_as_there_is_time_for_and_else_validation_decides(
    monkeypatch: pytest.MonkeyPatch, seconds: float, told: str
) -> None:
    monkeypatch.setattr("headstart.search.cross_fitting.time_on_all", lambda _, count, *__: count * seconds)
    monkeypatch.setattr(Search, "left", lambda _: 58.0)
    found = searched(bench_of(None, {**SHORT, "epochs": 2, "learning_rate": 0.01, "tunings": ["full"]}, judged=32))
    decision = {one.what: one for one in found.decisions}["cross-fitting"]
    assert decision.value == told


def test_a_training_on_all_labels_that_does_not_fit_is_left_out_and_the_plan_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    openings = iter([0.0, math.inf])  # for the folds, and for all
    monkeypatch.setattr(CrossFitting, "_opening", lambda *_: next(openings))
    context = bench_of(tmp_path, {**TEACHABLE, "tunings": ["full"]}, judged=20, budget=1e6)
    found = searched(context, Budget(1e6))
    assert found.arm is not None
    told = {one.what: one for one in found.arm.decisions}["the weights"]
    assert told.value == "of the training part alone" and "are left" in told.reason
    assert not found.context.plan.plugin("tuning").refit
    again = replace(bench_of(None, {}, judged=20), plan=found.context.plan)
    train_arm(again, "model", again.plan.plugin("tuning"), "again", None, solve_arm(again, "probe"))
    assert weights(again) == weights(context)


PAIRS_ARE_MANY = Advice(
    lambda facts: (Suggestion(0, "pairs are many", {"batch_size": 16, "learning_rate": 5e-5, "stage_decay": 1.0}),)
)


def test_an_objective_that_suits_is_tried_beside_the_most_promising_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Contrastive, "advice", PAIRS_ARE_MANY)
    context = bench_of(None, {"tunings": ["full", "lp_ft"], "learning_rate": 0.003}, objective="auto")
    first, *others = candidates(context)[0]
    assert first.name == "lp_ft, contrastive" and first.reason.startswith("pairs are many, and ")
    plan = first.context.plan
    assert (plan.tuning, plan.objective) == ("lp_ft", "contrastive")
    recipe = plan.plugin("tuning")
    assert recipe == first.recipe and (recipe.batch_size, recipe.stage_decay) == (16, 1.0)
    assert recipe.epochs == 27, "400 steps of 240 examples in batches of 16"
    assert recipe.learning_rate == 0.003, "it is the user's"
    assert others and {candidate.context.plan.objective for candidate in others} == {"supervised"}
    named = bench_of(None, {"tunings": ["full", "lp_ft"]}, objective="l2_sp")
    assert {candidate.context.plan.objective for candidate in candidates(named)[0]} == {"l2_sp"}


def test_the_plan_of_a_model_names_its_objective_and_that_of_a_probe_the_plain_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Contrastive, "advice", PAIRS_ARE_MANY)
    plain = Supervised.losses

    def unknown(*given: Any) -> dict[str, torch.Tensor]:
        return {name: math.nan * loss for name, loss in plain(*given).items()}

    monkeypatch.setattr(Supervised, "losses", unknown)
    context = bench_of(tmp_path / "one", {**TEACHABLE, "tunings": ["full"]}, objective="auto")
    found = searched(context)
    assert found.context.plan.objective == "contrastive"
    assert [one.name for one in found.candidates if one.fate == "kept"] == ["full, contrastive, 0.02"]
    again = replace(bench_of(None, {}), plan=found.context.plan)
    train_arm(again, "model", again.plan.plugin("tuning"), "again", None, solve_arm(again, "probe"))
    assert weights(again) == weights(context)
    monkeypatch.setattr(Supervised, "losses", plain)
    stays = searched(bench_of(tmp_path / "other", SHORT, noise=True, objective="auto"))
    assert stays.arm is None and stays.context.plan.objective == "supervised"


def test_where_few_are_judged_probe_and_fine_tuning_become_one_model(tmp_path: Path) -> None:
    context = blending(bench_of(tmp_path, {**TEACHABLE, "tunings": ["full"]}, judged=20))
    start, probe = weights_of(context.backbone), solve_arm(context, "probe", refit=True)
    found = Search(context, solve_arm(context, "probe"), Budget(None), 0.0, shipped=probe).run()
    assert found.arm is not None and isinstance(found.arm.model.shape, Blended)
    how = found.context.plan.blend
    assert 0.1 < how.weights[0] < 0.9
    assert "blending gives the best fine-tuning (full" in found.sentence
    assert "accuracy against the probe" in found.sentence and "weights from the other folds" in found.sentence

    test = context.data.split.test
    tuned = model_with(context, context.backbone, found.arm.model.heads["head"].heads[1])
    tuned_logits = Predictor(tuned)(context.data.examples.take(test)).prediction.columns["logits"]
    blend = predict_rows(context, found.arm, test)
    context.backbone.module.load_state_dict(start)
    probe_logits = predict_rows(context, probe, test).columns["logits"]
    each = [softmax(logits / heat, axis=1) for logits, heat in zip((probe_logits, tuned_logits), how.temperatures)]
    longhand = np.log(np.tensordot(how.weights, each, axes=1))
    assert blend.columns["logits"] == pytest.approx(longhand, abs=1e-5)
    heat = how.calibration["temperature"]
    assert blend.columns["probabilities"] == pytest.approx(softmax(longhand / heat, axis=1), abs=1e-5)


def test_a_blend_that_is_pulled_to_the_probe_without_end_is_the_probe(tmp_path: Path) -> None:
    context = blending(bench_of(tmp_path, {**SHORT, "epochs": 2, "tunings": ["full"]}, judged=20), shrinkage=1e6)
    found = searched(context)
    assert found.arm is None and found.context.plan.tuning == "probe" and "blend" not in found.context.plan.settings
    assert "0 % of the weight, so the probe alone is the model" in found.sentence
