"""Every objective of `fit` trains what it says it reaches, whatever the shape of targets and the number of streams."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any, ClassVar

import pytest
import torch
from plugins import sample
from tiny_settings import SETTINGS
from tiny_training import SHORT, classes, first_step, loop_for, sequences
from torch import Tensor, nn

from batch_in_parts import loop_step, same
from headstart.contracts.advice import DataFacts
from headstart.contracts.backbone import Backbone
from headstart.contracts.head_shape import HeadShape
from headstart.contracts.model import rest
from headstart.contracts.objective import DOMAIN, KEPT, SOURCE, TARGET, TARGET_AGAIN, Objective, Step
from headstart.contracts.tuning import Rate, Recipe
from headstart.engine.training.loop import Loop
from headstart.kernel import registry
from several_labels import two_tasks


class Toy(Objective):
    """Two streams, a critic of its own, and gradients that it fills in itself."""

    streams: ClassVar[tuple[str, ...]] = ("source", "target")
    gathers: ClassVar[bool] = True

    def first_stage(self, stages: int) -> int:
        return stages - 1

    def additions(self, backbone: Backbone) -> Mapping[str, nn.Module]:
        return {"critic": nn.Linear(backbone.width, 1)}

    def losses(self, step: Step) -> Mapping[str, Tensor]:
        batch = step.batches["source"]
        features = step.features(batch)
        task = step.task_losses(step.outputs(features, batch), batch)
        far = step.features(step.batches["target"]).pooled
        near, far = (step.gathered(step.additions["critic"](pooled)) for pooled in (features.pooled, far))
        apart = nn.functional.softplus(far).mean() + nn.functional.softplus(-near).mean()
        return {**task, "critic": apart}

    def combine(self, losses: Mapping[str, Tensor], parameters: Sequence[nn.Parameter]) -> Tensor | None:
        gradients = torch.autograd.grad(list(losses.values()), parameters, allow_unused=True)
        for parameter, gradient in zip(parameters, gradients):
            parameter.grad = gradient
        return None


LABELLED = {name: sample("objectives", name) for name in registry.names("objectives")}
OF_TASKS = [name for name, made in LABELLED.items() if made.of_tasks]
FITTED = {name: made for name, made in LABELLED.items() if "source" in made.streams and name not in OF_TASKS}
OBJECTIVES = {**FITTED, "toy": Toy()}
KNOWN = (SOURCE, TARGET, TARGET_AGAIN, KEPT)
ADAPTING = [name for name, objective in OBJECTIVES.items() if TARGET in objective.streams and name != "toy"]
every_adapting = pytest.mark.parametrize("name", ADAPTING)
every_objective = pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES.keys())


def of_weighted_classes() -> Any:
    """`classes`, of which the rarer counts more."""
    backbone, task, examples = classes()
    task = task.model_copy(update={"settings": task.settings.model_copy(update={"class_weights": "balanced"})})
    return backbone, task.model_copy(update={"counts": (9, 1)}), examples


def each_with(*settings: Callable[[], Any]) -> pytest.MarkDecorator:
    """Every objective with every setting whose task it can be used with."""
    pairs = [
        pytest.param(objective, setting, id=f"{name}-{setting.__name__}")
        for name, objective in OBJECTIVES.items()
        for setting in settings
        if setting in (classes, of_weighted_classes) or not objective.of_classes
    ]
    return pytest.mark.parametrize(("objective", "setting"), pairs)


every_task = each_with(classes, sequences)
every_head = each_with(classes, sequences, SETTINGS["tagging"], SETTINGS["segmentation"])


@every_objective
def test_streams_are_declared(objective: Any) -> None:
    assert objective.streams and len(set(objective.streams)) == len(objective.streams)
    assert all(name in KNOWN or name.startswith(DOMAIN) for name in objective.streams)
    assert "source" not in objective.streams[1:], "the labelled stream comes first"


@every_objective
def test_what_it_is_advised_for_are_settings_of_every_recipe(objective: Any) -> None:
    for tokens, one_class in product((False, True), repeat=2):
        facts = DataFacts(64, 12, linear=True, attention=True, tokens=tokens, one_class=one_class)
        for suggestion in objective.advice.tries(facts):
            assert (suggestion.reason and not objective.of_classes) or one_class
            Recipe(**suggestion.settings)


@every_objective
@pytest.mark.parametrize("stages", [1, 3, 12])
def test_the_first_stage_is_one_or_the_end(objective: Any, stages: int) -> None:
    assert 0 <= objective.first_stage(stages) <= stages


@every_head
def test_losses_are_named_finite_scalars(objective: Any, setting: Callable[[], Any]) -> None:
    losses = objective.losses(first_step(moving_loop(objective, setting, 0)))
    assert losses
    for name, loss in losses.items():
        assert loss.shape == () and bool(torch.isfinite(loss)) and loss.requires_grad, name


@every_head
def test_gradients_reach_all_that_is_claimed_and_nothing_frozen(objective: Any, setting: Callable[[], Any]) -> None:
    backbone = setting()[0]
    first = objective.first_stage(len(backbone.stages))
    loop = moving_loop(objective, setting, first)
    total = objective.combine(objective.losses(first_step(loop)), loop.stepper.parameters)
    if total is not None:
        assert total.shape == ()
        total.backward()
    model = loop.model
    named = dict(model.backbone.module.named_parameters())
    for number, stage in enumerate(model.backbone.stages):
        reached = any(reaches(named[name]) for name in stage.parameters)
        assert reached == (number >= first), f"{stage.name} of {len(model.backbone.stages)}, first stage {first}"
    trained = model.heads if "source" in objective.streams else model.additions
    assert all(reaches(parameter) for parameter in trained.parameters() if parameter.requires_grad)


@each_with(classes, of_weighted_classes, SETTINGS["tagging"], SETTINGS["segmentation"])
@pytest.mark.parametrize("most", [1, 5])
def test_the_gradient_of_a_batch_in_parts_is_that_of_the_whole(
    objective: Any, setting: Callable[[], Any], most: int
) -> None:
    parts, whole = moving_loop(objective, setting, 0), moving_loop(objective, setting, 0)
    same(loop_step(parts, most), loop_step(whole))


@every_adapting
def test_what_it_aligns_is_what_the_head_behind_a_bottleneck_reads(name: str) -> None:
    recipe, rates = Recipe(**SHORT, precision="float32"), [Rate(-1, 1.0)]
    loop = loop_for(classes(), OBJECTIVES[name], recipe, rates, shape=HeadShape(bottleneck=5))
    rest(loop.model)
    step = first_step(loop)
    features = step.features(step.batches[TARGET])
    assert features.pooled.shape[1] == 5
    whole = loop.model.heads["head"](loop.model.backbone.module(step.batches[TARGET].state.hidden))
    torch.testing.assert_close(step.outputs(features, step.batches[TARGET])["logits"], whole)
    assert all(bool(torch.isfinite(loss)) for loss in OBJECTIVES[name].losses(step).values())


@every_adapting
@pytest.mark.parametrize("done", [0.0, 0.75])
def test_losses_of_two_domains_are_float32_in_any_precision(name: str, done: float) -> None:
    rates = [Rate(-1, 1.0), *(Rate(stage, 1.0) for stage in range(3))]
    loop = loop_for(classes(), OBJECTIVES[name], Recipe(**SHORT, precision="bfloat16"), rates)
    losses = OBJECTIVES[name].losses(replace(first_step(loop), progress=done))
    assert all(loss.dtype == torch.float32 and bool(torch.isfinite(loss)) for loss in losses.values())


@every_adapting
def test_so_it_is_late_in_a_training_where_the_target_counts_most(name: str) -> None:
    parts, whole = (moving_loop(OBJECTIVES[name], classes, 0) for _ in range(2))
    same(loop_step(parts, 5, 0.75), loop_step(whole, 0, 0.75))


@every_task
def test_a_training_moves_head_and_additions(objective: Any, setting: Callable[[], Any]) -> None:
    loop = moving_loop(objective, setting, 0)
    before = {name: value.clone() for name, value in others(loop).items()}
    progress = loop.run()
    assert progress.stopped == "all 3 epochs done"
    stuck = [name for name, value in others(loop).items() if torch.equal(value, before[name])]
    assert not stuck


@every_task
def test_two_trainings_of_one_seed_are_equal(objective: Any, setting: Callable[[], Any]) -> None:
    one, other = moving_loop(objective, setting, 0), moving_loop(objective, setting, 0)
    one.run()
    other.run()
    assert all(torch.equal(value, others(other)[name]) for name, value in others(one).items())


@pytest.mark.parametrize("name", OF_TASKS)
def test_one_of_several_tasks_moves_all_and_repeats_itself(name: str) -> None:
    one, other = (moving_loop(LABELLED[name], two_tasks, 0) for _ in range(2))
    before = {key: value.clone() for key, value in weights_of(one).items()}
    assert one.run().stopped == "all 3 epochs done" and other.run()
    after, again = weights_of(one), weights_of(other)
    assert not [key for key, value in after.items() if torch.equal(value, before[key])]
    assert all(torch.equal(value, again[key]) for key, value in after.items())


def weights_of(loop: Loop) -> dict[str, Tensor]:
    """Every parameter."""
    return {**dict(loop.model.backbone.module.named_parameters()), **others(loop)}


def moving_loop(objective: Any, setting: Callable[[], Any], first: int) -> Loop:
    """A loop in which everything from the first stage on moves."""
    given = setting()
    stages = len(given[0].stages)
    rates = [Rate(-1, 1.0), *(Rate(stage, 1.0) for stage in range(first, stages))]
    return loop_for(given, objective, Recipe(**SHORT, precision="float32"), rates)


def others(loop: Loop) -> dict[str, Tensor]:
    """Parameters beside the backbone."""
    both = nn.ModuleList([loop.model.heads, loop.model.additions])
    return {name: value for name, value in both.named_parameters() if value.requires_grad}


def reaches(parameter: nn.Parameter) -> bool:
    return parameter.grad is not None and bool(parameter.grad.abs().sum() > 0)
