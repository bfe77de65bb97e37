"""Choices for a pretraining where the user left them open, with reasons: backbone, objective, views, recipe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from headstart.contracts.backbone import Backbone
from headstart.contracts.composed_augmentation import Composed
from headstart.contracts.examples import Examples
from headstart.contracts.objective import learns_alone
from headstart.kernel import registry
from headstart.kernel.errors import SettingsError
from headstart.kernel.user_settings import build
from headstart.pipeline.choose_backbone import choose_backbone
from headstart.pipeline.plan_file import AUTO
from headstart.pipeline.pretraining.plan import PretrainPlan, TrainingSettings
from headstart.pipeline.pretraining.unlabelled import Unlabelled
from headstart.pipeline.record import Decision

GENTLE = 0.3
"""Times the rates of training from scratch, where pretrained weights go on."""

MOST_STEPS = 500
"""Of an epoch: with more in a pass over the data it is divided, so that the monitors are seen in time."""


@dataclass(frozen=True)
class Choices:
    """All that decides a pretraining beside data and backbone."""

    plan: PretrainPlan
    """With what was chosen in the place of 'auto'."""
    objective: Any
    augmentation: Composed
    """Bound."""
    recipe: TrainingSettings
    rounds: int
    """Epochs of a pass over the data."""
    decisions: tuple[Decision, ...]


class InitialBackbone(NamedTuple):
    """A loaded backbone."""

    plan: PretrainPlan
    """The plan that names it."""
    backbone: Backbone
    decision: Decision | None
    """The reason for it; None where it was named."""


def initial_backbone(plan: PretrainPlan, examples: Examples) -> InitialBackbone:
    """Load it. Raises BackboneError as a fit does."""
    backbone, reference, decision = choose_backbone(examples, plan.as_fit(), pairs=False)
    if plan.backbone != AUTO or any(True for _ in backbone.module.parameters()):
        return InitialBackbone(plan.model_copy(update={"backbone": reference}), backbone, decision)
    modality = examples.schema.modality
    kinds = [registry.plugin("objectives", name) for name in registry.names("objectives")]
    known = (kind.advice.initial_backbone for kind in kinds if modality in kind.modalities)
    fresh = next(filter(None, known), None)
    if fresh is None:
        return InitialBackbone(plan.model_copy(update={"backbone": reference}), backbone, decision)
    chosen = plan.model_copy(update={"backbone": fresh, "weights": "random"})
    backbone, _, _ = choose_backbone(examples, chosen.as_fit(), pairs=False)
    reason = f"no pretrained network is known for {modality} data, and {reference} has nothing to train"
    return InitialBackbone(chosen, backbone, Decision(what="backbone", value=f"{fresh}, random weights", reason=reason))


def choose(plan: PretrainPlan, data: Unlabelled, backbone: Backbone, first: Decision | None) -> Choices:
    """Settle what was left open; `first` is why the backbone was chosen, where it was.

    Raises:
        SettingsError: no objective learns from such data, or what was named does not suit data or backbone.
        BackboneError: there are no weights to train.
    """
    decisions = [] if first is None else [first]
    if plan.objective == AUTO:
        name, why = _objective(data, backbone)
        plan = plan.model_copy(update={"objective": name})
        decisions.append(Decision(what="objective", value=name, reason=why))
    objective = plan.objective_plugin()
    modality = data.examples.schema.modality
    if objective.modalities and modality not in objective.modalities:
        able = ", ".join(name for name in registry.names("objectives") if _suits(name, modality)) or "none"
        raise SettingsError(
            f"objective '{plan.objective}' learns from {' and '.join(objective.modalities)} data, these are {modality}."
            f" For {modality} data: {able}."
        )
    objective.check(backbone)
    if plan.augmentation == AUTO:
        plan = plan.model_copy(update={"augmentation": objective.advice.augmentation})
        why = f"the views that objective '{plan.objective}' asks for"
        decisions.append(Decision(what="augmentation", value=objective.advice.augmentation, reason=why))
    views = plan.augmentation_plugin()
    views.suit(modality)
    bound = views.bind(backbone.input_kind(), len(data.train))
    recipe, more = _recipe(plan, objective, data)
    rounds = max(1, round(len(data.train) / recipe.batch_size / MOST_STEPS))
    return Choices(plan, objective, bound, recipe, rounds, (*decisions, *more))


def _objective(data: Unlabelled, backbone: Backbone) -> tuple[str, str]:
    """The objective that suits such data best of those that can work on the backbone, and why."""
    modality = data.examples.schema.modality
    offers = {name: registry.plugin("objectives", name).advice.pretrains for name in registry.names("objectives")}
    found = {name: offer[modality] for name, offer in offers.items() if modality in offer}
    faults = []
    for name in sorted(found, key=lambda name: (found[name].order, name)):
        try:
            registry.plugin("objectives", name)().check(backbone)
        except SettingsError as error:
            faults.append(str(error))
            continue
        return name, found[name].reason
    raise SettingsError("\n".join(faults) or f"no objective learns from {modality} data without labels: name one")


def _suits(name: str, modality: str) -> bool:
    kind = registry.plugin("objectives", name)
    return learns_alone(kind) and (not kind.modalities or modality in kind.modalities)


def _recipe(plan: PretrainPlan, objective: Any, data: Unlabelled) -> tuple[TrainingSettings, tuple[Decision, ...]]:
    """The recipe: the user's settings before the objective's before the usual ones."""
    given, decisions = plan.settings.get("training", {}), []
    offered = dict(objective.advice.training)
    rates = ("learning_rate", "head_learning_rate")
    if plan.weights != "random" and not {*rates} & {*offered, *given}:
        offered["learning_rate"] = GENTLE * float(TrainingSettings.model_fields["learning_rate"].default)
        why = "pretrained weights go on: less than from scratch, so that what they know is not lost"
        decisions.append(Decision(what="learning rate", value=f"{offered['learning_rate']:g}", reason=why))
    recipe = build(TrainingSettings, {**offered, **given}, where="training")
    fewest = min(recipe.batch_size, len(data.train))
    if fewest < recipe.batch_size:
        if "batch_size" in given:
            raise SettingsError(
                f"training.batch_size = {recipe.batch_size}: there are {len(data.train)} inputs to train on. Give "
                "less, or leave it out."
            )
        why = f"there are {len(data.train)} inputs to train on, fewer than the usual batch of {recipe.batch_size}"
        decisions.append(Decision(what="batch size", value=str(fewest), reason=why))
        recipe = recipe.model_copy(update={"batch_size": fewest})
    return recipe, tuple(decisions)
