"""The floor under a fine-tuning with a budget: the run predicts with the frozen probe where that is no worse.

A budget may end a training long before its recipe would. So the validation part decides, as in a search: the
fine-tuning has chosen its epoch and temperature on the same examples, and must beat the probe there beyond noise. One
that does not become the model is kept in a run folder of its own beside it.
"""

from __future__ import annotations

from dataclasses import replace

from headstart.engine.process_group import process_group
from headstart.pipeline.context import FitContext
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
    return context.budget.seconds is not None and steps and context.head is None


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
    better, reason = process_group().agreed(decided(context, where, tuned.validation, start.validation))
    context.log.add(Decision(what="model", value=context.plan.tuning if better else "probe", reason=reason))
    sentence = in_words(where, tuned.title, better=better)
    if better:
        return Arms(context, [tuned, baseline], sentence=sentence)
    kept = replace(tuned, key=TUNED, weights=weights_of(context.backbone))
    context.backbone.module.load_state_dict(before)
    return Arms(context, [replace(baseline, key="model"), kept], sentence=sentence)


def told(arms: Arms, tuned: Trained) -> Arms:
    """The arms with what is to be said of the training of `tuned`: how far its budget let it come, or its end."""
    cut = "" if tuned.progress is None else tuned.progress.cut_off
    words = f"CUT OFF by the budget: {tuned.title} made {cut}." if cut else ""
    return replace(arms, cut_off=words, sentence=" ".join(filter(None, (what_was_kept(tuned.progress), arms.sentence))))
