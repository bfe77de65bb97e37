"""Arms that have their models, and what they predict: from stored features where the backbone stayed as it was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from headstart.contracts.backbone import Backbone
from headstart.contracts.model import Model
from headstart.contracts.panels import Panel
from headstart.contracts.prediction import Prediction
from headstart.contracts.task_capabilities import SeveralTasks
from headstart.engine.frozen.infer import Predictor, heads_on_features, predict_stored
from headstart.engine.training.checkpoint import Progress
from headstart.pipeline.adaptation.rows import AdaptationRow
from headstart.pipeline.adaptation.target import EmbeddedTarget
from headstart.pipeline.context import FitContext
from headstart.pipeline.prepare import no_longer_read
from headstart.pipeline.record import SOURCE_MODEL, TUNED, CandidateRow, Decision, StageRow
from headstart.pipeline.training import what_was_kept

Weights = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class Trained:
    """An arm that has its model."""

    key: str
    title: str
    model: Model
    seconds: float
    chosen: Mapping[str, float | int | str]
    progress: Progress | None = None
    """None when the arm was solved."""
    decisions: tuple[Decision, ...] = ()
    """Choices made for its training, with reasons."""
    stages: tuple[StageRow, ...] = ()
    """Each stage of the backbone after the training."""
    head: StageRow | None = None
    """The same of its head."""
    weights: Weights | None = None
    """Of the backbone, where another arm may change it and predictions cannot be made from what is stored."""
    validation: Prediction | None = None
    """Its calibrated prediction for the validation part; None where there is none, or the head was fit on it."""
    fit_on: tuple[str, ...] = ("train",)
    """Parts of the split that its weights were fit on."""
    shortcoming: str = ""
    """As in `record.Arm`."""
    each: Mapping[str, Trained] = field(default_factory=dict)
    """The arms of several tasks that it is made of, each with its weights; empty for one model."""
    frozen: bool = False
    """Whether the backbone stayed as it was though there were steps: those of the head alone."""
    from_inputs: bool = False
    """Whether it has a backbone of its own, and predicts from inputs."""

    @property
    def on_stored(self) -> bool:
        """Return whether it predicts from the features of the frozen pass."""
        return not self.from_inputs and (self.frozen or self.progress is None)


@dataclass(frozen=True)
class Arms:
    """All arms of a fit."""

    context: FitContext
    """Its plan repeats the model."""
    trained: list[Trained]
    """The model first, then the baselines it is held against."""
    candidates: tuple[CandidateRow, ...] = ()
    cut_off: str = ""
    """How far the budget let the training come that was asked for, in a sentence; empty where it ended by itself."""
    sentence: str = ""
    """A sentence for the verdict: how the model was found, or that its training was broken off; else empty."""
    used: float = 0.0
    """Seconds of the budget that all of it took."""
    panels: tuple[Panel, ...] = ()
    """What training them showed."""
    adaptation: AdaptationRow | None = None
    """Adaptation to a target; None without one."""

    @property
    def asked(self) -> Trained:
        """The arm that was asked for: the model, or the fine-tuning that is kept beside it."""
        return next((arm for arm in self.trained if arm.key == TUNED), self.trained[0])

    def with_tuned_model(self) -> Arms:
        """The fine-tuning that is kept beside the model as the model, and the probe that it is held against.

        Nothing in them was adapted to a target.
        """
        by_key, tuned = {arm.key: arm for arm in self.trained}, self.asked
        probe = by_key.get(SOURCE_MODEL, self.trained[0])
        others = [arm for key, arm in by_key.items() if key not in ("model", SOURCE_MODEL, TUNED)]
        trained = [replace(tuned, key="model"), replace(probe, key="probe"), *others]
        return replace(self, trained=trained, sentence=what_was_kept(tuned.progress), adaptation=None)


def weights_of(backbone: Backbone) -> Weights:
    """A copy of its weights as they are now."""
    return {name: tensor.clone() for name, tensor in backbone.module.state_dict().items()}


def predict_rows(context: FitContext, arm: Trained, rows: np.ndarray) -> Prediction:
    """The arm's calibrated prediction for some rows: from the stored features where the backbone stayed as it was."""
    if arm.each and isinstance(task := context.data.task, SeveralTasks):
        return task.joined({name: predict_rows(context, one, rows) for name, one in arm.each.items()})
    if arm.on_stored and context.data.task.needs.features == "pooled":
        return heads_on_features(arm.model, context.features.pooled(rows))
    if arm.on_stored and context.windows is None and context.features.spec.keep == "state":
        head_inputs = context.data.task.inputs(context.data.examples)
        with own_weights(arm):  # a decoder in the place of a head is the backbone's
            return predict_stored(arm.model, context.features, rows, head_inputs=head_inputs)
    with own_weights(arm):
        examples = context.data.examples.take(rows)
        predicted = Predictor(arm.model, reporter=context.reporter)(examples)
    if predicted.prediction is None or predicted.failures:
        raise no_longer_read(examples, predicted.failures)
    return predicted.prediction


def predict_target(context: FitContext, arm: Trained, target: EmbeddedTarget) -> Prediction:
    """The arm's calibrated prediction for the target: from its features where the backbone stayed as it was."""
    if arm.progress is None:
        return heads_on_features(arm.model, target.pooled)
    with own_weights(arm):
        predicted = Predictor(arm.model, reporter=context.reporter)(target.data.examples)
    if predicted.prediction is None or predicted.failures:
        raise no_longer_read(target.data.examples, predicted.failures)
    return predicted.prediction


@contextmanager
def own_weights(arm: Trained) -> Iterator[None]:
    """Within it the arm's backbone has the weights that the arm goes by, whatever was trained on it since."""
    if arm.weights is None:
        yield
        return
    module = arm.model.backbone.module
    now = weights_of(arm.model.backbone)
    module.load_state_dict(arm.weights)
    try:
        yield
    finally:
        module.load_state_dict(now)
