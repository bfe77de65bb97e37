"""Suggesting labels: read pool and labelled examples, embed both by one backbone, choose, and show what was chosen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import version
from typing import Any

import numpy as np
import torch

from headstart.contracts.backbone import Backbone
from headstart.contracts.examples import Examples
from headstart.contracts.features import Features
from headstart.contracts.modality import modality_named
from headstart.contracts.task_capabilities import ClosedForm, one_class_each
from headstart.engine.frozen.content_keys import content_keys
from headstart.engine.frozen.extract import Extracted
from headstart.engine.solved.solve import solve_head
from headstart.engine.store.feature_store import FeatureStore
from headstart.evidence.suggestions import Suggestion, typical, uncertain
from headstart.kernel.errors import DataError
from headstart.kernel.progress import Reporter
from headstart.kernel.settings import Settings
from headstart.pipeline.budget import Budget
from headstart.pipeline.choose_backbone import choose_backbone
from headstart.pipeline.decision_log import DecisionLog
from headstart.pipeline.embed import embed
from headstart.pipeline.judge import shown_input
from headstart.pipeline.listing import listed
from headstart.pipeline.plan import Plan
from headstart.pipeline.prepare import Prepared, read_data
from headstart.pipeline.ready import ready, staged
from headstart.pipeline.record import Shown
from headstart.pipeline.unusable import unusable

FEW = 10
"""Labelled examples per class, in the mean, below which typical examples are suggested rather than uncertain ones."""


class SuggestedRow(Shown):
    """An example worth a label."""

    reason: str


class Suggestions(Settings):
    """Examples to label next, the most useful first."""

    name: str
    """Of the pool: its path."""
    headstart: str
    """Version that made them."""
    pool: int
    """Number of usable examples in the pool that are not labelled yet."""
    labelled: int
    """Number of labelled examples."""
    backbone: str
    method: str
    """'typical' or 'uncertain'."""
    reason: str
    """Why that method."""
    rows: tuple[SuggestedRow, ...]
    notes: tuple[str, ...] = ()


def suggestions(pool: Any, labelled: Any, plan: Plan, count: int, reporter: Reporter) -> Suggestions:
    """Choose `count` examples of a pool; `labelled` is None where there are no labels yet.

    Raises DataError, SettingsError or BackboneError as a fit does, and DataError where nothing of the pool is left.
    """
    data, backbone = _labelled(labelled, plan, reporter)
    examples = listed(
        pool, plan.columns if data is None else data.columns, plan, None if data is None else data.examples
    )
    keys = content_keys(examples, reporter)
    useless = {**unusable(examples), **keys.failures}
    rows, copies, seen = list[int](), 0, set[str](() if data is None else data.keys)
    for row, key in enumerate(keys.keys):
        if row in useless or key is None:
            continue
        copies += key in seen
        if key not in seen:
            rows.append(row)
            seen.add(key)
    notes = list(examples.notes)
    if useless:
        first = min(useless)
        notes.append(f"Skipped {len(useless):,} inputs, such as {examples.origins()[first]}: it {useless[first]}")
    if copies:
        notes.append(f"Skipped {copies:,} examples that are labelled already or repeat others of the pool")
    if not rows:
        raise DataError(f"nothing of the pool is left to label: {'; '.join(notes) or 'it is empty'}")
    usable = examples.take(rows)
    if backbone is None:
        backbone, _, _ = choose_backbone(usable, plan)
    through = partial(embed, backbone, store=FeatureStore(), reporter=reporter, runner=plan.named_runner())
    found = through(usable, keys=[keys.keys[row] for row in rows])
    readable = usable.take(found.rows)
    features = found.pooled()
    chosen, method, why = _chosen(data, through, features, min(count, len(features)), plan.seed)
    return Suggestions(
        name=plan.data,
        headstart=version("headstart"),
        pool=len(readable),
        labelled=0 if data is None else len(data.examples),
        backbone=backbone.name,
        method=method,
        reason=why,
        rows=tuple(_rows(readable, chosen)),
        notes=tuple(notes),
    )


def _labelled(labelled: Any, plan: Plan, reporter: Reporter) -> tuple[Prepared | None, Backbone | None]:
    """Read the labelled examples and load the backbone that suits them."""
    if labelled is None:
        return None, None
    found = ready(staged(read_data(labelled, plan, reporter), plan), plan, Budget(), DecisionLog())
    if found.data.task.needs.features != "pooled":
        raise DataError("suggest compares examples by one vector each, and this task reads tokens or maps")
    return found.data, found.backbone


def _chosen(
    data: Prepared | None, through: Callable[..., Extracted], pool: np.ndarray, count: int, seed: int
) -> tuple[list[Suggestion], str, str]:
    """Return the suggestions, the method and why it was taken."""
    if data is None:
        why = "there are no labels yet"
        return typical(pool, np.empty((0, pool.shape[1]), np.float32), count, seed), "typical", why
    found, linear = through(data.examples, keys=data.keys), data.task.linear()
    if not one_class_each(data.task) or not isinstance(linear, ClosedForm):
        why = "examples have no single class of which a probe could be unsure"
        return typical(pool, found.pooled(), count, seed), "typical", why
    solved_on = np.intersect1d(np.union1d(data.split.train, data.split.val), found.rows)
    classes = len(np.unique(data.targets["label"][solved_on]))
    each = len(solved_on) / classes
    if each < FEW:
        why = f"{each:.1f} labels per class are fewer than {FEW}"
        return typical(pool, found.pooled(), count, seed), "typical", why
    head, _ = solve_head(
        linear, found.pooled(solved_on), data.targets_of(solved_on), data.kept_together(solved_on), seed
    )
    with torch.no_grad():
        predicted = linear.predict(head.eval(), Features(torch.from_numpy(pool)), {})
    probabilities = linear.evaluation.finish(predicted, {}).columns["probabilities"]
    why = f"{each:.0f} labels per class are {FEW} or more"
    return uncertain(pool, probabilities, count, seed), "uncertain", why


def _rows(examples: Examples, chosen: Sequence[Suggestion]) -> list[SuggestedRow]:
    kind, some = modality_named(examples.schema.modality), examples.take([one.row for one in chosen])
    return [
        SuggestedRow(origin=origin, reason=one.reason, **shown_input(kind, raw))
        for one, origin, raw in zip(chosen, some.origins(), some.raws())
    ]
