"""Choice with few labels: how much of a fine-tuning goes into a blend with the probe, and what that gains."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headstart.contracts.blended_head import link_of
from headstart.contracts.prediction import Prediction
from headstart.evidence.comparison import compare, figures
from headstart.pipeline.blending import LEAST_SHARE, Blending, blended, found_blending
from headstart.pipeline.context import FitContext
from headstart.pipeline.judge import figure_row
from headstart.pipeline.numbers import difference_text, in_sentence
from headstart.search.probe_comparison import Answer, Where


def blend_compared(
    context: FitContext, where: Where, both: tuple[Prediction, Prediction], folds: Sequence[np.ndarray], name: str
) -> tuple[Answer, Blending | None]:
    """Return how a blend compares with the probe, and how it is made; None where one of them is better alone.

    Args:
        where: all labelled examples. both: predictions of probe and fine-tuning for them, each without its label.
        folds: the places of the examples that were held out together.
        name: of the fine-tuning.
    """
    data, task, seed = context.data, context.data.task, context.plan.seed
    targets, groups = data.targets_of(where.rows), data.groups_of(where.rows)
    shrinkage, metric = context.plan.blend.shrinkage, task.evaluation.primary
    how = found_blending(task, both, targets, shrinkage)
    held_out: list[Prediction] = []
    for fold in folds:
        rest = np.setdiff1d(np.arange(len(where.rows)), fold)
        others = {key: values[rest] for key, values in targets.items()}
        by_others = found_blending(task, [one.take(rest) for one in both], others, shrinkage)
        held_out.append(blended(task, [one.take(fold) for one in both], by_others))
    mixed = Prediction.join(held_out).take(np.argsort(np.concatenate(folds)))
    difference = compare(metric, targets, mixed, both[0], groups=groups, seed=seed, choosing=True).figure
    gain = difference_text(metric.unit, figure_row(difference))
    tuned, probe = (
        figures(task.evaluation.metrics, targets, one, groups=groups, seed=seed)[metric.name]
        for one in (mixed, both[0])
    )
    share = how.weights[1]
    title = f"the best fine-tuning ({name} of {context.backbone.name})"
    said = f"{where.short.capitalize()} blending gives {title} {100 * share:.0f} % of the weight"
    loss = "squared error" if link_of(task) == "numbers" else "log loss"
    reason = f"{where.long}, weights by their {loss}: {how.in_words(name)}"
    against = f"{in_sentence(metric.title)} against the probe {gain}, weights from the other folds"
    if share < LEAST_SHARE:
        return Answer(False, tuned, probe, reason, f"{said}, so the probe alone is the model."), None
    ends = "so that it alone is the model" if share > 1 - LEAST_SHARE else "and the probe the rest"
    answer = Answer(True, tuned, probe, f"{reason}; {against}", f"{said}, {ends}: {against}.")
    return answer, None if share > 1 - LEAST_SHARE else how
