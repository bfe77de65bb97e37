"""A head trained by an objective on kept features of two domains, in seconds: no backbone runs.

Each domain's features are standardised by its own mean and variance, which takes the part of a shift that moves and
scales every feature by itself (as in Li et al. 2016, "Revisiting batch normalization for practical domain adaptation"),
and the objective's own `losses` are computed on batches of both. SGD with Nesterov momentum .9, whose rate falls as
(1 + 10 q)^-.75 over the training (Ganin et al. 2016). What comes out reads features as they are: standardisation is
part of its first layer, the target's in the head that is kept, the source's in one to judge it on the source. A
bottleneck and what an objective adds are computed in bfloat16 where the device has it: a third of the time less.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from headstart.contracts.carriers import Batch, State, Tap
from headstart.contracts.domains import Domains
from headstart.contracts.features import Features, MapShape
from headstart.contracts.head_shape import Bottleneck, HeadShape, additions_for, proper, shaped_head
from headstart.contracts.network import Network
from headstart.contracts.objective import SOURCE, TARGET, Objective, Step
from headstart.contracts.task import BoundTask
from headstart.engine.device import pick_device
from headstart.engine.training.precision import chosen_precision, computing_in
from headstart.kernel.errors import DataError, SettingsError, TrainingError
from headstart.kernel.randomness import draw_seed
from headstart.kernel.settings import Settings
from headstart.numerics.standardisation import Standardisation, standardise

_FEW = "target_labelled"
"""Batches of the target's examples with labels, which no objective sees."""

RARE = 0.25
"""A class with less than this share of the mean class's examples is drawn as often as one that has it."""


class FeatureTraining(Settings):
    """Training of a head on kept features of a source and a target."""

    steps: int = Field(default=300, ge=1)
    """Optimiser steps; >= 1."""
    batch_size: int = Field(default=128, ge=2)
    """Examples of each domain per step, or all where they are fewer; >= 2."""
    bottleneck: int = Field(default=256, ge=1, le=65_536)
    """Width of the layer before the head, for objectives that align features; >= 1."""
    learning_rate: float = Field(default=0.01, gt=0)
    """Rate at the beginning; > 0."""
    weight_decay: float = Field(default=1e-3, ge=0)
    """Of all weights; >= 0."""
    standardise: Literal["each", "source"] = "each"
    """Whose mean and variance the target's features are standardised by: its own, or the source's."""


class TrainedHead(NamedTuple):
    """A head of features as they are, in evaluation mode."""

    shape: HeadShape
    head: nn.Module
    """Of the target's features."""
    of_source: nn.Module
    """The same for the source's features, standardised by their own statistics."""


def train_on_features(
    domains: Domains, objective: Objective, task: BoundTask, settings: FeatureTraining, seed: int
) -> TrainedHead:
    """Train a head of a task whose head is linear in pooled features.

    A bottleneck comes before it where the objective needs a stage to move. Examples of the target with labels are
    learnt too, by a term of their own that counts as much as the source's.

    Raises:
        DataError: a domain has fewer than two examples. TrainingError: it diverges.
        SettingsError: the objective draws from other streams.
    """
    _require(domains, objective)
    width = domains.source.shape[1]
    shape = HeadShape(bottleneck=settings.bottleneck if objective.first_stage(1) == 0 else 0)
    source, of_source = standardise(domains.source)
    of_target = standardise(domains.target)[1] if settings.standardise == "each" else of_source
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(draw_seed(seed, "head on features"))
        backbone = _NoBackbone(width)
        head = shaped_head(task, backbone, shape)
        additions = nn.ModuleDict(additions_for(objective, backbone, task, shape))
    streams = {
        SOURCE: _Rows(source, domains.labels, _chances(domains.labels)),
        TARGET: _Rows(_scaled(domains.target, of_target)),
    }
    if len(domains.target_labels):
        streams[_FEW] = _Rows(_scaled(domains.target_labelled, of_target), domains.target_labels)
    device = pick_device()
    _Training(objective, _Model(backbone, task, head.to(device), additions.to(device)), settings, seed).run(streams)
    return TrainedHead(shape, _folded(head, of_target), _folded(head, of_source))


class _Rows(NamedTuple):
    """Features that batches are drawn from."""

    features: np.ndarray
    """(examples, width) standardised"""
    labels: np.ndarray | None = None
    """(examples,) int64"""
    chances: np.ndarray | None = None
    """(examples,) of being drawn, with sum 1; None for equal ones."""

    def batch(self, size: int, draws: np.random.Generator) -> Batch:
        """Draw different rows; all, in their order, where there are no more."""
        count = len(self.features)
        rows = np.arange(count) if count <= size else draws.choice(count, size, replace=False, p=self.chances)
        targets = {} if self.labels is None else {"label": torch.from_numpy(self.labels[rows])}
        return Batch(State(torch.from_numpy(self.features[rows])), targets, torch.from_numpy(rows))


class _Training:
    """The steps of one training."""

    def __init__(self, objective: Objective, model: _Model, settings: FeatureTraining, seed: int) -> None:
        """Moves what of the model takes gradients."""
        self.objective, self.model, self.settings, self.seed = objective, model, settings, seed
        self.parameters = model.parameters()
        self.optimiser = torch.optim.SGD(
            self.parameters.values(), settings.learning_rate, 0.9, weight_decay=settings.weight_decay, nesterov=True
        )

    def run(self, streams: Mapping[str, _Rows]) -> None:
        """Make all steps. Raises TrainingError where weights cease to be finite."""
        draws = np.random.default_rng(draw_seed(self.seed, "batches of features"))
        device = pick_device()
        for number in range(self.settings.steps):
            batches = {name: rows.batch(self.settings.batch_size, draws).to(device) for name, rows in streams.items()}
            self._step(batches, number)
        broken = [name for name, values in self.parameters.items() if not bool(torch.isfinite(values).all())]
        if broken:
            raise TrainingError(f"training on kept features diverged: {broken[0]} is not finite. Try a lower rate.")

    def _step(self, batches: Mapping[str, Batch], number: int) -> None:
        done = number / self.settings.steps
        for group in self.optimiser.param_groups:
            group["lr"] = self.settings.learning_rate * (1 + 10 * done) ** -0.75
        step = self.model.step(batches, done, draw_seed(self.seed, "objective", 0, number), self.parameters)
        losses = dict(self.objective.losses(step))
        if _FEW in batches:
            found = step.features(batches[_FEW])
            of_few = step.task_losses(step.outputs(found, batches[_FEW]), batches[_FEW])
            losses |= {f"{_FEW} {name}": loss for name, loss in of_few.items()}
        self.optimiser.zero_grad()
        total = self.objective.combine(losses, list(self.parameters.values()))
        if total is not None:
            total.backward()
        self.optimiser.step()
        self.objective.after_step(step)


@dataclass(frozen=True)
class _Model:
    """A head, and what is trained beside it."""

    backbone: Network
    task: BoundTask
    head: nn.Module
    additions: nn.ModuleDict

    def parameters(self) -> dict[str, nn.Parameter]:
        """By name, as in training by steps."""
        parts = {"heads.head": self.head, "additions": self.additions}
        named = ((f"{part}.{name}", p) for part, module in parts.items() for name, p in module.named_parameters())
        return {name: parameter for name, parameter in named if parameter.requires_grad}

    def step(
        self, batches: Mapping[str, Batch], progress: float, seed: int, parameters: Mapping[str, nn.Parameter]
    ) -> Step:
        """The step as the objective sees it."""
        return Step(
            batches,
            self._features,
            self.backbone,
            self._outputs,
            self._losses,
            self.additions,
            progress,
            parameters,
            seed=seed,
            computing=self.computing,
        )

    def computing(self) -> AbstractContextManager[object]:
        """Within it products are computed in bfloat16 where the device has it."""
        device = next(self.head.parameters()).device
        return computing_in(chosen_precision("auto", device), device)

    def _features(self, batch: Batch) -> Features:
        hidden = batch.state.hidden
        if not isinstance(self.head, Bottleneck):
            return Features(hidden)
        with self.computing():
            return Features(self.head.layer(hidden).float())

    def _outputs(self, features: Features, batch: Batch) -> Mapping[str, Tensor]:
        return self.task.forward(proper(self.head), features, batch.head_inputs)

    def _losses(self, outputs: Mapping[str, Tensor], batch: Batch) -> Mapping[str, Tensor]:
        return self.task.losses(outputs, batch.targets)


class _NoBackbone(Network):
    """Stands for the backbone that has made the features."""

    name = "kept features"
    stages = ()

    def __init__(self, width: int) -> None:
        self.module, self.width = nn.Identity(), width

    def prepare(self, raws: Sequence[Any]) -> State:  # noqa: ARG002
        raise TrainingError("on kept features there is no input to prepare")

    def preparation(self) -> Mapping[str, Any]:
        return {}

    def maps(self) -> tuple[MapShape, ...]:
        return ()

    def segment(self, start: int, stop: int, taps: Sequence[Tap] = ()) -> nn.Module:  # noqa: ARG002
        return self.module

    def features(self, state: State) -> Features:
        return Features(state.hidden)


def _require(domains: Domains, objective: Objective) -> None:
    """Refuse what cannot be trained."""
    others = set(objective.streams) - {SOURCE, TARGET}
    if others or objective.anchored:
        wanted = f"draws from the stream '{min(others)}'" if others else "holds a backbone to its pretrained weights"
        raise SettingsError(f"the objective {wanted}, which training on kept features does not have")
    for name, rows in ((SOURCE, domains.source), (TARGET, domains.target)):
        if len(rows) < 2:
            raise DataError(
                f"the {name} has too few usable examples ({len(rows)}): training on features of both needs two of each"
            )


def _chances(labels: np.ndarray) -> np.ndarray | None:
    """(examples,) of being drawn: equal ones, but for rare classes; None where no class is rare."""
    counts = np.bincount(labels).astype(np.float64)
    least = RARE * len(labels) / np.count_nonzero(counts)
    if counts[counts > 0].min() >= least:
        return None
    weights = (np.maximum(counts, least) / np.maximum(counts, 1))[labels]
    return np.asarray(weights / weights.sum())


def _scaled(features: np.ndarray, by: Standardisation) -> np.ndarray:
    return ((features - by.mean) / by.scale).astype(np.float32)


def _first(head: nn.Module) -> nn.Linear:
    """The layer that reads the features. Raises TrainingError where it is no linear one."""
    layer = head.layer[0] if isinstance(head, Bottleneck) else head
    if not isinstance(layer, nn.Linear):
        raise TrainingError(
            f"a head on kept features must begin with a linear layer, not with a {type(layer).__name__}"
        )
    return layer


@torch.no_grad()
def _folded(head: nn.Module, scaling: Standardisation) -> nn.Module:
    """A copy whose first layer reads features as they are."""
    folded = copy.deepcopy(head).cpu().eval()
    layer = _first(folded)
    weight, bias = scaling.fold(layer.weight.double().numpy(), layer.bias.double().numpy())
    layer.weight.copy_(torch.from_numpy(weight))
    layer.bias.copy_(torch.from_numpy(bias))
    return folded
