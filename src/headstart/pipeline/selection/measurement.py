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
from headstart.engine.frozen.feature_spec import FeatureSpec
from headstart.engine.store.feature_store import FeatureStore
from headstart.evidence.folds import Fold
from headstart.evidence.held_out_probe import quick_prediction
from headstart.kernel.errors import BackboneError, DataError
from headstart.kernel.progress import Reporter
from headstart.pipeline.embed import embed
from headstart.pipeline.prepare import no_longer_read
from headstart.pipeline.selection.candidates import Candidate


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


def features_of(candidate: Candidate, this: Round, store: FeatureStore, reporter: Reporter) -> np.ndarray:
    """Return pooled features (examples, width). Raises DataError or BackboneError where they are of no use."""
    data, backbone = candidate.ready.data, candidate.ready.backbone
    examples = data.examples.take(this.rows)
    keys = [data.keys[row] for row in this.rows]
    spec = FeatureSpec.all_stages(backbone)
    extracted = embed(backbone, examples, spec, keys=keys, runner=candidate.choice, store=store, reporter=reporter)
    if extracted.failures:
        raise no_longer_read(examples, extracted.failures)
    features = extracted.pooled()
    if not np.isfinite(features).all():
        raise BackboneError("its features are NaN or infinite: its weights are of no use")
    return features


def measured(
    given: Sequence[tuple[Candidate, np.ndarray]], this: Round, scores: Mapping[str, Score], reporter: Reporter
) -> list[Measurement | DataError]:
    """Return the measurement of each candidate with its features, or why there is none."""
    if not given:
        return []

    def one(candidate: Candidate, features: np.ndarray) -> Measurement | DataError:
        data = candidate.ready.data
        targets = data.targets_of(this.rows)
        try:
            prediction = quick_prediction(data.task, features, targets, this.folds, this.groups, this.seed)
        except DataError as error:
            return error
        labelled = LabelledFeatures(features, targets, this.folds)
        found = {name: score.score(labelled) for name, score in scores.items()}
        advance(1)
        return Measurement(candidate, prediction, found)

    with (
        reporter.counter("cross-validating probes", len(given), "models") as advance,
        threadpool_limits(1, user_api="blas"),
        ThreadPoolExecutor(min(cores(), len(given))) as pool,
    ):
        return list(pool.map(one, *zip(*given)))
