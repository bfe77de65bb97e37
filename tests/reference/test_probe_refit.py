"""Heads solved on training and validation part, against the same in longhand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.special import expit, log_softmax, softmax
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from head_shapes import SHAPES
from headstart.contracts.task import BoundTask
from headstart.engine.frozen.content_keys import content_keys
from headstart.engine.frozen.extract import extract
from headstart.engine.solved.solve import solve_head
from headstart.engine.store.feature_store import FeatureStore
from headstart.evidence.splits import Split
from headstart.kernel.progress import Quiet
from headstart.kernel.randomness import draw_seed
from headstart.pipeline.arms import solve_arm
from headstart.pipeline.context import FitContext
from headstart.pipeline.plan import Plan
from headstart.pipeline.prepare import Prepared
from headstart.pipeline.record import DataSummary
from headstart.pipeline.trained import predict_rows
from headstart.runners.eager import Eager
from headstart.search.train_arms import train_arms
from headstart.tasks.classification.task import Classification
from headstart.tasks.multilabel.task import MultiLabel
from headstart.tasks.regression.task import Regression
from headstart.tuning.lp_ft import LpFt
from tiny_backbone import TinyBackbone, numeric_examples

ROWS = 200
SEED = 0
LABELLED = np.arange(160)


def drawn() -> tuple[np.ndarray, np.ndarray]:
    """Inputs (rows, 4), and scores (rows, 3) that labels follow from, with noise."""
    draws = np.random.default_rng(3)
    inputs = draws.normal(size=(ROWS, 4))
    return inputs, inputs[:, :3] + draws.normal(scale=1.2, size=(ROWS, 3))


def context_of(task: BoundTask, examples: Any, **changes: Any) -> FitContext:
    """Rows 0 to 119 train, 120 to 159 validate, the rest tests."""
    backbone, plan = TinyBackbone(dropout=0.0), Plan(data="<made>", seed=SEED, **changes)
    keys = [str(key) for key in content_keys(examples).keys]
    split = Split(np.arange(120), np.arange(120, 160), np.arange(160, ROWS))
    summary = DataSummary(source="", seen="", modality="table", parts=())
    strata = task.settings.split_policy(examples).strata  # type: ignore[attr-defined]
    data = Prepared(examples, plan.columns, keys, task, task.targets(examples), strata, None, split, summary)
    backbone.module.eval()
    return FitContext(
        plan, data, backbone, extract(backbone, examples, keys, runner=Eager()), None, Quiet(), FeatureStore()
    )


def classes(**changes: Any) -> FitContext:
    inputs, scores = drawn()
    examples = numeric_examples(inputs, [f"c{k}" for k in scores.argmax(axis=1)])
    return context_of(Classification().bind(examples, SHAPES), examples, **changes)


def scaled_like(features: np.ndarray, each: bool) -> np.ndarray:
    """Features as the solver's penalty sees them: each with variance 1, or all divided by one number."""
    centred = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    variance = centred.var(axis=0)
    return centred / np.sqrt(variance if each else variance.mean())


def held_out_logits(scaled: np.ndarray, labels: np.ndarray, c: float, folds: Any) -> tuple[np.ndarray, np.ndarray]:
    """Log probabilities (rows, classes) of every row by the regression on the other folds, and the rows."""
    found, rows = [], []
    for rest, held in folds:
        model = LogisticRegression(C=c, tol=1e-8, max_iter=5000).fit(scaled[rest], labels[rest])
        found.append(model.predict_log_proba(scaled[held]))
        rows.append(held)
    return np.concatenate(found), np.concatenate(rows)


def best_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """By trying many: the likelihood with a standard normal prior on log T."""
    logs = np.linspace(-1.5, 1.5, 6001)
    scores = [log_softmax(logits / np.exp(t), axis=1)[np.arange(len(labels)), labels].sum() - t * t / 2 for t in logs]
    return float(np.exp(logs[int(np.argmax(scores))]))


def test_the_head_is_the_regression_on_both_parts_and_its_temperature_that_of_held_out_rows() -> None:
    context = classes()
    arm = solve_arm(context, "model", refit=True)
    features, labels = context.features.pooled(LABELLED), context.data.targets["label"][LABELLED]
    scaled, c = scaled_like(features, bool(arm.chosen["scaled_each"])), float(arm.chosen["C"])
    folds = StratifiedKFold(5, shuffle=True, random_state=draw_seed(SEED, "folds") % 2**32).split(scaled, labels)
    held, rows = held_out_logits(scaled, labels, c, list(folds))
    first = best_temperature(held, labels[rows])
    second = best_temperature(held / first, labels[rows])
    by_hand = LogisticRegression(C=c, tol=1e-8, max_iter=5000).fit(scaled, labels)
    found = predict_rows(context, arm, LABELLED).columns["probabilities"]
    assert arm.fit_on == ("train", "val") and arm.chosen["folds"] == 5
    assert arm.model.calibration["temperature"] == pytest.approx(second, abs=0.02) and abs(second - 1) < 0.1
    whole = softmax(by_hand.predict_log_proba(scaled) / (first * second), axis=1)
    assert np.abs(found - whole).max() < 0.01


def test_thresholds_are_those_that_suit_rows_which_their_regressions_have_not_seen() -> None:
    inputs, scores = drawn()
    sets = ["|".join(f"l{k}" for k in range(3) if row[k] > (0.3, 0.8, -0.2)[k]) for row in scores]
    task = MultiLabel().bind(examples := numeric_examples(inputs, sets), SHAPES)
    context = context_of(task, examples)
    arm = solve_arm(context, "model", refit=True)
    features, truth = context.features.pooled(LABELLED), context.data.targets["label"][LABELLED].astype(int)
    for k, name in enumerate(task.classes):  # type: ignore[attr-defined]
        alone = Classification(classes=("no", "yes")).bind(
            numeric_examples(inputs[LABELLED], np.array(["no", "yes"])[truth[:, k]].tolist()), SHAPES
        )
        chosen = solve_head(alone, features, {"label": truth[:, k]}, None, SEED)[1]
        scaled = scaled_like(features, bool(chosen["scaled_each"]))
        folds = StratifiedKFold(5, shuffle=True, random_state=draw_seed(SEED, "folds") % 2**32)
        held, rows = held_out_logits(scaled, truth[:, k], chosen["C"], list(folds.split(scaled, truth[:, k])))
        likely = expit((held[:, 1] - held[:, 0]) / best_temperature(held, truth[rows, k]))
        true, chosen = truth[rows, k], likely >= likely[:, None]
        reached = 2 * (chosen @ true) / (chosen.sum(axis=1) + true.sum())  # F1 at each of the thresholds
        threshold = arm.model.calibration[f"threshold {name}"]
        assert f1_score(true, likely >= threshold) == pytest.approx(max(reached), abs=0.02)
        assert threshold != 0.5


def test_groups_and_copies_are_held_out_together() -> None:
    context = classes()
    units = np.arange(ROWS) // 4
    context = replace(context, data=replace(context.data, split=replace(context.data.split, units=units)))
    arm = solve_arm(context, "model", refit=True)
    features, labels = context.features.pooled(LABELLED), context.data.targets["label"][LABELLED]
    scaled, c = scaled_like(features, bool(arm.chosen["scaled_each"])), float(arm.chosen["C"])
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=draw_seed(SEED, "folds") % 2**32)
    held, rows = held_out_logits(scaled, labels, c, list(folds.split(scaled, labels, units[LABELLED])))
    temperature = best_temperature(held, labels[rows])
    likelihood = log_softmax(held / temperature, axis=1)[np.arange(len(rows)), labels[rows]].mean()
    assert arm.chosen["cv_score"] == pytest.approx(likelihood, abs=0.003)
    assert solve_arm(classes(), "model", refit=True).chosen["cv_score"] != pytest.approx(likelihood, abs=1e-6)


def test_a_ridge_regression_is_that_on_both_parts() -> None:
    inputs, scores = drawn()
    task = Regression().bind(examples := numeric_examples(inputs, scores[:, 0].tolist()), SHAPES)
    context = context_of(task, examples)
    arm = solve_arm(context, "model", refit=True)
    head, chosen = solve_head(task, context.features.pooled(LABELLED), context.data.targets_of(LABELLED), None, SEED)
    assert arm.model.heads["head"].weight.equal(head.weight) and arm.chosen == chosen  # type: ignore[union-attr]


def test_without_refit_the_head_is_of_the_training_part_and_calibrated_on_validation() -> None:
    settings = {"tuning": {"refit": False}}
    old = train_arms(classes(scratch=False, settings=settings)).trained[0]
    context = classes()
    arm = solve_arm(context, "probe")
    assert old.fit_on == arm.fit_on == ("train",)
    assert old.model.heads["head"].weight.equal(arm.model.heads["head"].weight)  # type: ignore[union-attr]
    rows = context.data.split.val
    logits = predict_rows(context, arm, rows).columns["logits"]
    temperature = best_temperature(logits, context.data.targets["label"][rows])
    assert old.model.calibration == arm.model.calibration
    assert old.model.calibration["temperature"] == pytest.approx(temperature, abs=0.01)


def test_baselines_are_fit_as_fairly_as_they_can_be_and_no_start_has_seen_validation() -> None:
    plan = {"tuning": "lp_ft", "settings": {"tuning": {"epochs": 2, "learning_rate": 1e-12}, "scratch": {"epochs": 3}}}
    told, arms = [], {}
    for flipped in (False, True):
        context = classes(**plan)
        if flipped:
            labels, rows = context.data.targets["label"], context.data.split.val
            labels[rows] = (labels[rows] + 1) % 3
        arms = {arm.key: arm for arm in train_arms(context).trained}
        told.append({key: arm.model.heads["head"].weight.detach().clone() for key, arm in arms.items()})
    assert {key: arm.fit_on for key, arm in arms.items()} == {
        "model": ("train",),
        "probe": ("train", "val"),
        "scratch": ("train",),
    }
    assert np.allclose(told[0]["model"], told[1]["model"], atol=1e-6), "its head started from the training part alone"
    assert not np.allclose(told[0]["probe"], told[1]["probe"], atol=1e-3)
    assert LpFt.head == "solved"


def test_beside_a_head_of_both_parts_training_from_scratch_ends_with_both() -> None:
    found = train_arms(classes(settings={"scratch": {"epochs": 3, "rates_tried": (1.0,)}}))
    model, scratch = found.trained
    assert model.fit_on == scratch.fit_on == ("train", "val")
    (why,) = [one for one in found.context.log.made if one.what == "weights of training from scratch"]
    assert why.value == "trained once more, on training and validation part"
    alone = train_arms(
        classes(settings={"scratch": {"epochs": 3, "rates_tried": (1.0,)}, "tuning": {"refit": False}})
    ).trained[1]
    assert alone.fit_on == ("train",) and scratch.model.calibration == alone.model.calibration
    assert not scratch.model.heads["head"].weight.equal(alone.model.heads["head"].weight)  # type: ignore[union-attr]
