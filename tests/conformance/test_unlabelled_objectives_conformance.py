"""Every objective of pretraining trains what it says, nothing that is frozen, and the same again from a checkpoint."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny_pretraining import learned, loop_for, small, step_of

from batch_in_parts import loop_step, same
from headstart.contracts.composed_augmentation import composed
from headstart.contracts.objective import TARGET, TARGET_AGAIN, learns_alone
from headstart.engine.training.checkpoint import CheckpointFile
from headstart.engine.training.loop import Loop
from headstart.kernel import registry
from headstart.pipeline.pretraining.plan import TrainingSettings

NAMES = [name for name in registry.names("objectives") if learns_alone(registry.plugin("objectives", name))]
every_objective = pytest.mark.parametrize("name", NAMES)


@every_objective
def test_it_says_what_it_learns_from(name: str) -> None:
    objective = small(name)
    assert objective.streams in ((TARGET,), (TARGET, TARGET_AGAIN))
    assert set(objective.modalities) <= {*registry.names("modalities")} and objective.modalities
    assert all(0 <= objective.first_stage(stages) <= stages for stages in (1, 3, 12))
    views = composed(objective.advice.augmentation, {})
    for modality in objective.modalities:
        if views.acts:
            views.suit(modality)


@every_objective
def test_its_training_can_be_built(name: str) -> None:
    TrainingSettings(**registry.plugin("objectives", name).advice.training)


def test_each_modality_has_an_objective_that_is_advised_for_it() -> None:
    for modality in ("image", "text", "table"):
        advised = [name for name in NAMES if modality in registry.plugin("objectives", name).advice.pretrains]
        assert advised, modality
        assert all(modality in registry.plugin("objectives", name).modalities for name in advised)


@every_objective
def test_gradients_reach_every_stage_and_every_addition_that_takes_one(name: str) -> None:
    objective = small(name)
    loop = loop_for(objective)
    loop.train_mode(0.0)
    losses = objective.losses(step_of(loop))
    assert all(loss.shape == () and bool(torch.isfinite(loss)) for loss in losses.values())
    objective.combine(losses, loop.stepper.parameters).backward()
    module, stages = loop.model.backbone.module, loop.model.backbone.stages
    named = dict(module.named_parameters())
    unreached = [s.name for s in stages if s.parameters and not any(_reaches(named[p]) for p in s.parameters)]
    assert not unreached
    for part, addition in loop.model.additions.named_parameters():
        assert _reaches(addition) == addition.requires_grad, part


@every_objective
def test_what_is_frozen_stays_and_the_rest_learns(name: str) -> None:
    loop = loop_for(small(name), last=True, epochs=1)
    before = learned(loop)
    loop.run()  # raises where a frozen stage has changed
    after, stage = learned(loop), loop.model.backbone.stages[-1]
    moved = {key for key, value in before.items() if not torch.equal(value, after[key])}
    allowed = {f"backbone.{key}" for key in (*stage.parameters, *stage.buffers)}
    assert all(key in allowed or key.startswith("additions.") for key in moved)
    assert any(f"backbone.{key}" in moved for key in stage.parameters) or not stage.parameters
    trained = [f"additions.{key}" for key, p in loop.model.additions.named_parameters() if p.requires_grad]
    assert not [key for key in trained if key not in moved]


@every_objective
def test_the_loss_falls(name: str) -> None:
    loop = loop_for(small(name), epochs=6)
    before = _loss(loop)
    loop.run()
    assert _loss(loop) < before


@every_objective
def test_a_killed_training_goes_on_with_the_same_bits(name: str, tmp_path: Path) -> None:
    objective = small(name)
    whole = loop_for(objective)
    whole.run()
    file = CheckpointFile(tmp_path / "checkpoint", "same")
    loop_for(objective, checkpoint=file).run(until=1)
    resumed = loop_for(objective, checkpoint=file)
    resumed.run()
    expected = learned(whole)
    assert not [key for key, value in learned(resumed).items() if not torch.equal(value, expected[key])]
    assert [e.train_loss for e in resumed.progress.history] == [e.train_loss for e in whole.progress.history]


@every_objective
def test_the_gradient_of_a_batch_in_parts_is_that_of_the_whole(name: str) -> None:
    same(loop_step(loop_for(small(name)), 6), loop_step(loop_for(small(name))))


@every_objective
def test_the_validation_loss_of_batches_in_parts_is_that_of_whole_ones(name: str) -> None:
    loop = loop_for(small(name))
    whole = loop.validate()
    loop.micro.most = 6
    assert loop.validate().loss == pytest.approx(whole.loss, rel=1e-5)


@every_objective
def test_a_batch_that_does_not_fit_is_learnt_from_in_parts(name: str) -> None:
    loop = loop_for(small(name), epochs=1)
    before = learned(loop)
    loop.micro.most = 6
    progress = loop.run()
    assert progress.stopped == "all 1 epochs done" and progress.history[0].train_loss > 0
    assert any(not torch.equal(value, before[key]) for key, value in learned(loop).items())


def _reaches(parameter: torch.nn.Parameter) -> bool:
    return parameter.grad is not None and bool(parameter.grad.abs().sum() > 0)


def _loss(loop: Loop) -> float:
    """Of the first step, as it is trained on; it leaves no trace."""
    state = learned(loop)
    loop.train_mode(0.0)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        loss = sum(term.item() for term in loop.stepper.objective.losses(step_of(loop)).values())
    for part, module in {"backbone": loop.model.backbone.module, "additions": loop.model.additions}.items():
        own = {key.removeprefix(f"{part}."): value for key, value in state.items() if key.startswith(f"{part}.")}
        module.load_state_dict(own)
    return float(loss)
