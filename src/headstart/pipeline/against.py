"""Data held against another set of inputs: what is in both, and whether their inputs differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from headstart.contracts.backbone import Backbone
from headstart.contracts.examples import Examples
from headstart.engine.frozen.content_keys import content_keys
from headstart.engine.store.feature_store import FeatureStore
from headstart.evidence.shift import FEWEST, MOST, shift
from headstart.kernel.progress import Reporter
from headstart.kernel.randomness import draw_seed
from headstart.pipeline.choose_backbone import choose_backbone
from headstart.pipeline.data import name_of
from headstart.pipeline.embed import embed
from headstart.pipeline.inspection import Finding, ShiftRow
from headstart.pipeline.listing import listed
from headstart.pipeline.plan import Plan
from headstart.pipeline.prepare import SeenData, recognised
from headstart.pipeline.unusable import unusable

SHIFTED = 0.01
"""p-value up to which two sets are said to differ."""


def held_against(seen: SeenData, other: Any, plan: Plan, reporter: Reporter) -> tuple[ShiftRow | None, list[Finding]]:
    """Compare data with another set of the same kind; None where too few inputs are of use.

    Raises DataError as `listed`, BackboneError where none can be had.
    """
    name, usable = name_of(other), seen.usable()
    here = usable.examples
    there = listed(other, recognised(plan.columns, here), plan, here)
    keys = content_keys(there, reporter).keys
    useless = unusable(there)
    rows = [row for row, key in enumerate(keys) if key is not None and row not in useless]
    known = set(seen.keys)
    both = sum(keys[row] in known for row in rows)
    found = [Finding(severity="warning", text=f"{both:,} of {len(rows):,} inputs of {name} are in the data as well")]
    found = found if both else []
    if min(len(here), len(rows)) < FEWEST:
        text = f"not compared with {name}: {min(len(here), len(rows))} usable inputs are fewer than {FEWEST}"
        return None, [*found, Finding(severity="note", text=text)]
    backbone, _, _ = choose_backbone(here, plan)
    sets = ((here, usable.keys), (there.take(rows), [keys[row] for row in rows]))
    one, two = (_features(backbone, examples, of, plan, reporter) for examples, of in sets)
    measured = shift(one, two, plan.seed)
    row = ShiftRow(against=name, backbone=backbone.name, **measured._asdict())
    return row, [*found, _told(row)]


def _features(
    backbone: Backbone, examples: Examples, keys: Sequence[str | None], plan: Plan, reporter: Reporter
) -> np.ndarray:
    """Pooled features of the examples, of `MOST` drawn ones where there are more."""
    draws = np.random.default_rng(draw_seed(plan.seed, "compared inputs"))
    chosen = np.sort(draws.choice(len(examples), min(MOST, len(examples)), replace=False))
    found = embed(
        backbone,
        examples.take(chosen),
        keys=[keys[row] for row in chosen],
        store=FeatureStore(),
        reporter=reporter,
        runner=plan.named_runner(),
    )
    return found.pooled()


def _told(row: ShiftRow) -> Finding:
    differs = row.p <= SHIFTED
    can = "tells" if differs else "cannot tell"
    who = f"a linear classifier on features of {row.backbone} {can} {row.examples:,} of each"
    figures = f"ROC AUC {row.auc:.2f}, p = {row.p:.3f}, proxy A-distance {row.distance:.2f} of 2"
    if not differs:
        return Finding(severity="note", text=f"no shift found against {row.against}: {who} apart, {figures}")
    text = f"the inputs of {row.against} differ from the data: {who} apart, {figures}"
    return Finding(severity="warning", text=f"{text}; figures on one need not hold on the other")
