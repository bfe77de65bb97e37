"""Sets and intervals that hold the truth with a given chance: scores of a run's validation part, kept in its folder.

Split conformal prediction needs examples that the model did not learn from. Where a probe's head was solved on the
validation part too, the scores are those of the same head solved on the training part alone, which is no better: sets
are then a little wider than they need be. The first prediction with a coverage reads validation and test part once.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from headstart.contracts.examples import Examples
from headstart.contracts.model import Model
from headstart.contracts.prediction import Prediction
from headstart.contracts.presentation import presentation_of
from headstart.contracts.task_capabilities import ClosedForm, Covers, Sampled
from headstart.engine.frozen.content_keys import content_keys
from headstart.engine.frozen.execution import runner_of
from headstart.engine.frozen.extract import Extracted
from headstart.engine.frozen.infer import Predictor, heads_on_features
from headstart.engine.frozen.runner_choice import Choice
from headstart.engine.solved.solve import solve_head
from headstart.engine.store.feature_store import FeatureStore
from headstart.kernel import registry
from headstart.kernel.errors import DataError, HeadstartError, RunError, SettingsError
from headstart.kernel.files import read_json, write_json
from headstart.kernel.progress import Reporter
from headstart.kernel.settings import Settings
from headstart.kernel.user_settings import build
from headstart.numerics.conformal import fewest, radius
from headstart.pipeline.completion import Present
from headstart.pipeline.embed import embed
from headstart.pipeline.own_test_part import count_reading, own_part
from headstart.pipeline.prepare import codes
from headstart.pipeline.run_folder import RunFolder
from headstart.pipeline.unusable import predict_usable

FILE = "coverage.json"


class Scores(Settings):
    """Contents of RUN/coverage.json."""

    model: str
    """Hash of the model that they belong to."""
    validation: tuple[float, ...]
    """How badly the truth of each example fits."""
    groups: tuple[int, ...] = ()
    """Number of the group of each; empty where examples are single ones."""
    test: tuple[float, ...]
    """The same of the test part, by the model itself."""

    def radius(self, coverage: float) -> float:
        """The radius of a coverage. Raises DataError where validation has too few examples or groups."""
        groups = np.array(self.groups) if self.groups else None
        found = radius(np.array(self.validation), coverage, groups)
        if not np.isfinite(found):
            count, unit = (len({*self.groups}), "groups") if self.groups else (len(self.validation), "examples")
            raise DataError(
                f"the validation part has {count} {unit}, and a coverage of {coverage:g} needs {fewest(coverage)} of"
                " them at least. Give a lower --coverage, or fit on more data."
            )
        return found

    def reached(self, coverage: float) -> str:
        """A sentence on the test part."""
        share = float((np.array(self.test) <= self.radius(coverage)).mean())
        return (
            f"At --coverage {coverage:g} the truth of {100 * share:.1f} % of the run's {len(self.test):,} test examples"
            " is covered"
        )


def scores_of(run: RunFolder, reporter: Reporter, present: Present) -> Scores:
    """The scores of a run, from its folder or by reading its validation and test part once.

    Raises:
        SettingsError: its task has no sets. RunError: the data are gone, or the model learnt from its validation part.
    """
    task, shown = run.model.task, presentation_of(run.model.task)
    if not isinstance(shown, Covers):
        known = "those of single classes and numbers"
        raise SettingsError(f"--coverage: the task '{registry.name_of(task)}' has no sets or intervals; {known} have")
    path, bound = run.folder / FILE, run.record.model_hash
    if path.exists():
        kept = _kept(path)
        if kept.model == bound:
            return kept
    columns = run.model.columns.model_copy(update={"part": None})
    try:
        parts = {name: own_part(run, columns, name) for name in ("val", "test")}
        held_out, judged = _held_out(run, parts["val"], reporter)
    except RunError as error:
        raise RunError(f"--coverage needs the run's validation and test part once: {error}") from error
    tested = predict_usable(Predictor(run.model, reporter=reporter), parts["test"])
    if tested.prediction is None:
        raise DataError("--coverage: none of the run's test examples can be read any more")
    groups = codes(judged, judged.schema.group)
    found = Scores(
        model=bound,
        validation=tuple(shown.misfit(held_out, task.targets(judged)).tolist()),
        groups=() if groups is None else tuple(groups.tolist()),
        test=tuple(shown.misfit(tested.prediction, task.targets(parts["test"].take(tested.rows))).tolist()),
    )
    write_json(path, found.model_dump(mode="json"))
    _, notes = count_reading(run, content_keys(parts["test"]).keys, present)
    for note in notes:
        reporter.say(note)
    return found


def _kept(path: Path) -> Scores:
    try:
        found: Scores = build(Scores, read_json(path), where=FILE)
    except HeadstartError as error:
        raise RunError(f"{path} is damaged: {error}. Delete it, and it is made anew.") from error
    return found


def _held_out(run: RunFolder, examples: Examples, reporter: Reporter) -> tuple[Prediction, Examples]:
    """A prediction for the validation part by a model that did not learn from it, and the examples predicted."""
    model, fit_on = run.model, run.record.arms["model"].fit_on
    if "val" not in fit_on:
        found = predict_usable(Predictor(model, reporter=reporter), examples)
        if found.prediction is None:
            raise RunError("none of the run's validation examples can be read any more")
        return found.prediction, examples.take(found.rows)
    task = model.task
    by_steps, adapted = run.record.arms["model"].history, run.record.adaptation is not None
    if not isinstance(task, ClosedForm) or isinstance(task, Sampled) or by_steps or adapted:
        raise RunError("its model learnt from the validation part; fit it with --set tuning.refit=false")
    train = own_part(run, model.columns.model_copy(update={"part": None}), "train")
    known, new = (_passed(model, some, reporter) for some in (train, examples))
    learnt = train.take(known.rows)
    groups = codes(learnt, learnt.schema.group)
    head, _ = solve_head(task.linear(), known.pooled(), task.targets(learnt), groups, run.plan.seed)
    heads = type(model.heads)({"head": head})
    return heads_on_features(replace(model, heads=heads), new.pooled()), examples.take(new.rows)


def _passed(model: Model, examples: Examples, reporter: Reporter) -> Extracted:
    """Pooled features, from the store where they are kept."""
    choice = Choice(runner_of(model.execution), "", by_use=model.execution.get("gate") == "by use")
    return embed(model.backbone, examples, runner=choice, store=FeatureStore(), reporter=reporter)
