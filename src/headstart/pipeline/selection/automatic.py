"""The backbone of a fit with `--backbone auto` and a budget: the best on this machine for these data.

Where the machine has more than one of the models that `select` tries by itself, they are ranked by a cross-validated
probe on the training part alone, in a share of the budget. Without a budget nothing is measured: 'auto' is then the
usual model, whatever else the machine holds.
"""

from __future__ import annotations

from pathlib import Path

from headstart.contracts.figures import info_of
from headstart.contracts.generation import writes_texts
from headstart.engine.launch import world_size
from headstart.kernel.errors import BackboneError, HeadstartError, first_line
from headstart.kernel.progress import Reporter
from headstart.pipeline.budget import Budget
from headstart.pipeline.choose_backbone import automatic
from headstart.pipeline.decision_log import DecisionLog
from headstart.pipeline.numbers import figure_text, in_sentence, seconds_text
from headstart.pipeline.plan import Plan, read_plan
from headstart.pipeline.plan_file import AUTO
from headstart.pipeline.ready import Staged
from headstart.pipeline.record import Decision
from headstart.pipeline.selection.candidates import Candidate, as_candidate, loaded, references_for
from headstart.pipeline.selection.select_run import Contest, standing

SHARE = 0.25
"""Of the budget, for the selection."""

STEP = "choosing the backbone"


def with_best_backbone(
    begun: Staged, plan: Plan, budget: Budget, log: DecisionLog, reporter: Reporter, work: Path | None
) -> Plan:
    """Return the plan with the backbone that suits the data best in place of 'auto', where there is a choice to make.

    The time counts as used. A run that goes on from its folder `work` keeps the backbone that it began with.

    Raises:
        HeadstartError: as `fit`.
    """
    free = plan.backbone == AUTO and plan.weights == "pretrained" and not plan.settings.get("backbone")
    free = free and not writes_texts(begun.task)  # what such a model is worth is not seen before it trains
    if not free or plan.budget is None or begun.continued is not None or world_size() > 1:
        return plan
    if work is not None and (work.parent / "plan.toml").exists():
        return plan.model_copy(update={"backbone": read_plan(work.parent / "plan.toml").backbone})
    clock = Budget(SHARE * plan.budget)
    with budget.step(STEP, SHARE * plan.budget):
        found = _best(begun, plan, clock, reporter)
    budget.earlier += clock.used()
    if found is None:
        return plan
    log.tell(f"Backbone {found.value}: {found.reason}.", found)
    return plan.model_copy(update={"backbone": found.value})


def _best(begun: Staged, plan: Plan, clock: Budget, reporter: Reporter) -> Decision | None:
    """Return the best, with the reason; None where there is only the usual model, or nothing could be ranked."""
    modality = begun.parts.read.examples.schema.modality
    usual = automatic(modality)[0]
    others = [reference for reference in references_for(modality, offered=False) if reference != usual]
    models, _ = loaded(begun, plan, others, named=False, commercial=False, online=False) if others else ([], [])
    if not models:
        return None
    first, _ = loaded(begun, plan, [usual], named=False, commercial=False)
    weights = {one.backbone.weights_hash() for one in first}
    models = [*first, *(one for one in models if one.backbone.weights_hash() not in weights)]
    if len(models) < 2:
        return None
    rows = models[0].data.split.train
    candidates: list[Candidate] = []
    for model in models:
        if candidates and not clock.left():
            break
        try:
            candidates.append(as_candidate(model, plan, rows, reporter))
        except BackboneError as error:
            reporter.say(f"{model.reference} is not ranked: {first_line(error)}")
    if len(candidates) < 2:
        return None
    contest = Contest(plan, candidates, rows, clock, reporter)
    try:
        ranked = contest.run()
    except HeadstartError as error:  # too few examples to rank models on: the usual one stands
        reporter.say(f"The backbones on this machine were not ranked: {error}")
        return None
    best, metric = ranked[0], contest.task.evaluation.primary
    figure = f"{in_sentence(metric.title)} {figure_text(info_of(metric).unit, best.figure)}"
    reason = (
        f"{figure} by a linear probe, cross-validated on {best.examples:,} training examples; "
        f"{standing(ranked, metric, ' on this machine')}, ranked in {seconds_text(clock.used())}"
    )
    if len(ranked) < len(models):
        reason += f"; {len(models) - len(ranked)} more could not be measured in the time that there was"
    return Decision(what="backbone", value=best.reference, reason=reason)
