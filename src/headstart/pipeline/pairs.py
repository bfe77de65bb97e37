"""How pairs of texts are read: jointly, as a cross-encoder reads them, or apart, as a sentence encoder does.

A probe is solved on either kind of features of the training part; the one that predicts held-out examples better in its
own cross-validation says how the model reads pairs, whatever is tuned afterwards.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from headstart.contracts.backbone import Backbone
from headstart.contracts.modality import are_pairs
from headstart.contracts.task_capabilities import ClosedForm, Sampled
from headstart.engine.frozen.extract import Extracted
from headstart.engine.frozen.feature_spec import FeatureSpec
from headstart.engine.solved.solve import solve_head
from headstart.pipeline.context import FitContext
from headstart.pipeline.embed import choice_of_runner, embed
from headstart.pipeline.plan import Plan
from headstart.pipeline.record import Decision

SCORE = "cv_score"
"""Of what a solver has found: how well it predicted what it had held out; the higher, the better."""


def in_better_form(context: FitContext) -> FitContext:
    """The context as it is, or with its pairs read the other way where a probe on these features does better.

    A plan that says how, or that goes on from a run, has its way. The plan of the result says what was chosen.
    """
    plan, data, backbone = context.plan, context.data, context.backbone
    given = plan.settings.get("backbone", {}).get("pairs", "auto") != "auto" or plan.from_run is not None
    other = backbone.alone() or backbone.apart()
    if given or other is None or not are_pairs(data.examples.schema) or not _can_be_tried(context):
        return context
    if context.budget.left() < context.budget.steps.get("the frozen pass", 0.0):
        reason = "no time is left for a pass in which they are read the other way"
        context.log.add(Decision(what="pairs", value=_form(backbone), reason=reason))
        return replace(context, plan=_saying(plan, _form(backbone)))
    with context.budget.step("the frozen pass"):
        features = _features(context, other)
    with context.budget.step("choosing how pairs are read"):
        found = {_form(one): _held_out(context, of) for one, of in ((backbone, context.features), (other, features))}
    best = max(found, key=lambda form: found[form])
    if not math.isfinite(found[best]):
        return context
    if best == _form(other):
        context = replace(context, backbone=other, features=features)
    worse = next(score for form, score in found.items() if form != best)
    reason = (
        f"a probe on such features scores {found[best]:.3g} on held-out training examples, and {worse:.3g} where they"
        f" are read {'jointly' if best == 'apart' else 'apart'}"
    )
    how = "each text apart, then compared" if best == "apart" else "jointly, as one text"
    context.log.tell(f"Pairs are read {how}: {reason}.", Decision(what="pairs", value=best, reason=reason))
    return replace(context, plan=_saying(plan, best))


def _can_be_tried(context: FitContext) -> bool:
    task = context.data.task
    plain = isinstance(task, ClosedForm) and not isinstance(task, Sampled)
    return plain and context.windows is None and context.features.spec.keep == "pooled"


def _features(context: FitContext, backbone: Backbone) -> Extracted:
    data, spec = context.data, FeatureSpec.all_stages(backbone)
    choice = choice_of_runner(backbone, data.examples, data.keys, spec, context.named_runner, context.work)
    return embed(
        backbone,
        data.examples,
        spec,
        keys=data.keys,
        runner=choice,
        store=context.store,
        reporter=context.reporter,
        work=context.work,
    )


def _held_out(context: FitContext, features: Extracted) -> float:
    """The score in cross-validation of a head for the training part; minus infinity where nothing can be held out."""
    data, rows = context.data, context.data.split.train
    task: Any = data.task.linear()
    _, found = solve_head(
        task, features.pooled(rows), data.targets_of(rows), data.kept_together(rows), context.plan.seed
    )
    score = float(found.get(SCORE, math.nan))
    return score if math.isfinite(score) else -math.inf


def _form(backbone: Backbone) -> str:
    return "joint" if backbone.alone() is None else "apart"


def _saying(plan: Plan, pairs: str) -> Plan:
    own = {**plan.settings.get("backbone", {}), "pairs": pairs}
    return plan.model_copy(update={"settings": {**plan.settings, "backbone": own}})
