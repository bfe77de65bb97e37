"""The one sequence of steps: read, split, load, bind, embed, train, judge, record, present.

A fit, an estimator, a launcher's processes and the benchmarks all take these steps. How to train and how to present are
passed in, as searches and reports know the pipeline and not the other way round.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from headstart.contracts.backbone import Backbone
from headstart.contracts.examples import Examples
from headstart.contracts.generation import blank
from headstart.contracts.interactions import ItemContents
from headstart.contracts.recommender import HasCandidates
from headstart.contracts.spoken_characters import begins_learnt
from headstart.engine.frozen.execution import TIMES_AUTOCAST, in_words, plain_runner
from headstart.engine.frozen.extract import Extracted, nothing_extracted
from headstart.engine.frozen.feature_spec import FeatureSpec
from headstart.engine.frozen.runner_choice import Choice
from headstart.engine.store.feature_store import FeatureStore
from headstart.kernel import registry
from headstart.kernel.errors import SettingsError, some
from headstart.kernel.progress import Quiet, Reporter
from headstart.pipeline.adaptation.shared_columns import lacking, without_columns
from headstart.pipeline.adaptation.target import Target, embedded_target, read_target
from headstart.pipeline.budget import Budget
from headstart.pipeline.context import FitContext
from headstart.pipeline.continued_run import ContinuedRun
from headstart.pipeline.data import Given
from headstart.pipeline.decision_log import DecisionLog
from headstart.pipeline.edits import show, with_edit_cost
from headstart.pipeline.embed import embed, in_windows, pass_spec
from headstart.pipeline.foresight import with_foresight
from headstart.pipeline.item_contents import with_contents
from headstart.pipeline.kept_domain import require_kept
from headstart.pipeline.layers import with_layers
from headstart.pipeline.pairs import in_better_form
from headstart.pipeline.plan import HEAD_BY_STEPS, TRAINING, Plan
from headstart.pipeline.plan_file import AUTO
from headstart.pipeline.precision_by_use import Labelled, choice_by_use
from headstart.pipeline.prepare import Prepared, read_data, require_all, with_notes, without
from headstart.pipeline.ready import ready, staged
from headstart.pipeline.record import Decision
from headstart.pipeline.selection.automatic import with_best_backbone
from headstart.pipeline.time_estimates import too_long_a_pass

OF_RECOMMENDATIONS = ("backbone", "format", "recommender", "task")
"""Parts of `--set` that have a meaning where recommenders are chosen from; a plan file names the runner beside them."""


@dataclass(frozen=True)
class Start:
    """Data and backbone of a fit, and how the frozen pass goes; nothing has run yet."""

    plan: Plan
    """With the names of what was chosen so far."""
    data: Prepared
    read: Prepared
    """The data as the backbone reads them."""
    backbone: Backbone
    spec: FeatureSpec
    """Features that the frozen pass keeps."""
    choice: Choice
    """Its runner."""
    store: FeatureStore | None
    budget: Budget
    continued: ContinuedRun | None = None
    """The run that the fit goes on from."""
    log: DecisionLog = field(default_factory=DecisionLog)
    target: Target | None = None
    """Inputs of another domain, to which the model is adapted."""
    contents: ItemContents | None = None
    """Of items to recommend."""
    all_needed: bool = False
    """True where an input that cannot be read is an error, rather than left out."""

    def embedded(self, work: Path | None = None, reporter: Reporter | None = None) -> FitContext:
        """Send the data through the frozen backbone, pairs the way it suits; checkpoints will lie in `work`.

        Raises:
            DataError: a part that is needed has no input that could be read, or a tuning needs a layer view.
        """
        read, reporter = self.read, reporter or Quiet()
        if isinstance(self.backbone, HasCandidates):
            features = nothing_extracted(self.choice.runner)
            return FitContext(
                self.plan,
                self.data,
                self.backbone,
                features,
                work,
                reporter,
                budget=self.budget,
                log=self.log,
                contents=self.contents,
            )
        with self.budget.step("the frozen pass"):
            features = embed(
                self.backbone,
                read.examples,
                self.spec,
                keys=read.keys,
                runner=self.choice,
                store=self.store,
                reporter=reporter,
                work=work,
            )
            if features.runner != self.choice.runner:
                reason = f"the pass had become slow on {in_words(self.choice.runner)}, and was measured again"
                self.log.add(Decision(what="runner", value=in_words(features.runner), reason=reason))
            if self.all_needed:
                require_all(read.examples, features.failures)
            left = without(read, features.failures)
        data, windows = (left, None) if read is self.data else (self.data, left)
        head = None if self.continued is None else self.continued.head(data.task, self.backbone)
        context = FitContext(
            self.plan, data, self.backbone, features, work, reporter, self.store, windows, head, self.budget, self.log
        )
        return with_foresight(with_edit_cost(with_layers(self._with_target(in_better_form(context)))))

    def _with_target(self, context: FitContext) -> FitContext:
        """Send the target through the frozen backbone the way the source went: features of two runners differ."""
        if self.target is None:
            return context
        choice = Choice(context.features.runner, "", by_use=context.features.by_use)

        def passed(examples: Examples, keys: Sequence[str]) -> Extracted:
            how = context.backbone, examples, FeatureSpec()
            return embed(*how, keys=keys, runner=choice, store=self.store, reporter=context.reporter, work=None)

        with self.budget.step("the frozen pass"):
            target = embedded_target(self.target, passed)
        return replace(context, data=with_notes(context.data, target.data.told()), target=target)


def _gate(choice: Choice) -> Decision | None:
    """The gate by which a runner may take the place of plain PyTorch."""
    if not choice.reason or choice.runner.plain:
        return None
    if choice.by_use:
        reason = (
            f"features only feed probes and evidence: at most {TIMES_AUTOCAST} times as far off float32's as those of "
            "PyTorch's own bfloat16, and a cross-validated probe is not significantly worse on them"
        )
        return Decision(what="precision", value="by use", reason=reason)
    return Decision(what="precision", value="within 1 %", reason="each kind of feature is at most 1 % off float32's")


def _with_training(plan: Plan, data: Prepared, backbone: Backbone, log: DecisionLog) -> Plan:
    """The plan whose model trains where nobody said how and a frozen one would write what it wrote before, or noise."""
    unsaid = "tuning" not in plan.model_fields_set or (plan.tuning == AUTO and blank(data.task, backbone))
    if unsaid and data.task.needs.generates:
        value, reason = TRAINING, "a model that writes has no head to learn by itself; --tuning names another way"
    elif unsaid and begins_learnt(data.task) and plan.head.plain:
        value, reason = HEAD_BY_STEPS, "the model's own last layer learns on kept frames; --tuning names another way"
    else:
        return plan
    log.tell(f"Tuning {value}: {reason}.", Decision(what="tuning", value=value, reason=reason))
    return plan.model_copy(update={"tuning": value})


def _require_solvable(plan: Plan, backbone: Backbone) -> None:
    """Refuse what would do nothing to a backbone that learns from interactions. Raises SettingsError."""
    why = f"{backbone.name} learn from all interactions by settings of their own, and have no head that is trained"
    if odd := sorted(plan.settings.keys() - {*OF_RECOMMENDATIONS, "runner"}):  # before a tuning that `head` chose
        read = ", ".join(OF_RECOMMENDATIONS)
        raise SettingsError(f"--set {odd[0]}... would do nothing: {why}. What is read here: {read}.")
    usual = {
        name: Plan.model_fields[name].default for name in ("tuning", "objective", "augmentation", "from_run", "target")
    }
    for name, value in usual.items():
        if (given := getattr(plan, name)) not in (value, AUTO):
            flag = {"from_run": "from"}.get(name, name)
            raise SettingsError(f"--{flag} {given} would do nothing: {why}. Leave --{flag} out.")


def start(given: Given, plan: Plan, reporter: Reporter | None = None, work: Path | None = None) -> Start:
    """Read and split the data, load the backbone, bind the task to both, and choose how the frozen pass goes.

    `work` is the folder of checkpoints of a run that goes on; its choices hold.

    Raises:
        DataError, SettingsError, BackboneError, RunError: what is wrong, and what to do.
    """
    budget, reporter = Budget(plan.budget), reporter or Quiet()
    log = DecisionLog(reporter)
    with budget.step("reading and splitting the data"):
        seen = read_data(given.data, plan, reporter, given.source)
        if missing := lacking(seen.examples, given.target, plan):
            plan = without_columns(plan, missing)
            names = some(missing, 8)
            decision = Decision(what="left out", value=names, reason="the target lacks these columns")
            log.tell(f"Left out input columns that the target lacks: {names}.", decision)
            seen = read_data(given.data, plan, reporter)
        begun = staged(seen, plan)
    plan = with_best_backbone(begun, plan, budget, log, reporter, work)
    found = ready(begun, plan, budget, log)
    prepared, backbone = found.data, found.backbone
    show(backbone.edits, reporter)
    with budget.step("reading the target"):
        target = read_target(given, plan, prepared, reporter)
    views = plan.plugin("augmentation").bind(backbone.input_kind(), len(prepared.split.train))
    views.require_targets(prepared.task.target_kinds)
    budget.begin()
    named = plan.model_copy(update={"backbone": found.reference, "task": registry.name_of(prepared.task)})
    require_kept(plan, prepared.task, backbone)
    named = _with_training(named, prepared, backbone, log)
    if isinstance(backbone, HasCandidates):
        _require_solvable(plan, backbone)
        choice = Choice(plain_runner(), "")
        contents = None
        if plan.items_data is not None:
            with budget.step("the contents of items"):
                prepared, contents = with_contents(prepared, plan, given.items, reporter)
        return Start(
            named, prepared, prepared, backbone, FeatureSpec(), choice, None, budget, None, log, contents=contents
        )
    store = FeatureStore()
    with budget.step("choosing how to run it"):
        read = in_windows(prepared, backbone)
        spec, kept = pass_spec(backbone, read.task, read.examples, store)
        log.add(kept)
        labelled = Labelled(prepared, prepared.split.train, plan.seed) if read is prepared else None
        choice = choice_by_use(backbone, read.examples, read.keys, spec, plan, labelled, work, reporter)
        if choice.reason:
            decision = Decision(what="runner", value=in_words(choice.runner), reason=choice.reason)
            log.tell(f"Runner {decision.value}: {choice.reason}", decision)
        log.add(_gate(choice))
        late = too_long_a_pass(read, backbone, spec, choice, store, budget, reporter, searched=plan.tuning == AUTO)
        if late is not None:
            log.tell(f"Warning: {late.reason}.", late)
    return Start(named, prepared, read, backbone, spec, choice, store, budget, begun.continued, log, target)
