"""Candidates: heads for the target, by every alignment, weighting and objective that suits the diagnosed shift.

All work on the kept features of source and target, so that each takes seconds.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from scipy.special import softmax
from torch import nn

from headstart.contracts.alignment import Alignment
from headstart.contracts.domains import Domains, LinearHead, ShiftKind, Solve
from headstart.contracts.head_shape import HeadShape, Mixture
from headstart.contracts.objective import Objective
from headstart.contracts.targets import WEIGHT
from headstart.contracts.task import BoundTask
from headstart.contracts.task_capabilities import ClosedForm, one_class_each
from headstart.contracts.weighting import Weighting
from headstart.engine.solved.solve import solve_head
from headstart.engine.training.on_features import FeatureTraining, train_on_features
from headstart.evidence.agreement import ENSEMBLE
from headstart.evidence.shift_kind import Diagnosis
from headstart.evidence.target_accuracy import Situation, reading
from headstart.kernel import registry
from headstart.kernel.errors import HeadstartError, SettingsError

LABEL = "label"
"""Name of the target of a task in which each example has one class."""

FAMILIES: dict[Situation, tuple[str, ...]] = {
    "mix": ("weighting",),
    "apart": ("alignment", "objectives"),
    "overlap": ("weighting",),
}
"""Families that may help where the mix of classes differs, where the domains hardly overlap, and where they do."""

LEAST_RATIO = 1e-4
"""Ratio of a class's shares below which it counts as this: its logarithm is added to a bias."""

Logits = Callable[[np.ndarray], np.ndarray]
"""Features (examples, width) -> logits (examples, classes)."""


@dataclass(frozen=True)
class Adapted:
    """A head for the target that was made without its labels, or with a few of them."""

    name: str
    """Of its plug-in."""
    family: str
    """Folder of the plug-in: 'alignment', 'weighting' or 'objectives'; 'domains' for what several sources make."""
    title: str
    shape: HeadShape
    head: nn.Module
    """Of target features as they are."""
    source: Logits
    """The head as the source sees it."""
    seconds: float
    note: str = ""
    """Further finding: 'effective sample size 312 of 800'."""
    members: tuple[Adapted, ...] = ()
    """Of an ensemble."""

    def target(self, features: np.ndarray) -> np.ndarray:
        """Target features (examples, width) -> logits (examples, classes) float64."""
        return logits_of(self.head, features)


@dataclass(frozen=True)
class Skipped:
    """A candidate that could not be made, with the reason."""

    name: str
    family: str
    title: str
    reason: str


def adapts(task: BoundTask) -> bool:
    """Return whether heads of the task can be adapted on kept features: one class each, from pooled features."""
    return one_class_each(task) and task.needs.features == "pooled" and isinstance(task, ClosedForm)


def logits_of(head: nn.Module, features: np.ndarray) -> np.ndarray:
    """Features (examples, width) -> logits (examples, classes) float64."""
    device = next(head.parameters()).device
    with torch.inference_mode():
        found = head.eval()(torch.from_numpy(np.ascontiguousarray(features, np.float32)).to(device))
    return np.asarray(found.cpu().double().numpy())


def solver(task: BoundTask, groups: np.ndarray | None, seed: int) -> Solve:
    """Return what solves the task's head from features, labels and weights, as the probe is solved.

    Args:
        groups: (source examples,) held out together in its cross-validation, where all of them are given.
    """
    if not isinstance(task, ClosedForm):
        raise SettingsError(f"the head of the task {registry.name_of(task)} has no closed form")

    first: list[tuple[np.ndarray, LinearHead]] = []  # of the source as it is, which several weightings ask for

    def solve(features: np.ndarray, labels: np.ndarray, weights: np.ndarray | None) -> LinearHead:
        if weights is None and first and features is first[0][0]:
            return first[0][1]
        targets = {LABEL: labels, **({} if weights is None else {WEIGHT: weights})}
        same = groups if groups is not None and len(groups) == len(labels) else None
        head, _ = solve_head(task, features, targets, same, seed)
        found = LinearHead(*(head.get_parameter(name).detach().numpy() for name in ("weight", "bias")))
        if weights is None and not first:
            first.append((features, found))
        return found

    return solve


def candidates(domains: Domains, found: Diagnosis, task: BoundTask, solve: Solve, seed: int) -> list[Adapted | Skipped]:
    """Make every candidate that may be tried under a diagnosed shift, in the order of families and names.

    Last comes the mean of all heads that were adapted by alignments and objectives, where several are linear.
    """
    if found.kind == "none" and not len(domains.target_labels):
        return []
    situation = reading(found).situation
    kind: ShiftKind = "label" if situation == "mix" else found.kind
    made = list[Adapted | Skipped]()
    for family in ("alignment", "weighting", "objectives"):
        for name in registry.names(family):
            part = registry.plugin(family, name)()
            tried = len(domains.target_labels) if _needs_labels(part) else family in FAMILIES[situation]
            if tried and kind in part.kinds:
                made.append(candidate(family, name, domains, task, solve, seed))
    adapted = (one for one in made if isinstance(one, Adapted) and one.family in FAMILIES["apart"])
    members = tuple(one for one in adapted if one.shape == HeadShape())
    return [*made, _ensemble(members)] if len(members) > 1 else made


def again(one: Adapted, domains: Domains, task: BoundTask, solve: Solve, seed: int) -> Adapted | Skipped:
    """Make a candidate once more, of other examples."""
    if not one.members:
        return candidate(one.family, one.name, domains, task, solve, seed)
    found = [again(member, domains, task, solve, seed) for member in one.members]
    there = tuple(member for member in found if isinstance(member, Adapted))
    return _ensemble(there) if len(there) > 1 else Skipped(one.name, one.family, one.title, "it has lost its members")


def _ensemble(members: tuple[Adapted, ...]) -> Adapted:
    width = members[0].head.get_parameter("weight").shape[1]
    head = Mixture(width, [copy.deepcopy(one.head) for one in members], gated=False)

    def source(features: np.ndarray) -> np.ndarray:
        return np.asarray(np.log(np.mean([softmax(one.source(features), axis=1) for one in members], axis=0)))

    seconds, note = sum(one.seconds for one in members), f"mean of {', '.join(one.title for one in members)}"
    shape = HeadShape(members=len(members))
    return Adapted("ensemble", ENSEMBLE, "ensemble", shape, head, source, seconds, note, members)


def candidate(family: str, name: str, domains: Domains, task: BoundTask, solve: Solve, seed: int) -> Adapted | Skipped:
    """Make one candidate, or say why it cannot be made."""
    part = registry.plugin(family, name)()
    title = getattr(part, "title", name.replace("_", " "))
    try:
        if family == "objectives":
            return _trained(name, title, part, domains, task, seed)
        return (_aligned if family == "alignment" else _weighted)(name, part, domains, solve, seed)
    except (HeadstartError, np.linalg.LinAlgError) as error:
        return Skipped(name, family, title, str(error))


def _needs_labels(part: Any) -> bool:
    return isinstance(part, Weighting) and part.needs_target_labels


def _trained(name: str, title: str, part: Objective, domains: Domains, task: BoundTask, seed: int) -> Adapted:
    started = time.monotonic()
    found = train_on_features(domains, part, task, FeatureTraining(), seed)
    seconds = time.monotonic() - started
    return Adapted(name, "objectives", title, found.shape, found.head, partial(logits_of, found.of_source), seconds)


def _aligned(name: str, part: Alignment, domains: Domains, solve: Solve, seed: int) -> Adapted:
    started = time.monotonic()
    aligned = part.align(domains, seed)
    head = solve(aligned.source, domains.labels, None)
    weight = head.weight @ aligned.matrix.T
    folded = LinearHead(weight, head.bias + head.weight @ aligned.offset)

    def source(features: np.ndarray) -> np.ndarray:
        return head.logits(aligned.move(features))

    seconds = time.monotonic() - started
    return Adapted(name, "alignment", part.title, HeadShape(), linear(folded), source, seconds)


def _weighted(name: str, part: Weighting, domains: Domains, solve: Solve, seed: int) -> Adapted:
    started, note = time.monotonic(), ""
    found = part.weigh(domains, solve, seed)
    if found.votes:
        votes = [linear(head) for _, head in found.votes]
        head = Mixture(domains.source.shape[1], list[nn.Module](votes), gated=False)
        shares = torch.tensor([weight for weight, _ in found.votes])
        head.get_buffer("shares").copy_(shares / shares.sum())
        seconds, shape = time.monotonic() - started, HeadShape(members=len(votes))
        return Adapted(name, "weighting", part.title, shape, head, lambda x: logits_of(head, x), seconds)
    plain = solve(domains.source, domains.labels, found.weights)
    if found.weights is not None:
        note = f"effective sample size {found.effective:,.0f} of {len(domains.source):,}"
    adapted = plain
    if found.ratios is not None:
        adapted = plain._replace(bias=plain.bias + np.log(np.maximum(found.ratios, LEAST_RATIO)))
    seconds = time.monotonic() - started
    return Adapted(name, "weighting", part.title, HeadShape(), linear(adapted), plain.logits, seconds, note)


def linear(head: LinearHead) -> nn.Linear:
    """The head as a module."""
    found = nn.Linear(head.weight.shape[1], len(head.bias))
    values = {"weight": torch.from_numpy(head.weight), "bias": torch.from_numpy(head.bias)}
    found.load_state_dict({name: value.float() for name, value in values.items()})
    return found
