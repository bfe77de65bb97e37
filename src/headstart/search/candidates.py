"""The candidates of a search: the tunings that suit data, task and backbone, and with what settings.

Each is a plan of its own, as `headstart fit RUN/plan.toml` would repeat it. What the user set is in all of them;
what the plug-in asks for comes next, then what the size of the data asks for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from headstart.contracts.advice import DataFacts, Suggestion
from headstart.contracts.backbone import Backbone
from headstart.contracts.composed_augmentation import composed
from headstart.contracts.inputs import Pixels, Tokens
from headstart.contracts.task_capabilities import is_linear, one_class_each
from headstart.contracts.tuning import Recipe
from headstart.kernel import registry
from headstart.kernel.errors import SettingsError
from headstart.kernel.user_settings import build
from headstart.pipeline.arms import is_probe_by_steps
from headstart.pipeline.blending import Blending
from headstart.pipeline.context import FitContext
from headstart.pipeline.defaults_by_size import FEW_JUDGED, by_size, enough_epochs, of_task
from headstart.pipeline.layers import cut_settings
from headstart.pipeline.plan_file import AUTO
from headstart.pipeline.record import Decision

VIEWS = "standard"
"""The augmentation whose strength follows from the size of the data."""

NEIGHBOURS = (1.0, math.sqrt(10), 1 / math.sqrt(10))
"""Factors on a learning rate."""

ATTENTION = 0.5
"""A backbone with more than this share of its parameters in plain linear layers is taken for a transformer."""


@dataclass(frozen=True)
class Candidate:
    """One tuning with its settings; its learning rate may still change."""

    name: str
    """'full'; with settings that tell it from another candidate of the same tuning."""
    tuning: str
    recipe: Recipe
    context: FitContext
    """Its plan names this very tuning."""
    reason: str
    free: frozenset[str]
    """Names of the recipe's settings that are not the user's."""
    objective: str
    """What is optimised beside the task's loss."""

    @property
    def sought(self) -> str:
        """The rate of which several are tried: the backbone's rate, or the head's where it alone moves."""
        stages = len(self.context.backbone.stages)
        return "learning_rate" if self.recipe.first_stage(stages) < stages else "head_learning_rate"

    @property
    def factors(self) -> tuple[float, ...]:
        """Factors on its rates that are tried, its own first; that one alone where the rate is the user's."""
        return NEIGHBOURS if self.sought in self.free else NEIGHBOURS[:1]

    @property
    def rate(self) -> float:
        """Learning rate of the weights that `sought` names."""
        return float(getattr(self.recipe, self.sought))

    def at(self, factor: float, epochs: int | None = None) -> Candidate:
        """The same at other rates, and for so many epochs; what is the user's stays."""
        changes: dict[str, Any] = {
            name: getattr(self.recipe, name) * factor
            for name in ("learning_rate", "head_learning_rate")
            if name in self.free
        }
        if epochs is not None:
            changes["epochs"] = epochs
        return replace(self, recipe=self.recipe.model_copy(update=changes)).planned()

    def planned(self) -> Candidate:
        """With the plan that says so: every setting, for what it leaves out is chosen anew when it is repeated."""
        kept = self.recipe.model_dump(mode="json")
        if not self.recipe.refit and self.context.plan.refits:
            del kept["refit"]  # said, it would hold for the probe beside it as well
        settings = {**self.context.plan.settings, "tuning": kept}
        changes = {"tuning": self.tuning, "objective": self.objective, "settings": settings}
        plan = self.context.plan.model_copy(update=changes)
        return replace(self, context=replace(self.context, plan=plan))

    def blended(self, how: Blending | None) -> Candidate:
        """With the plan that blends it with the probe so, or leaves it alone."""
        plan = self.context.plan
        settings = {key: values for key, values in plan.settings.items() if key != "blend"}
        if how is not None:
            made = {"weights": how.weights, "temperatures": how.temperatures, "calibration": dict(how.calibration)}
            settings["blend"] = made
        plan = plan.model_copy(update={"settings": settings})
        return replace(self, context=replace(self.context, plan=plan))


def candidates(context: FitContext) -> tuple[list[Candidate], list[Decision]]:
    """The candidates, the most promising first, and what was decided; none where nothing could be trained.

    Raises:
        SettingsError: none of the tunings that the user named can work on the backbone.
    """
    facts = facts_of(context)
    search = context.tuning
    chooses = search.given.get("keep") == "best" or search.given.get("soup") or search.given.get("interpolate")
    few = few_judged(context) and not chooses
    plain = context.plan.settled().objective
    chosen = {**by_size(facts.examples, facts.stages, few_judged=few), **of_task(context.data.task)}
    found: list[tuple[int, Candidate]] = []
    decisions: list[Decision] = []
    unlikely: list[str] = []
    for name, kind in search.kinds().items():
        tries = _tries(kind, facts, named=search.named is not None)
        unlikely += [] if tries else [name]
        for one in tries:
            defaults = {key: choice.value for key, choice in chosen.items()}
            settings = {**defaults, **one.settings, **search.of(kind)}
            asked = build(kind, settings, where=f"tuning {name}")
            recipe = asked.on(context.backbone)
            if recipe.cut_by_layers and context.layers is not None:
                recipe = recipe.model_copy(update=cut_settings(recipe, context.layers, context.backbone))
            try:
                recipe.check(context.backbone)
            except SettingsError as error:
                decisions.append(Decision(what=f"tuning {name}", value="not tried", reason=str(error)))
                continue
            if is_probe_by_steps(recipe, context):
                reason = "it is the probe itself, whose head cannot be solved for"
                decisions.append(Decision(what=f"tuning {name}", value="not tried", reason=reason))
                continue
            # the user's settings may take the place of what sets two tries apart
            if any(candidate.recipe == recipe for _, candidate in found):
                continue
            free = frozenset(kind.model_fields) - search.given.keys()
            title = ", ".join([name, *(f"{key} {getattr(asked, key)}" for key in one.settings)])
            found.append((one.order, Candidate(title, name, recipe, context, one.reason, free, plain).planned()))
    if decisions and not found and search.named is not None:
        raise SettingsError("\n".join(one.reason for one in decisions))
    if unlikely:
        reason = "on such data and such a backbone others are likely to be better; tuning.tunings names what is tried"
        decisions.append(Decision(what="tunings left out", value=", ".join(unlikely), reason=reason))
    told = [
        Decision(what=f"tuning.{key}", value=str(choice.value), reason=choice.reason)
        for key, choice in chosen.items()
        if key not in search.given
    ]
    ordered = [candidate for _, candidate in sorted(found, key=lambda pair: pair[0])]
    beside = _with_objectives(ordered[0], facts) if ordered and context.plan.objective == AUTO else []
    return [*beside, *ordered], [*decisions, *told]


def _with_objectives(candidate: Candidate, facts: DataFacts) -> list[Candidate]:
    """The most promising candidate with each of the objectives that may be better than the task's loss alone."""
    first = candidate.recipe.first_stage(facts.stages)
    kinds = {name: registry.plugin("objectives", name) for name in registry.names("objectives")}
    return [
        _with_objective(candidate, name, offered, facts)
        for name, kind in kinds.items()
        for offered in kind.advice.tries(facts)
        if kind().first_stage(facts.stages) >= first
    ]


def _with_objective(candidate: Candidate, name: str, offered: Suggestion, facts: DataFacts) -> Candidate:
    changes = {key: value for key, value in offered.settings.items() if key in candidate.free}
    if "epochs" in candidate.free:
        batch = changes.get("batch_size", candidate.recipe.batch_size)
        changes = {"epochs": enough_epochs(facts.examples, batch), **changes}
    recipe = candidate.recipe.model_copy(update=changes)
    title, why = f"{candidate.name}, {name}", f"{offered.reason}, and {candidate.reason}"
    return replace(candidate, name=title, recipe=recipe, reason=why, objective=name).planned()


def few_judged(context: FitContext) -> bool:
    """Return whether the validation part is too small to choose by; pixels and words of a few examples are many."""
    pooled = context.data.task.needs.features == "pooled"
    return context.windows is None and pooled and 0 < len(context.data.split.val) < FEW_JUDGED


def facts_of(context: FitContext) -> DataFacts:
    """Return the facts that tunings base their candidates on."""
    task = context.data.task
    examples, stages = len(context.read.split.train), len(context.backbone.stages)
    linear, attention = is_linear(task), _is_transformer(context.backbone)
    tokens = isinstance(context.backbone.input_kind(), Tokens)
    return DataFacts(examples, stages, linear, attention, tokens, one_class_each(task), task.needs.generates)


def with_views(context: FitContext) -> tuple[FitContext, Decision | None]:
    """The context with the augmentation that suits pictures and their targets, where the user has not said."""
    plan = context.plan
    if plan.augmentation != AUTO:
        return context, None
    inputs, kind, reason = context.backbone.input_kind(), "none", "there is none that helps for certain"
    if isinstance(inputs, Pixels):
        fault = composed(VIEWS, {}).bind(inputs, len(context.read.split.train)).fault(context.data.task.target_kinds)
        kind, reason = ("none", fault) if fault else (VIEWS, "random views make much of few pictures")
    decision = Decision(what="augmentation", value=kind, reason=reason)
    return replace(context, plan=plan.model_copy(update={"augmentation": kind})), decision


def _tries(kind: type[Recipe], facts: DataFacts, *, named: bool) -> tuple[Suggestion, ...]:
    found = kind.advice.tries(facts)
    return found or ((Suggestion(0, "it was named"),) if named else ())


def _is_transformer(backbone: Backbone) -> bool:
    linear = sum(layer.weight.numel() for layer in backbone.module.modules() if isinstance(layer, nn.Linear))
    everything = sum(p.numel() for name, p in backbone.module.named_parameters() if "embedding" not in name)
    return bool(everything) and linear / everything > ATTENTION
