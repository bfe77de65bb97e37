"""A labelled sample beside a pretraining: k-NN accuracy along the way, and at the end what the training has gained.

The sample is split as for a fit. On its way a training is watched on the validation part; the test part is read once,
by linear probes on the start, on the result, and on what simple methods find in the same data in seconds. Nothing is
trained or chosen by a label.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from headstart.contracts.backbone import Backbone
from headstart.contracts.bound_task import bound_task
from headstart.contracts.carriers import Batch
from headstart.contracts.figures import MetricInfo, info_of
from headstart.contracts.metric import SHARE
from headstart.contracts.prediction import Prediction
from headstart.contracts.task_capabilities import one_class_each
from headstart.engine.device import usual_batch_size
from headstart.engine.frozen.execution import plain_runner
from headstart.engine.frozen.lazy_inputs import LazyInputs
from headstart.engine.store.feature_store import FeatureStore
from headstart.engine.training.forward import Forward, channels_last
from headstart.evidence.unlabelled_codes import fit_codes
from headstart.kernel import registry
from headstart.kernel.errors import DataError
from headstart.kernel.progress import Reporter
from headstart.kernel.randomness import draw_seed
from headstart.numerics.neighbours import knn_classes
from headstart.pipeline.arms import solve_arm
from headstart.pipeline.context import FitContext
from headstart.pipeline.decision_log import DecisionLog
from headstart.pipeline.embed import embed
from headstart.pipeline.judge import judge
from headstart.pipeline.plan import Plan
from headstart.pipeline.prepare import Prepared, bind_data, choose_task, read_data, split_data, without
from headstart.pipeline.pretraining.record import SIMPLE, Gain
from headstart.pipeline.pretraining.unlabelled import Unlabelled
from headstart.pipeline.record import Arm
from headstart.pipeline.trained import predict_rows

KNN = "knn_accuracy"
"""The monitor of a training that has a labelled sample."""

KNN_INFO = MetricInfo(title="k-NN accuracy", unit=SHARE, greater_is_better=True)

MOST_KNOWN, MOST_ASKED = 2000, 1000
"""Labelled examples that the k nearest are taken from, and that are asked for, after each epoch."""


def read_sample(plan: Plan, backbone: Backbone, reporter: Reporter) -> Prepared:
    """Read and split a labelled sample. Raises DataError as a fit does, and where an example has no single label."""
    read = read_data(plan.data, plan, reporter).usable()
    task, _ = choose_task(read.examples, plan)
    parts = split_data(read, task.split_policy(read.examples), plan.seed)
    bound = bound_task(task, read.examples, backbone)
    if bound.needs.features != "pooled":
        raise DataError(f"{plan.data} is not a sample to judge a backbone by: it needs one label per example")
    return bind_data(parts, plan, bound, DecisionLog(reporter))


class Watcher:
    """k-NN accuracy of a training's embeddings on the validation part of a labelled sample."""

    def __init__(self, sample: Prepared, backbone: Backbone, seed: int) -> None:
        """Of classes; of other labels it sees nothing."""
        targets, split = sample.targets, sample.split
        judged = one_class_each(sample.task) and len(split.val)
        self.classes = torch.from_numpy(targets["label"]) if judged else None
        self.known = _some(split.train, MOST_KNOWN, seed)
        self.asked = _some(split.val, MOST_ASKED, seed)
        self.inputs = LazyInputs(backbone, sample.examples, lambda row, reason: None)  # noqa: ARG005

    def __call__(self, forward: Forward) -> Mapping[str, float]:
        """{"knn_accuracy": share}; nothing where there are no classes."""
        if self.classes is None:
            return {}
        known, asked = self._embedded(self.known, forward), self._embedded(self.asked, forward)
        found = knn_classes(known, self.classes[self.known], asked)
        return {KNN: float((found == self.classes[self.asked]).float().mean())}

    def _embedded(self, rows: np.ndarray, forward: Forward) -> Tensor:
        """(rows, width)"""
        size, parts = 2 * usual_batch_size(forward.device), []
        with torch.no_grad():
            for some in np.array_split(rows, -(-len(rows) // size)):
                batch = channels_last(Batch(self.inputs(some), {}, torch.from_numpy(some))).to(forward.device)
                parts.append(forward.features(batch).pooled.float().cpu())
        return torch.cat(parts)


@dataclass
class Judgement:
    """Probes on a labelled sample: those that the result must beat are made before the training, its own after it."""

    plan: Plan
    data: Prepared
    store: FeatureStore
    reporter: Reporter
    predictions: dict[str, Prediction]
    arms: dict[str, Arm]

    @staticmethod
    def begin(
        plan: Plan, sample: Prepared, start: Backbone, data: Unlabelled, store: FeatureStore, reporter: Reporter
    ) -> Judgement:
        """With the probes on the start and on codes that are fitted on `data`. Raises DataError as `fit_codes`."""
        found = Judgement(plan, sample, store, reporter, {}, {})
        found._probe("start", start, "probe on the start")
        for name, codes in fit_codes(data.examples, data.train, plan.seed).items():
            found._probe(name, codes, SIMPLE[name])
        return found

    def finish(self, result: Backbone) -> Gain:
        """With the probe on the result; all are judged on the test part and compared example by example."""
        self._probe("model", result, "probe on the result")
        data, rows = self.data, self.data.split.test
        predictions = {"model": self.predictions["model"], **self.predictions}
        examples, targets, groups = data.examples.take(rows), data.targets_of(rows), data.groups_of(rows)
        judged = judge(data.task, examples, targets, predictions, groups, self.plan.seed)
        metrics = data.task.evaluation.metrics
        return Gain(
            source=self.plan.data,
            task=registry.name_of(data.task),
            primary_metric=metrics[0].name,
            metrics={metric.name: info_of(metric) for metric in metrics},
            parts=data.summary.parts,
            arms={key: self.arms[key].model_copy(update={"figures": judged.figures[key]}) for key in predictions},
            comparisons=judged.comparisons,
            notes=(*data.summary.notes, *judged.slice_notes),
        )

    def _probe(self, key: str, backbone: Backbone, title: str) -> None:
        runner, data = plain_runner(), self.data
        found = embed(backbone, data.examples, keys=data.keys, runner=runner, store=self.store, reporter=self.reporter)
        self.data = data = without(data, found.failures)
        context = FitContext(self.plan, data, backbone, found, None, self.reporter, self.store)
        arm = solve_arm(context, key)
        self.predictions[key] = predict_rows(context, arm, data.split.test)
        self.arms[key] = Arm(title=title, figures={}, seconds=arm.seconds, chosen=dict(arm.chosen))


def _some(rows: np.ndarray, most: int, seed: int) -> np.ndarray:
    draws = np.random.default_rng(draw_seed(seed, "labelled rows that are watched"))
    return rows if len(rows) <= most else np.sort(draws.choice(rows, most, replace=False))
