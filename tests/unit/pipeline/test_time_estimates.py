"""What is known of time before the frozen pass, and before training, on a backbone that is slow on purpose."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import nn

from head_shapes import SHAPES
from headstart.contracts.backbone import Backbone
from headstart.contracts.carriers import State
from headstart.contracts.examples import Examples
from headstart.engine.frozen.content_keys import content_keys
from headstart.engine.frozen.extract import extract
from headstart.engine.frozen.feature_spec import FeatureSpec
from headstart.engine.frozen.feeding import MOST_THREADS
from headstart.engine.frozen.runner_choice import Choice
from headstart.engine.store.feature_store import FeatureStore
from headstart.evidence.splits import Split
from headstart.kernel.progress import Quiet
from headstart.pipeline.budget import Budget
from headstart.pipeline.context import FitContext
from headstart.pipeline.plan import Plan
from headstart.pipeline.prepare import Prepared
from headstart.pipeline.record import DataSummary
from headstart.pipeline.time_estimates import MEASURED, speed, too_long_a_pass
from headstart.runners.eager import Eager
from headstart.tasks.classification.task import Classification
from tiny_backbone import TinyBackbone, numeric_examples

PAUSE = 0.02
"""Seconds."""

EXAMPLES = 400


class Pausing(nn.Module):
    """A stage that takes its time with every batch."""

    def forward(self, hidden: Any) -> Any:
        time.sleep(PAUSE)
        return hidden


class SlowToRead(TinyBackbone):
    """Preparing a batch takes its time."""

    def prepare(self, raws: Sequence[Any]) -> State:
        time.sleep(PAUSE)
        return super().prepare(raws)


def slow_to_run() -> Backbone:
    backbone = TinyBackbone()
    backbone.module[2].append(Pausing())
    return backbone


def prepared(examples: Examples) -> Prepared:
    task, rows = Classification().bind(examples, SHAPES), np.arange(len(examples))
    keys = [str(key) for key in content_keys(examples).keys]
    split, summary = (
        Split(rows[:-20], rows[-20:-10], rows[-10:]),
        DataSummary(source="", seen="", modality="", parts=()),
    )
    targets, strata = task.targets(examples), task.settings.split_policy(examples).strata
    return Prepared(examples, PLAN.columns, keys, task, targets, strata, None, split, summary)


PLAN = Plan(data="<made>", runner="eager", tuning="auto")


@pytest.fixture(scope="module")
def data() -> Prepared:
    features = np.random.default_rng(0).normal(size=(EXAMPLES, 4))
    return prepared(numeric_examples(features, (features[:, 0] > 0).astype(int).tolist()))


def told(data: Prepared, backbone: Backbone, seconds: float, store: FeatureStore) -> str:
    choice = Choice(Eager(), "")
    found = too_long_a_pass(data, backbone, FeatureSpec(), choice, store, Budget(seconds), searched=True)
    return "" if found is None else found.reason


def test_where_the_pass_is_stored_and_its_runner_named_a_few_inputs_are_timed(data: Prepared, tmp_path: Path) -> None:
    """So it is from the second seed on: nothing else says what an epoch takes."""
    backbone, store = slow_to_run(), FeatureStore(tmp_path)
    extract(backbone, data.examples, data.keys, runner=Eager(), store=store)
    again = extract(backbone, data.examples, data.keys, runner=Eager(), store=store)
    assert not again.computed
    found = speed(FitContext(PLAN, data, backbone, again, None, Quiet(), store))
    assert PAUSE / MEASURED <= found.plain == found.runner < PAUSE


@pytest.mark.slow
@pytest.mark.parametrize("slow", [slow_to_run, SlowToRead])
def test_a_pass_that_exceeds_the_budget_is_told_of_before_it_also_on_a_named_runner(
    data: Prepared, tmp_path: Path, slow: Any
) -> None:
    backbone = slow()
    least = EXAMPLES * PAUSE / MEASURED / MOST_THREADS
    assert "alone takes at least" in told(data, backbone, 0.9 * least, FeatureStore(tmp_path))
    assert not told(data, backbone, 100.0, FeatureStore(tmp_path))
    assert not told(data, backbone, 0.0001, stored(data, backbone, tmp_path)), "nothing is left to be run"


def stored(data: Prepared, backbone: Backbone, folder: Path) -> FeatureStore:
    store = FeatureStore(folder)
    extract(backbone, data.examples, data.keys, FeatureSpec(), runner=Eager(), store=store)
    return store
