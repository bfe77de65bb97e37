"""Frozen passes: what is kept of each example, which runner makes it, and where the batches of a training begin.

How much room kept states would take is estimated first. Where the store has less, nothing is kept and the frozen stages
run again in every epoch: slower, and the same result.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from headstart.contracts.backbone import Backbone
from headstart.contracts.carriers import Batch, State
from headstart.contracts.examples import Examples
from headstart.contracts.features import Features
from headstart.contracts.generation import blank
from headstart.contracts.modality import raws_of
from headstart.contracts.runner import Runner
from headstart.contracts.task import Targets
from headstart.contracts.task_capabilities import BoundTask, Sampled, Windowed
from headstart.engine.device import pick_device
from headstart.engine.frozen.choose_runner import choose_again, choose_runner
from headstart.engine.frozen.content_keys import content_keys
from headstart.engine.frozen.execution import in_words
from headstart.engine.frozen.extract import Extracted, extract
from headstart.engine.frozen.feature_spec import FeatureSpec, FrozenSegment, suffix
from headstart.engine.frozen.pairs import of_pairs, passing
from headstart.engine.frozen.runner_choice import Choice
from headstart.engine.frozen.slow_pass import SlowPass
from headstart.engine.frozen.views import View
from headstart.engine.launch import world_size
from headstart.engine.store.feature_store import FeatureStore
from headstart.engine.streams import PreparedInputs, StateSource, Stream
from headstart.evidence.splits import Split
from headstart.kernel.errors import DataError
from headstart.kernel.progress import Quiet, Reporter
from headstart.pipeline.adaptation.target import EmbeddedTarget
from headstart.pipeline.context import FitContext
from headstart.pipeline.prepare import Prepared, no_longer_read
from headstart.pipeline.record import Decision

LOOKED_AT = 4
"""Inputs by which the size of kept states is estimated."""

MOST_IN_MEMORY = 4_000_000_000
"""Bytes of kept states where there is no store on disk."""

SAMPLED_AT_ONCE = 32
"""Examples whose features are in memory at a time while some of their vectors are drawn."""


def embed(
    backbone: Backbone,
    examples: Examples,
    spec: FeatureSpec | None = None,
    *,
    keys: Sequence[str | None] | None = None,
    runner: Runner | Choice | None = None,
    store: FeatureStore | None = None,
    reporter: Reporter | None = None,
    view: View | None = None,
    work: Path | None = None,
) -> Extracted:
    """Send examples through a frozen backbone once, or read what an earlier pass has kept of them.

    Args:
        spec: what to keep; pooled features without it.
        keys: the examples' content keys, where they are known.
        runner: how it is executed; the fastest correct way without it. A choice is measured again where the pass is
            much slower than it promises.
        store: where features are kept; in memory without one.
        reporter: shows progress.
        view: what is seen in place of the inputs as they are.
        work: the folder in which a run that is not finished keeps its choices.
    """
    spec, keys = spec or FeatureSpec(), content_keys(examples).keys if keys is None else keys
    choice = runner if isinstance(runner, Choice) else choice_of_runner(backbone, examples, keys, spec, runner)
    choice.keep(work)
    if view is not None:
        return extract(backbone, examples, keys, spec, runner=choice.runner, store=store, reporter=reporter, view=view)
    one, inputs, their_keys, places = passing(backbone, examples, keys)
    found = _watched(one, inputs, their_keys, spec, choice, store or FeatureStore(limit=0), reporter or Quiet(), work)
    return found if places is None else of_pairs(found, places, backbone.width)


def _watched(
    backbone: Backbone,
    examples: Examples,
    keys: Sequence[str | None],
    spec: FeatureSpec,
    choice: Choice,
    store: FeatureStore,
    reporter: Reporter,
    work: Path | None,
) -> Extracted:
    """A pass whose runner is chosen again where it becomes slow; not so where processes must agree on it."""
    through = partial(extract, backbone, examples, keys, spec, store=store, reporter=reporter)
    while True:
        promised = choice.promised if world_size() == 1 else 0.0
        runner = choice.runner
        try:
            return through(runner=runner, promised=promised, by_use=choice.by_use)
        except SlowPass as slow:
            times = slow.seconds_each / promised
            choice = choose_again(backbone, examples, keys, spec, pick_device(), choice, slow)
        outcome = "it goes on so" if choice.runner == runner else f"{in_words(choice.runner)} runs all of it anew"
        how = f"{times:.1f} times as long as measured before, on {in_words(runner)}"
        reporter.say(f"The pass takes {how}. Measured again: {outcome}.")
        choice.keep(work)


def choice_of_runner(
    backbone: Backbone,
    examples: Examples,
    keys: Sequence[str | None],
    spec: FeatureSpec,
    named: Runner | None,
    work: Path | None = None,
) -> Choice:
    """The runner for a frozen pass: the one that is named, or the fastest correct one with the reason.

    `work` is the folder of a run that is not finished: it goes on with the choices that it began with.
    """
    if named is not None:
        return Choice(named, "")
    one, inputs, their_keys, _ = passing(backbone, examples, keys)
    return choose_runner(one, inputs, their_keys, spec, pick_device(), work)


def pass_spec(
    backbone: Backbone, task: BoundTask, examples: Examples, store: FeatureStore | None
) -> tuple[FeatureSpec, Decision | None]:
    """The features that the frozen pass keeps for a task, and the reason where they are less than its head reads."""
    if task.needs.features == "pooled":
        return FeatureSpec.all_stages(backbone), None
    if blank(task, backbone):  # what it sees before it has learnt anything feeds nothing
        return FeatureSpec(), None
    spec = state_spec(backbone, task, len(backbone.stages))
    why = too_large(backbone, spec, examples, store)
    if why is None:
        return spec, None
    return FeatureSpec(), Decision(what=f"kept {task.needs.features}", value="none", reason=why)


def state_spec(backbone: Backbone, task: BoundTask, start: int) -> FeatureSpec:
    """The features that a training goes on from whose first `start` stages are frozen.

    The states at that boundary, and the maps or tokens before it that the task's features have; pooled features where
    no stage is left and the head reads no more.
    """
    if task.needs.features == "pooled" and start == len(backbone.stages):
        return FeatureSpec()
    before = backbone.boundary_names()[1 : start + 1]
    taps = () if task.needs.features == "pooled" else (tap for tap in backbone.map_taps() if tap.boundary in before)
    return FeatureSpec("state", start, tuple(taps))


def too_large(backbone: Backbone, spec: FeatureSpec, examples: Examples, store: FeatureStore | None) -> str | None:
    """The reason why features have no room; None where they have."""
    limit = limit_of(store)
    needed = bytes_each(backbone, spec, examples) * len(examples)
    if needed <= limit:
        return None
    return (
        f"those of {len(examples)} examples would take {needed / 1e9:.1f} GB, the store's limit is {limit / 1e9:.1f}"
        " GB: the frozen stages run again in every epoch. HEADSTART_CACHE_LIMIT allows more."
    )


def limit_of(store: FeatureStore | None) -> int:
    """Bytes of states that may be kept."""
    return store.limit if store is not None and store.limit else MOST_IN_MEMORY


def bytes_each(backbone: Backbone, spec: FeatureSpec, examples: Examples) -> float:
    """Bytes in float32 of what is kept of an example: the mean over some from all over the data that can be read."""
    rows = np.unique(np.linspace(0, len(examples) - 1, LOOKED_AT).astype(np.int64))
    segment, sizes = FrozenSegment(backbone, spec, 0).eval(), []
    for raw in raws_of(examples, rows):
        try:
            state = backbone.prepare([raw])
        except DataError:
            continue
        with torch.no_grad():
            kept: State = segment(state)
        tensors = (kept.hidden, *kept.context.values(), *kept.taps.values())
        sizes.append(sum(tensor.numel() * tensor.element_size() for tensor in tensors))
    return float(np.mean(sizes)) if sizes else 0.0


def source_from(context: FitContext, backbone: Backbone, start: int) -> tuple[int, StateSource]:
    """The boundary that batches begin at, and what gives those of the training and validation part.

    It is `start`, one more where they are pooled features, or 0 where nothing is kept.

    Raises:
        DataError: an input could be read before and cannot any more.
    """
    data, spec = context.read, state_spec(backbone, context.data.task, start)
    behind = start + (spec.keep == "pooled")
    if start and backbone is context.backbone and context.features.spec.keep == spec.keep == "pooled":
        return behind, lambda wanted: State(torch.from_numpy(context.features.pooled(wanted)))
    if start and backbone is context.backbone and context.features.spec == spec:
        return behind, context.features.batch_state
    why = too_large(backbone, spec, data.examples, context.store) if start else None
    if why is not None:
        context.reporter.say(f"Frozen states are not kept: {why}")
    if not start or why is not None:
        return 0, PreparedInputs(backbone, data.examples)
    return behind, kept_states(context, backbone, np.union1d(data.split.train, data.split.val), spec)


def kept_states(
    context: FitContext, backbone: Backbone, rows: np.ndarray, spec: FeatureSpec, view: View | None = None
) -> StateSource:
    """Send some rows, or a view of them, through frozen stages; what gives their states from then on.

    Raises:
        DataError: an input could be read before and cannot any more.
    """
    data = context.read
    examples, keys = data.examples.take(rows), [data.keys[row] for row in rows]
    source = kept_states_of(context, backbone, examples, keys, spec, view)
    position = {int(row): place for place, row in enumerate(rows)}
    return lambda wanted: source(np.array([position[int(row)] for row in wanted], np.int64))


def kept_states_of(
    context: FitContext,
    backbone: Backbone,
    examples: Examples,
    keys: Sequence[str],
    spec: FeatureSpec,
    view: View | None = None,
) -> StateSource:
    """As `kept_states`, of any examples with their content keys."""
    data = context.read
    # the runner that suits the features at the end need not suit states on the way
    choice = choice_of_runner(backbone, data.examples, data.keys, spec, context.named_runner, context.work)
    found = embed(
        backbone,
        examples,
        spec,
        keys=keys,
        runner=choice,
        store=context.store,
        reporter=context.reporter,
        view=view,
        work=context.work,
    )
    if found.failures:
        raise no_longer_read(examples, found.failures)
    return found.batch_state


def target_source(context: FitContext, target: EmbeddedTarget, backbone: Backbone, start: int) -> StateSource:
    """Return what gives the states of target examples at the boundary `start` where a training's batches begin.

    Raises:
        DataError: an input could be read before and cannot any more.
    """
    examples, stages = target.data.examples, len(backbone.stages)
    if not start:
        return PreparedInputs(backbone, examples)
    if start > stages and backbone is context.backbone:
        return lambda wanted: State(torch.from_numpy(target.pooled[wanted]))
    spec = state_spec(backbone, context.data.task, min(start, stages))
    return kept_states_of(context, backbone, examples, target.data.keys, spec)


def sampled(
    context: FitContext, task: Sampled, rows: np.ndarray, backbone: Backbone | None = None
) -> tuple[np.ndarray, Targets, np.ndarray]:
    """Draw tokens or pixels of every example, on which a probe with a target for each of them is solved.

    With a `backbone` of its own, the inputs go through that one, and nothing is kept.

    Returns:
        Vectors (samples, width) float32, their targets, and the row (samples,) that each came from.
    """
    vectors, targets, owners = [], [], []
    for some, batch, features in batches_of_features(context, rows, "sampling features", backbone):
        found, truth, positions = task.samples(
            features, batch.head_inputs, batch.targets, batch.rows.tolist(), context.plan.seed
        )
        vectors.append(found)
        targets.append(truth)
        owners.append(some[positions])
    joined = {name: np.concatenate([part[name] for part in targets]) for name in targets[0]}
    return np.concatenate(vectors), joined, np.concatenate(owners)


def batches_of_features(
    context: FitContext, rows: np.ndarray, doing: str, backbone: Backbone | None = None
) -> Iterator[tuple[np.ndarray, Batch, Features]]:
    """Yield rows (batch,) of what is read, in order, with their batch and the features that the task's head reads."""
    data, device = context.read, pick_device()
    if backbone is None:
        backbone = context.backbone
        start, source = source_from(context, backbone, len(backbone.stages))
    else:
        start, source = 0, PreparedInputs(backbone, data.examples)
    stages = suffix(backbone, data.task.needs.features, start).to(device)
    backbone.module.eval()
    head_inputs = data.task.inputs(data.examples)
    stream = Stream(
        "sampled",
        rows,
        data.targets,
        source,
        SAMPLED_AT_ONCE,
        context.plan.seed,
        head_inputs=head_inputs,
        target_kinds=data.task.target_kinds,
    )
    with context.reporter.counter(doing, len(rows), "examples") as advance:
        for some in stream.in_sequence():
            batch = stream.batch(some)
            with torch.no_grad():
                features = backbone.features(stages(batch.state.to(device)))
            yield some, batch, features
            advance(len(some))


def in_windows(prepared: Prepared, backbone: Backbone) -> Prepared:
    """The data as a backbone reads them: overlapping windows of examples that are longer than it reads at once.

    Training and the frozen pass see windows, judging sees whole examples; the data themselves where nothing is longer.
    All windows of an example lie on its side of the split.
    """
    task = prepared.task
    windows = task.cut(prepared.examples, backbone) if isinstance(task, Windowed) else None
    if windows is None:
        return prepared
    parts = {name: np.flatnonzero(np.isin(windows.owner, rows)) for name, rows in prepared.parts().items()}
    together = prepared.split.units
    units = windows.owner if together is None else together[windows.owner]
    return replace(
        prepared,
        examples=windows.examples,
        keys=[str(key) for key in content_keys(windows.examples).keys],
        targets=windows.targets(prepared.targets),
        groups=windows.owner if prepared.groups is None else prepared.groups[windows.owner],
        split=Split(parts["train"], parts["val"], parts["test"], units=units),
    )
