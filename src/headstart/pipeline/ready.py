"""The steps before anything runs: choose the task, split, load the backbone, bind the task, and note what is lost.

A fit begins with them and `inspect` ends with them, so that both say the same.
"""

from __future__ import annotations

from dataclasses import dataclass

from headstart.contracts.backbone import Backbone
from headstart.contracts.bound_task import bound_task
from headstart.contracts.examples import Examples
from headstart.contracts.generation import LearnsVocabulary, writes_texts
from headstart.contracts.modality import raws_of
from headstart.contracts.task import Task
from headstart.kernel import registry
from headstart.pipeline.budget import Budget
from headstart.pipeline.choose_backbone import choose_backbone, suited
from headstart.pipeline.continued_run import ContinuedRun
from headstart.pipeline.cut_off import CutOff
from headstart.pipeline.decision_log import DecisionLog
from headstart.pipeline.examine import examine
from headstart.pipeline.findings import repeated
from headstart.pipeline.plan import Plan
from headstart.pipeline.plan_file import AUTO
from headstart.pipeline.prepare import Prepared, SeenData, SplitData, bind_data, choose_task, split_data, with_notes
from headstart.pipeline.record import Decision
from headstart.pipeline.run_folder import open_run
from headstart.pipeline.stream_rows import require_streams
from headstart.pipeline.training import boundary


@dataclass(frozen=True)
class Staged:
    """Data that are split for a task, with no backbone yet."""

    parts: SplitData
    task: Task
    continued: ContinuedRun | None
    """The run that the fit goes on from."""
    chosen: Decision | None
    """Why the task was chosen; None where it was named."""
    warnings: tuple[str, ...]
    """Findings on the data that a fit repeats."""


@dataclass(frozen=True)
class Ready:
    """Data bound to a task and a backbone that suits it."""

    data: Prepared
    backbone: Backbone
    reference: str
    """The reference that the backbone was loaded by."""
    why: Decision | None
    """Why it was chosen; None where it was named."""
    lost: tuple[str, ...]
    """Sentences on what it does not read of the inputs, also among the notes on the data."""


def vocabulary(backbone: Backbone, examples: Examples) -> tuple[str, ...]:
    """Let a backbone without a vocabulary learn it from the texts of training examples, those to write among them;
    return sentences on it."""
    if not isinstance(backbone, LearnsVocabulary):
        return ()
    labels = [label for name in examples.schema.targets for label in examples.target(name) if isinstance(label, str)]
    said = backbone.learn_vocabulary([*(str(raw) for raw in raws_of(examples)), *labels])
    return (said,) if said else ()


def staged(seen: SeenData, plan: Plan) -> Staged:
    """Choose the task and split the data. Raises DataError, SettingsError or RunError as `fit`."""
    found = seen.usable()
    task, chosen = choose_task(found.examples, plan)
    continued = None if plan.from_run is None else ContinuedRun(open_run(plan.from_run), plan, found.examples)
    parts = split_data(found, (continued or task).split_policy(found.examples), plan.seed)
    warnings = repeated(examine(seen, plan.data, registry.name_of(task)).findings)
    return Staged(parts, task, continued, chosen, warnings)


def ready(begun: Staged, plan: Plan, budget: Budget, log: DecisionLog) -> Ready:
    """Load the backbone and bind the task. Raises DataError, SettingsError, BackboneError or RunError as `fit`."""
    examples = begun.parts.read.examples
    with budget.step("loading the backbone"):
        backbone, reference, loaded = choose_backbone(examples, plan, writes=writes_texts(begun.task))
    learnt: tuple[str, ...] = ()
    with budget.step("reading and splitting the data"):
        if begun.continued is None:  # before the task is bound, as it may decide the width of features
            learnt = backbone.learn_decoding(raws_of(examples, begun.parts.split.train))
            learnt = (*learnt, *vocabulary(backbone, examples.take(begun.parts.split.train)))
        if begun.chosen is not None:
            log.tell(f"Task {begun.chosen.value}: {begun.chosen.reason}", begun.chosen)
        bound = (
            begun.continued.bind(examples, backbone) if begun.continued else bound_task(begun.task, examples, backbone)
        )
        prepared = bind_data(begun.parts, plan, bound, log)
        log.add(loaded)
        prepared = with_notes(prepared, learnt)
        if begun.continued is not None:
            prepared = begun.continued.apart(prepared)
        require_streams(prepared, plan.plugin("objective"), plan.objective, backbone, target=plan.target is not None)
        if (tuning := plan.plugin("tuning")).solved and plan.tuning != AUTO:
            boundary(tuning, plan.plugin("objective"), backbone)
        lost = CutOff(backbone, prepared.task).look(prepared.examples).notes()
        told = prepared.summary.notes
        prepared = with_notes(prepared, tuple(text for text in (*lost, *begun.warnings) if text not in told))
    return Ready(prepared, suited(backbone, prepared.task, plan.plugin("tuning")), reference, loaded, lost)
