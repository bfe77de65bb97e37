"""The arms of a fit with a target: the source model, and the head that was adapted to the target, where one is safe.

The shift is diagnosed first, and decides which candidates may be tried. All are heads on kept features. Which of them
becomes the model is decided without the target's labels, and it is the source model unless the evidence is clear.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from headstart.contracts.domains import LinearHead, Solve
from headstart.evidence.agreement import Candidate
from headstart.evidence.safe_choice import choose
from headstart.pipeline.adaptation.candidates import Adapted, adapts, candidate, candidates, solver
from headstart.pipeline.adaptation.decided import adaptation_row
from headstart.pipeline.adaptation.experts import FAMILY, expert_candidates
from headstart.pipeline.adaptation.outcomes import Sides, diagnosed, outcome, outcome_of, sides_of
from headstart.pipeline.adaptation.pictures import domain_points
from headstart.pipeline.adaptation.rows import DomainPoints
from headstart.pipeline.arms import Arms, Trained, model_with
from headstart.pipeline.context import FitContext
from headstart.pipeline.record import SOURCE_MODEL, Decision
from headstart.pipeline.stage_rows import frozen_rows, head_row
from headstart.search.train_arms import train_arms


def adapt_arms(context: FitContext) -> Arms:
    """The model first, adapted or not, then the source model where another one is the model."""
    target, seed = context.target, context.plan.seed
    arms = train_arms(context)
    if target is None or not adapts(context.data.task) or arms.trained[0].progress is not None:
        return arms
    with context.budget.step("adapting to the target"):
        task, sides = context.data.task, sides_of(context, target)
        solve, found = solver(task, sides.groups, seed), diagnosed(sides, seed)
        source = solve(sides.domains.source, sides.domains.labels, None)
        made = list(candidates(sides.domains, found, task, solve, seed))
        made += expert_candidates(context, sides, solve) if found.kind != "none" else ()
        seen = [one for one in made if isinstance(one, Adapted)]
        plain = Candidate(SOURCE_MODEL, SOURCE_MODEL, outcome(sides, source.logits, source.logits))
        others = [Candidate(one.name, one.family, outcome_of(sides, one)) for one in seen]
        decision = choose(plain, others, found, seed, sides.names)
        winner = seen[decision.place - 1] if decision.place else None
        final = winner if winner is None else _on_both_parts(context, sides, winner, solve)
        pictures = _pictures(sides, source, winner, seed)
    accuracies = [one.accuracy() for one in (plain, *others)]
    row = adaptation_row(sides, target, found, made, decision, accuracies)
    row = row.model_copy(update={"pictures": pictures})
    context.log.add(Decision(what="adaptation", value=row.chosen, reason=row.why))
    arms = replace(arms, adaptation=row)
    if final is None:
        return arms
    return replace(arms, trained=[_arm(context, final), replace(arms.trained[0], key=SOURCE_MODEL), *arms.trained[1:]])


def _on_both_parts(context: FitContext, sides: Sides, winner: Adapted, solve: Solve) -> Adapted:
    """The winner made once more, on training and validation part, as the source model is; unless refits are off."""
    if not context.plan.refits or not len(sides.held) or winner.family == FAMILY:
        return winner
    domains = sides.domains._replace(
        source=np.concatenate([sides.domains.source, sides.held]),
        labels=np.concatenate([sides.domains.labels, sides.held_labels]),
    )
    found = candidate(winner.family, winner.name, domains, context.data.task, solve, context.plan.seed)
    return found if isinstance(found, Adapted) else winner


def _arm(context: FitContext, winner: Adapted) -> Trained:
    model = model_with(context, context.backbone, winner.head)
    model.shape = winner.shape
    stages, row = frozen_rows(context.backbone), head_row(winner.head, 0.0)
    title = f"{winner.title} on {context.backbone.name}"
    return Trained("model", title, model.eval(), winner.seconds, {}, stages=stages, head=row)


def _pictures(sides: Sides, source: LinearHead, winner: Adapted | None, seed: int) -> tuple[DomainPoints, ...]:
    domains = sides.domains
    before = domain_points("Source model", source.logits(domains.source), source.logits(domains.target), seed)
    if winner is None:
        return (before,)
    after = domain_points(winner.title, winner.source(domains.source), winner.target(domains.target), seed)
    return before, after
