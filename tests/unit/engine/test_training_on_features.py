"""Heads trained on kept features of two domains."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from head_shapes import SHAPES
from headstart.contracts.domains import Domains
from headstart.contracts.objective import SOURCE, TARGET
from headstart.engine.training.on_features import FeatureTraining, TrainedHead, train_on_features
from headstart.kernel import registry
from headstart.kernel.errors import DataError, SettingsError, TrainingError
from headstart.numerics.standardisation import standardise
from headstart.objectives.contrastive import Contrastive
from headstart.objectives.l2_sp import L2SP
from headstart.objectives.mcc import MCC
from headstart.objectives.supervised import Supervised
from headstart.objectives.vicreg import Vicreg
from headstart.tasks.classification.task import Classification
from tiny_backbone import numeric_examples

WIDTH, CLASSES = 6, 3
SHORT = FeatureTraining(steps=60, batch_size=32, bottleneck=8)
ADAPTING = ("dann", "cdan", "mmd", "coral", "mcc", "self_training", "shot")
TASK = Classification().bind(numeric_examples(np.zeros((CLASSES, 1)), list(range(CLASSES))), SHAPES)


def shifted(examples: int = 90, seed: int = 0) -> tuple[Domains, np.ndarray]:
    """Classes about their centres; in the target every feature has another scale and mean. Beside it its labels."""
    draws = np.random.default_rng(seed)
    centres = 5 * draws.normal(size=(CLASSES, WIDTH))
    labels = np.arange(examples) % CLASSES
    source, target = (centres[labels] + draws.normal(size=(examples, WIDTH)) for _ in range(2))
    moved = target * draws.uniform(0.2, 3, WIDTH) + 5 * draws.normal(size=WIDTH)
    kept = np.float32
    none = np.empty((0, WIDTH), kept), np.empty(0, np.int64)
    return Domains(source.astype(kept), labels, CLASSES, moved.astype(kept), *none), labels


def logits(head: torch.nn.Module, features: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return np.asarray(head(torch.from_numpy(features.astype(np.float32))))


def trained(domains: Domains, objective: Any, settings: FeatureTraining = SHORT) -> TrainedHead:
    return train_on_features(domains, objective, TASK, settings, 0)


@pytest.mark.slow
@pytest.mark.parametrize("name", ADAPTING)
def test_every_objective_of_two_domains_trains_a_head_that_knows_both(name: str) -> None:
    domains, labels = shifted()
    found = trained(domains, registry.plugin("objectives", name)())
    assert (logits(found.head, domains.target).argmax(axis=1) == labels).mean() > 0.9
    assert (logits(found.of_source, domains.source).argmax(axis=1) == labels).mean() > 0.9
    assert found.shape.bottleneck == (0 if name in ("mcc", "self_training") else 8)
    assert not found.head.training


def test_both_heads_are_one_past_the_standardisation_of_their_domain() -> None:
    domains, _ = shifted()
    found = trained(domains, registry.plugin("objectives", "coral")())
    of_source, of_target = (standardise(features)[1] for features in (domains.source, domains.target))
    moved = (domains.target - of_target.mean) / of_target.scale * of_source.scale + of_source.mean
    np.testing.assert_allclose(logits(found.head, domains.target), logits(found.of_source, moved), rtol=1e-3, atol=1e-3)
    shared = trained(domains, MCC(), SHORT.model_copy(update={"standardise": "source"}))
    assert np.array_equal(logits(shared.head, domains.source), logits(shared.of_source, domains.source))


@pytest.mark.slow
def test_it_is_a_function_of_the_seed_and_leaves_random_states_alone() -> None:
    domains, _ = shifted()
    before = torch.random.get_rng_state()
    one, other = (
        logits(trained(domains, registry.plugin("objectives", "cdan")()).head, domains.target) for _ in range(2)
    )
    again = train_on_features(domains, registry.plugin("objectives", "cdan")(), TASK, SHORT, 1)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert np.array_equal(one, other) and not np.array_equal(one, logits(again.head, domains.target))


def test_labelled_examples_of_the_target_are_learnt() -> None:
    domains, labels = shifted()
    turned = (labels + 1) % CLASSES
    few = domains._replace(target_labelled=domains.target[:30], target_labels=turned[:30], source=domains.source * 1e-3)
    guesses = logits(trained(few, Supervised(), SHORT.model_copy(update={"steps": 200})).head, domains.target)
    plain = logits(trained(domains, Supervised()).head, domains.target)
    truth = np.arange(len(labels)), turned
    assert (guesses[truth] - guesses.mean(axis=1)).mean() > (plain[truth] - plain.mean(axis=1)).mean() + 1


def test_a_rare_class_is_drawn_as_if_it_had_a_quarter_of_the_mean() -> None:
    domains, labels = shifted(600)
    rows = np.concatenate([np.flatnonzero(labels < 2), np.flatnonzero(labels == 2)[:1]])
    drawn: list[int] = []

    class Counting(Supervised):
        def after_step(self, step: Any) -> None:
            drawn.extend(step.batches[SOURCE].targets["label"].tolist())

    trained(domains._replace(source=domains.source[rows], labels=labels[rows]), Counting())
    assert np.bincount(drawn)[2] > 30


@pytest.mark.parametrize(
    ("objective", "message"),
    [(L2SP(), "pretrained weights"), (Vicreg(), "'target_again'")],
)
def test_objectives_of_something_else_are_refused(objective: Any, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        trained(shifted()[0], objective)


def test_objectives_of_the_source_alone_are_trained_too() -> None:
    assert trained(shifted()[0], Contrastive(), SHORT.model_copy(update={"steps": 2})).shape.bottleneck == 8


def test_domains_without_two_examples_and_training_that_diverges_are_told() -> None:
    domains, _ = shifted()
    with pytest.raises(DataError, match=r"too few usable examples \(1\)"):
        trained(domains._replace(target=domains.target[:1]), MCC())
    with pytest.raises(TrainingError, match="diverged"):
        trained(domains, registry.plugin("objectives", "dann")(), SHORT.model_copy(update={"learning_rate": 1e30}))
    assert TARGET in MCC().streams
