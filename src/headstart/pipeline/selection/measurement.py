"""Measurements of a candidate: its features of the labelled examples of a round, the cross-validated probe, the scores.

A frozen pass has all cores. Probes and scores are steps on little data, which a second core hardly helps: after the
passes of a round each candidate has one core, and as many are measured at once as there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from headstart.contracts.prediction import Prediction
from headstart.contracts.score import LabelledFeatures, Score
from headstart.engine.device import cores
from headstart.engine.store.feature_store import FeatureStore
from headstart.evidence.folds import Fold
from headstart.evidence.held_out_probe import quick_prediction
from headstart.kernel.errors import BackboneError, DataError, HeadstartError
from headstart.kernel.progress import Reporter
from headstart.pipeline.context import FitContext
from headstart.pipeline.embed import embed, in_windows
from headstart.pipeline.plan import Plan
from headstart.pipeline.position_samples import held_out_examples, positions_of
from headstart.pipeline.prepare import no_longer_read
from headstart.pipeline.selection.candidates import Candidate

SCORED = 3000
"""Tokens or pixels that are scored at most."""


@dataclass(frozen=True)
class Round:
    """Labelled examples of a round, with their folds; positions are those within the round."""

    rows: np.ndarray
    folds: Sequence[Fold]
    groups: np.ndarray | None
    seed: int


@dataclass(frozen=True)
class Measurement:
    """A candidate on the labelled examples of a round."""

    candidate: Candidate
    prediction: Prediction
    scores: Mapping[str, float]


def embedded(candidate: Candidate, this: Round, plan: Plan, store: FeatureStore, reporter: Reporter) -> FitContext:
    """Send a round through the backbone. Raises DataError or BackboneError where its features are of no use."""
    data, backbone = candidate.ready.data.take(this.rows), candidate.ready.backbone
    read, spec = in_windows(data, backbone), candidate.spec
    found = embed(
        backbone, read.examples, spec, keys=read.keys, runner=candidate.choice, store=store, reporter=reporter
    )
    if found.failures:
        raise no_longer_read(read.examples, found.failures)
    if candidate.pooled and not np.isfinite(found.pooled()).all():
        raise BackboneError("its features are NaN or infinite: its weights are of no use")
    return FitContext(plan, data, backbone, found, None, reporter, store, None if read is data else read)


def measured(
    given: Sequence[tuple[Candidate, FitContext]], this: Round, scores: Mapping[str, Score], reporter: Reporter
) -> list[Measurement | HeadstartError]:
    """Return the measurement of each candidate with its features, or why there is none."""
    if not given:
        return []

    def one(candidate: Candidate, context: FitContext) -> Measurement | HeadstartError:
        try:
            predicted, labelled = (_of_examples if candidate.pooled else _of_positions)(context, this)
        except (BackboneError, DataError) as error:
            return error
        found = {name: score.score(labelled) for name, score in scores.items()}
        advance(1)
        return Measurement(candidate, predicted, found)

    at_once = min(cores(), len(given)) if given[0][0].pooled else 1  # decoding takes the memory of many masks
    with (
        reporter.counter("cross-validating probes", len(given), "models") as advance,
        threadpool_limits(1 if at_once > 1 else None, user_api="blas"),
        ThreadPoolExecutor(at_once) as pool,
    ):
        return list(pool.map(one, *zip(*given)))


def _of_examples(context: FitContext, this: Round) -> tuple[Prediction, LabelledFeatures]:
    data, features = context.data, context.features.pooled()
    predicted = quick_prediction(data.task, features, data.targets, this.folds, this.groups, this.seed)
    return predicted, LabelledFeatures(features, data.targets, this.folds)


def _of_positions(context: FitContext, this: Round) -> tuple[Prediction, LabelledFeatures]:
    """Whole examples, predicted by heads for tokens or pixels; scores are of some of these."""
    positions = positions_of(context)
    some = positions.take(SCORED, this.seed)
    labelled = LabelledFeatures(some.vectors, {"label": some.classes}, some.folds(this.folds))
    return held_out_examples(context, positions, this.folds), labelled
