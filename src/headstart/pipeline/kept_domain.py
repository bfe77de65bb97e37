"""The kept domain: labelled examples that a model was good at before, scored before and after it learns others.

Published gains of adapted translation models came with a ruined general domain (37.2 -> 12.0 BLEU for kNN-MT). So
`--keep general.tsv` holds the model against itself as it was, example by example.
"""

from __future__ import annotations

import numpy as np

from headstart.contracts.backbone import Backbone
from headstart.contracts.examples import Examples
from headstart.contracts.generation import blank
from headstart.contracts.prediction import Prediction
from headstart.contracts.spoken_characters import begins_learnt
from headstart.contracts.task import BoundTask
from headstart.engine.frozen.infer import Predictor
from headstart.evidence.comparison import compare, figures
from headstart.kernel.errors import DataError, SettingsError
from headstart.pipeline.context import FitContext
from headstart.pipeline.data import read_examples
from headstart.pipeline.judge import figure_row, rows_of
from headstart.pipeline.plan import Plan
from headstart.pipeline.prepare import no_longer_read
from headstart.pipeline.record import Forgetting
from headstart.pipeline.trained import Arms, Trained, own_weights

MOST = 1000
"""Examples that are scored at most."""


def require_kept(plan: Plan, task: BoundTask, backbone: Backbone) -> None:
    """Refuse a kept domain of a model that knows nothing of its task before it is trained. Raises SettingsError."""
    if plan.keep is None or (begins_learnt(task) and not blank(task, backbone)):
        return
    raise SettingsError(
        f"--keep {plan.keep} would do nothing: {backbone.name} does not know the task before it is trained, so that "
        "nothing can be lost. --from RUN goes on from a run and tells what that forgets."
    )


def kept_domain(context: FitContext) -> Examples | None:
    """Read the examples of the kept domain; None where there is no such domain. Raises DataError."""
    if context.plan.keep is None:
        return None
    columns = context.data.columns.model_copy(update={"part": None, "slices": ()})
    examples, _ = read_examples(context.plan.keep, columns)
    if len(examples) < 2:
        raise DataError(f"--keep {context.plan.keep} has {len(examples)} examples; two are needed at least")
    return examples.take(np.arange(min(len(examples), MOST)))


def halves(examples: Examples) -> tuple[Examples, Examples]:
    """One half to choose by, and one to report."""
    rows = np.arange(len(examples))
    return examples.take(rows[::2]), examples.take(rows[1::2])


def kept_forgetting(context: FitContext, arms: Arms) -> Forgetting | None:
    """Hold the model against itself as it was on the kept domain; None without one, or where it stayed as it was."""
    examples, model = kept_domain(context), arms.trained[0]
    start = next((arm for arm in arms.trained if arm.key == "probe"), None)
    if examples is None or start is None or start.title == model.title:
        return None
    examples = halves(examples)[1] if context.tuning.retrieves else examples
    after, before = _predicted(context, model, examples), _predicted(context, start, examples)
    task, seed = context.data.task, context.plan.seed
    targets, metrics = task.targets(examples), task.evaluation.metrics
    difference = compare(task.evaluation.primary, targets, after, before, seed=seed)
    return Forgetting(
        run=str(context.plan.keep),
        kept=True,
        examples=len(examples),
        metric=task.evaluation.primary.name,
        before=rows_of(figures(metrics, targets, before, seed=seed)),
        after=rows_of(figures(metrics, targets, after, seed=seed)),
        difference=figure_row(difference.figure),
        verdict=difference.verdict,
    )


def _predicted(context: FitContext, arm: Trained, examples: Examples) -> Prediction:
    with own_weights(arm):
        found = Predictor(arm.model.eval(), reporter=context.reporter)(examples.unlabelled())
    if found.prediction is None or found.failures:
        raise no_longer_read(examples, found.failures)
    return found.prediction
