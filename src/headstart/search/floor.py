"""The floor under a fine-tuning: the run predicts with the frozen probe where that is no worse.

A budget may end a training long before its recipe would. So there the validation part decides, as in a search: the
fine-tuning has chosen its epoch and temperature on the same examples, and must beat the probe there beyond noise. One
that does not become the model is kept in a run folder of its own beside it.

A model that knows the task before it is trained, as one that writes does, has a floor without a budget too: it stays as
it is where the fine-tuning is no better on validation.
"""

from __future__ import annotations

from dataclasses import replace

from headstart.contracts.prediction import Prediction
from headstart.contracts.spoken_characters import begins_learnt
from headstart.engine.process_group import process_group
from headstart.pipeline.context import FitContext
from headstart.pipeline.numbers import value_text
from headstart.pipeline.record import TUNED, Decision
from headstart.pipeline.trained import Arms, Trained, Weights, weights_of
from headstart.pipeline.training import what_was_kept
from headstart.search.probe_comparison import Where, decided, in_words


def has_floor(context: FitContext) -> bool:
    """Return whether the probe may become the model in place of the tuning that was asked for.

    Not where a run goes on from another: a new head would have forgotten what that one knows.
    """
    asked = context.tuning
    steps = not asked.solved and asked.start == "pretrained"
    ends_early = context.budget.seconds is not None
    return (ends_early or begins_learnt(context.data.task)) and steps and context.head is None


def better_of(context: FitContext, tuned: Trained, start: Trained, baseline: Trained, before: Weights) -> Arms:
    """The better of fine-tuning and probe on validation as the model.

    Args:
        context: data, and the backbone, which has the weights of `tuned`.
        tuned: the fine-tuning. start: the probe that has not seen the validation part. baseline: the one to ship.
        before: weights of the backbone before the fine-tuning.
    """
    if tuned.validation is None or start.validation is None:
        return Arms(context, [tuned, baseline])
    where = Where("on validation", "on validation, which also chose its epoch", context.data.split.val)
    early = context.budget.seconds is not None
    decide = decided if early else _no_worse
    better, reason = process_group().agreed(decide(context, where, tuned.validation, start.validation))
    context.log.add(Decision(what="model", value=context.plan.tuning if better else "probe", reason=reason))
    sentence = in_words(where, tuned.title, better=better) if early else _kept(start, better=better)
    if better:
        return Arms(context, [tuned, baseline], sentence=sentence)
    kept = replace(tuned, key=TUNED, weights=weights_of(context.backbone))
    context.backbone.module.load_state_dict(before)
    return Arms(context, [replace(baseline, key="model"), kept], sentence=sentence)


def _no_worse(context: FitContext, where: Where, one: Prediction, other: Prediction) -> tuple[bool, str]:
    """Return True where the fine-tuning's primary metric is better than that of its start, and both in words."""
    metric, targets = context.data.task.evaluation.primary, context.data.targets_of(where.rows)
    found = metric.score(targets, one), metric.score(targets, other)
    better = found[0] > found[1] if metric.greater_is_better else found[0] < found[1]
    values = (value_text(metric.unit, value) for value in found)
    return better, f"{where.long}: {metric.title} {' against '.join(values)} of the model as it is"


def _kept(start: Trained, *, better: bool) -> str:
    return "" if better else f"On validation no epoch was better than {start.title}, so that stays the model."


def told(arms: Arms, tuned: Trained) -> Arms:
    """The arms with what is to be said of the training of `tuned`: how far its budget let it come, or its end."""
    cut = "" if tuned.progress is None else tuned.progress.cut_off
    words = f"CUT OFF by the budget: {tuned.title} made {cut}." if cut else ""
    return replace(arms, cut_off=words, sentence=" ".join(filter(None, (what_was_kept(tuned.progress), arms.sentence))))
