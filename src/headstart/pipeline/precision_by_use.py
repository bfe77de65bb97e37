"""Precision by use: features that only feed probes and evidence may be coarser than states that a training needs.

A faster runner whose features are more than 1 % off float32's does where they are no more than 1.5 times as far off as
those of PyTorch's own bfloat16, and a cross-validated probe is not significantly worse on them: both predict the same
sample of the labelled examples, and the 95 % interval of the paired difference reaches zero.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from headstart.contracts.backbone import Backbone
from headstart.contracts.examples import Examples
from headstart.contracts.figures import info_of
from headstart.contracts.prediction import Prediction
from headstart.contracts.runner import CannotRun
from headstart.contracts.task_capabilities import ClosedForm, Sampled
from headstart.engine.device import pick_device
from headstart.engine.frozen.coarser_runner import choose_coarser, choose_named
from headstart.engine.frozen.disk_cache import DiskCache
from headstart.engine.frozen.execution import described, here, in_words
from headstart.engine.frozen.feature_spec import FeatureSpec
from headstart.engine.frozen.pairs import passing
from headstart.engine.frozen.pass_key import pass_key
from headstart.engine.frozen.pass_space import not_stored, space_of_pass
from headstart.engine.frozen.runner_choice import Choice
from headstart.engine.store.feature_store import FeatureStore
from headstart.evidence.comparison import compare
from headstart.evidence.folds import folds
from headstart.evidence.held_out_probe import held_out_prediction
from headstart.kernel.errors import BackboneError, DataError, first_line
from headstart.kernel.files import hash_json
from headstart.kernel.progress import Reporter
from headstart.kernel.randomness import draw_seed
from headstart.pipeline.embed import choice_of_runner, embed
from headstart.pipeline.judge import figure_row
from headstart.pipeline.numbers import difference_text, in_sentence, value_text
from headstart.pipeline.plan import Plan
from headstart.pipeline.plan_file import AUTO
from headstart.pipeline.prepare import Prepared, no_longer_read

SAMPLE, FOLDS = 256, 5
"""Labelled examples that the probe is tried on, at most."""

SECONDS = 1.5
"""About what two cross-validated probes take."""

WORTH = 0.25
"""A coarser runner is tried where that takes less than this share of the pass, which may become twice as fast."""

MEMO = "probes-1"


class Labelled(NamedTuple):
    """Labelled examples that a probe may be tried on; never those of the test part."""

    data: Prepared
    rows: np.ndarray
    seed: int

    def sample(self) -> np.ndarray:
        """Some of the rows, (sample,) int64 ascending."""
        draws = np.random.default_rng(draw_seed(self.seed, "sample for the precision"))
        return np.sort(draws.choice(self.rows, min(SAMPLE, len(self.rows)), replace=False))


class Verdict(NamedTuple):
    """A probe on a coarser runner's features against one on the right runner's."""

    worse: bool
    text: str


def choice_by_use(
    backbone: Backbone,
    examples: Examples,
    keys: Sequence[str | None],
    spec: FeatureSpec,
    plan: Plan,
    labelled: Labelled | None,
    work: Path | None = None,
    reporter: Reporter | None = None,
) -> Choice:
    """The runner of a pass: by use where the plan trains nothing on its features but solved heads.

    Arguments as of `choice_of_runner`; without `labelled` the runner is within 1 %.

    Raises:
        CannotRun: a runner was named, and a probe is significantly worse on its features.
    """
    named, device, store = plan.named_runner(), pick_device(), FeatureStore()
    solved = plan.tuning != AUTO and plan.plugin("tuning").solved
    if labelled is None or not solved or not _can_be_tried(labelled):
        return choice_of_runner(backbone, examples, keys, spec, named, work)
    one, inputs, their_keys, _ = passing(backbone, examples, keys)
    if named is not None:
        coarser = choose_named(named, one, inputs, their_keys, spec, device)
        if not coarser.by_use or not coarser.key:
            return coarser
        exact = choice_of_runner(backbone, examples, keys, spec, None)
        verdict = _verdict(backbone, spec, labelled, exact, coarser, store)
        if verdict.worse:
            fault = f"{in_words(named)} does not do for {backbone.name}: {verdict.text}"
            raise CannotRun(f"{fault}. Use --runner auto, which takes the fastest that does")
        return replace(coarser, reason=f"named; {coarser.reason}; {verdict.text}")
    exact = choice_of_runner(backbone, examples, keys, spec, None, work)
    if exact.by_use or not _pays(exact, their_keys, one, spec, store, reporter):
        return exact
    found = choose_coarser(one, inputs, their_keys, spec, device, exact)
    if found is None:
        return exact
    verdict = _verdict(backbone, spec, labelled, exact, found, store)
    if verdict.worse:
        return replace(exact, reason=f"{exact.reason}; {in_words(found.runner)}: {verdict.text}")
    return replace(found, reason=f"{found.reason}; {verdict.text}")


def _can_be_tried(labelled: Labelled) -> bool:
    """True where a probe can be cross-validated: on pooled features, of a task with a closed form."""
    data, rows = labelled.data, labelled.sample()
    plain = isinstance(data.task, ClosedForm) and not isinstance(data.task, Sampled)
    return plain and data.task.needs.features == "pooled" and _folds(data, rows) >= 2


def _pays(
    exact: Choice,
    keys: Sequence[str | None],
    one: Backbone,
    spec: FeatureSpec,
    store: FeatureStore,
    reporter: Reporter | None,
) -> bool:
    """True where trying a coarser runner is short beside the pass on the right one, most of which is still to come.

    A sample may be stored by an earlier trial: the answer must be the same afterwards.
    """
    known = [key for key in keys if key is not None]
    space = space_of_pass(pass_key(one, spec), one.name, exact.runner, store, reporter)
    if not_stored(space, known, np.arange(len(known)))[1] > len(known) / 2:
        return False
    return SAMPLE * exact.seconds_each + SECONDS <= WORTH * len(known) * exact.seconds_each


def _verdict(
    backbone: Backbone, spec: FeatureSpec, labelled: Labelled, exact: Choice, coarser: Choice, store: FeatureStore
) -> Verdict:
    """The comparison on a sample of the labelled examples, or what an earlier one found."""
    data, rows = labelled.data, labelled.sample()
    labels = {name: values.tolist() for name, values in data.targets.items()}
    runners = [described(choice.runner) for choice in (exact, coarser)]
    setting = [coarser.key, here(pick_device()), runners, data.keys, labels]  # not the split: it holds for every seed
    memo, entry = DiskCache(MEMO), hash_json(setting).encode()
    if (kept := memo.get([entry]).get(entry)) is not None:
        return Verdict(*json.loads(kept))
    try:
        one, other = (_predicted(backbone, spec, labelled, rows, choice, store) for choice in (coarser, exact))
        verdict = _compared(labelled, rows, one, other, in_words(exact.runner))
    except (DataError, BackboneError) as error:
        verdict = Verdict(True, f"a probe could not be tried on its features: {first_line(error)}")
    memo.put({entry: json.dumps(verdict).encode()})
    return verdict


def _predicted(
    backbone: Backbone, spec: FeatureSpec, labelled: Labelled, rows: np.ndarray, choice: Choice, store: FeatureStore
) -> Prediction:
    data = labelled.data
    some, keys = data.examples.take(rows), [data.keys[row] for row in rows]
    found = embed(backbone, some, spec, keys=keys, runner=choice, store=store)
    if found.failures:
        raise no_longer_read(some, found.failures)
    units = data.kept_together(rows)
    cut = folds(np.arange(len(rows)), data.strata[rows], units, _folds(data, rows), labelled.seed)
    return held_out_prediction(data.task, found.pooled(), data.targets_of(rows), cut, units, labelled.seed)


def _folds(data: Prepared, rows: np.ndarray) -> int:
    units = data.kept_together(rows)
    return min(FOLDS, len(rows) if units is None else len(np.unique(units)))


def _compared(labelled: Labelled, rows: np.ndarray, coarse: Prediction, exact: Prediction, exactly: str) -> Verdict:
    data, metric = labelled.data, labelled.data.task.evaluation.primary
    targets = data.targets_of(rows)
    found = compare(metric, targets, coarse, exact, groups=data.kept_together(rows), seed=labelled.seed, choosing=True)
    unit = info_of(metric).unit
    score, other = (value_text(unit, metric.score(targets, one)) for one in (coarse, exact))
    apart = difference_text(unit, figure_row(found.figure))
    title = in_sentence(metric.title)
    text = f"a probe on {len(rows)} labelled examples has {title} {score}, on {exactly} {other}: {apart}"
    return Verdict(found.verdict == "worse", f"{text}, significantly worse" if found.verdict == "worse" else text)
