"""The arms of a fit with a target: the source model, and the head that was adapted to the target, where one is safe.

The shift is diagnosed first, and decides which candidates may be tried. All are heads on kept features. Which of them
becomes the model is decided without the target's labels, and it is the source model unless the evidence is clear.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from headstart.contracts.examples import Examples
from headstart.contracts.objective import TARGET
from headstart.engine.frozen.execution import plain_runner
from headstart.engine.frozen.extract import Extracted
from headstart.evidence.agreement import SEVERAL, Candidate
from headstart.evidence.safe_choice import choose
from headstart.kernel import registry
from headstart.kernel.errors import SettingsError
from headstart.numerics.few_threads import few_threads
from headstart.pipeline.adaptation.candidates import (
    Adapted,
    Logits,
    adapts,
    again,
    logits_of,
    solver,
)
from headstart.pipeline.adaptation.decide import decide
from headstart.pipeline.adaptation.experts import expert_candidates
from headstart.pipeline.adaptation.outcomes import Sides, diagnosed, outcome, sides_of
from headstart.pipeline.adaptation.pictures import domain_points
from headstart.pipeline.adaptation.recorded import adaptation_row
from headstart.pipeline.adaptation.rows import AdaptationRow
from headstart.pipeline.adaptation.target import EmbeddedTarget, embedded_target
from headstart.pipeline.arms import model_with
from headstart.pipeline.context import FitContext
from headstart.pipeline.embed import embed
from headstart.pipeline.prepare import with_parts
from headstart.pipeline.record import SOURCE_MODEL, Decision
from headstart.pipeline.stage_rows import frozen_rows, head_row
from headstart.pipeline.trained import Arms, Trained, own_weights
from headstart.search.train_arms import train_arms


def adapt_arms(context: FitContext) -> Arms:
    """The model first, adapted or not, then the source model where another one is the model."""
    arms = train_arms(context)
    target, asked = context.target, TARGET in arms.context.objective.streams
    if target is None:
        return arms
    if not adapts(context.data.task):
        return replace(arms, sentence=_not_decided(arms, target, asked=asked))
    with context.budget.step("adapting to the target"):
        arm = arms.trained[0]
        if arm.progress is not None and "val" in arm.fit_on:
            context = _with_all_in_training(context)
        seen = context if arm.progress is None else _through(context, arm, target)
        return _asked_for(context, seen, arms) if asked and arm.progress is not None else _decided(seen, arms)


def _decided(context: FitContext, arms: Arms) -> Arms:
    """Decide on the features of the model's backbone, frozen or tuned."""
    target, seed, task = _target_of(context), context.plan.seed, context.data.task
    sides = sides_of(context, target)
    with few_threads(sides.domains.source, sides.domains.target):
        solve, found = solver(task, sides.groups, seed), diagnosed(sides, seed)
        experts = tuple(expert_candidates(context, sides, solve)) if found.kind != "none" else ()
        decided = decide(sides, found, task, solve, seed, experts)
        source, winner = decided.source.logits, decided.winner
        final = winner if winner is None else _on_both_parts(context, sides, winner)
    accuracies = [one.outcome.accuracy for one in decided.judged]
    row = adaptation_row(sides, target, found, decided.made, decided.decision, accuracies)
    pictures = [domain_points("Source model", *_of_both(source, source, sides), seed)]
    if winner is not None:
        pictures.append(domain_points(winner.title, *_of_both(winner.source, winner.target, sides), seed))
    arms = _recorded(arms, row.model_copy(update={"pictures": tuple(pictures)}))
    if final is None:
        return arms
    model = _arm(context, final, arms.trained[0], refitted=final is not winner)
    return replace(arms, trained=[model, replace(arms.trained[0], key=SOURCE_MODEL), *arms.trained[1:]])


def _asked_for(context: FitContext, seen: FitContext, arms: Arms) -> Arms:
    """Judge a model that was trained on the target too, as was asked for, beside the frozen probe of the source.

    Args:
        context: with frozen features. seen: with those of the model's backbone.
    """
    target, arm, seed, name = _target_of(context), arms.trained[0], context.plan.seed, context.plan.objective
    frozen, tuned = sides_of(context, target), sides_of(seen, _target_of(seen))
    found, head = diagnosed(frozen, seed), arm.model.heads["head"]
    source = solver(context.data.task, frozen.groups, seed)(frozen.domains.source, frozen.domains.labels, None)
    logits = partial(logits_of, head)
    plain = Candidate(SOURCE_MODEL, SOURCE_MODEL, outcome(frozen, source.logits, source.logits))
    model = Candidate(name, "objectives", outcome(tuned, logits, logits))
    decision = choose(plain, [model], found, seed, frozen.names)
    doubt = "" if decision.place else f". By the evidence {decision.reason}"
    reason = f"the objective {name} was asked for{doubt}"
    decision = decision._replace(chosen=name, place=1, reason=reason, accuracy=decision.table[1].accuracy)
    made = [Adapted(name, "objectives", f"{name}, {arm.title}", arm.model.head_shape, head, logits, arm.seconds)]
    row = adaptation_row(frozen, target, found, made, decision, [plain.outcome.accuracy, model.outcome.accuracy])
    pictures = (
        domain_points("Source model", *_of_both(source.logits, source.logits, frozen), seed),
        domain_points(arm.title, *_of_both(logits, logits, tuned), seed),
    )
    return _recorded(arms, row.model_copy(update={"pictures": pictures, "why": row.why + _unused(target)}))


def _recorded(arms: Arms, row: AdaptationRow) -> Arms:
    arms.context.log.add(Decision(what="adaptation", value=row.chosen, reason=row.why))
    return replace(arms, adaptation=row)


def _target_of(context: FitContext) -> EmbeddedTarget:
    if context.target is None:
        raise SettingsError("there is no target to adapt to")
    return context.target


def _with_all_in_training(context: FitContext) -> FitContext:
    """The context of a backbone that has learnt from the validation part, too: nothing of the source is held out."""
    split = context.data.split
    parts = {"train": np.union1d(split.train, split.val), "val": np.empty(0, np.int64), "test": split.test}
    return replace(context, data=with_parts(context.data, parts))


def _through(context: FitContext, arm: Trained, target: EmbeddedTarget) -> FitContext:
    """The context whose features, and those of the target, come from the backbone as it was trained."""
    backbone, reporter = arm.model.backbone, context.reporter

    def passed(examples: Examples, keys: Sequence[str]) -> Extracted:
        return embed(backbone, examples, keys=keys, runner=plain_runner(), reporter=reporter)

    with own_weights(arm):
        features = passed(context.data.examples, context.data.keys)
        return replace(context, backbone=backbone, features=features, target=embedded_target(target.data, passed))


def _not_decided(arms: Arms, target: EmbeddedTarget, *, asked: bool) -> str:
    """Sentence on a task whose heads are not adapted on kept features."""
    task, name = registry.name_of(arms.context.data.task), target.data.name
    if asked:
        objective = arms.context.plan.objective
        told = f"Trained on {name} too, by {objective}; for the task {task} its gain there is not estimated."
    else:
        told = (
            f"Not adapted to {name}: for the task {task} name a tuning and an objective that draws from the target, "
            "such as --tuning full --objective coral."
        )
    return told + _unused(target)


def _unused(target: EmbeddedTarget) -> str:
    """Sentence on labelled examples of the target that nothing reads."""
    return f" Its {len(target.labelled):,} labelled examples are not used." if len(target.labelled) else ""


def _of_both(source: Logits, target: Logits, sides: Sides) -> tuple[np.ndarray, np.ndarray]:
    return source(sides.domains.source), target(sides.domains.target)


def _on_both_parts(context: FitContext, sides: Sides, winner: Adapted) -> Adapted:
    """The winner made once more, on training and validation part, as the source model is; unless refits are off."""
    if not context.plan.refits or not len(sides.held) or winner.family == SEVERAL:
        return winner
    task, seed, split = context.data.task, context.plan.seed, context.data.split
    solve = solver(task, context.data.kept_together(np.concatenate([split.train, split.val])), seed)
    domains = sides.domains._replace(
        source=np.concatenate([sides.domains.source, sides.held]),
        labels=np.concatenate([sides.domains.labels, sides.held_labels]),
    )
    found = again(winner, domains, task, solve, seed)
    return found if isinstance(found, Adapted) else winner


def _arm(context: FitContext, winner: Adapted, source: Trained, *, refitted: bool) -> Trained:
    """The winner as the model; its backbone is that of the source model.

    Args:
        refitted: whether its head has learnt from the validation part, too.
    """
    model = model_with(context, context.backbone, winner.head)
    model.shape = winner.shape
    title, row = f"{winner.title} on {context.backbone.name}", head_row(winner.head, 0.0)
    fit_on: tuple[str, ...] = ("train", "val") if refitted else ("train",)
    if source.progress is not None:
        title, fit_on = f"{winner.title} after {source.title}", max(source.fit_on, fit_on, key=len)
        return replace(source, title=title, model=model.eval(), head=row, fit_on=fit_on)
    stages = frozen_rows(context.backbone)
    return Trained("model", title, model.eval(), winner.seconds, {}, stages=stages, head=row, fit_on=fit_on)
